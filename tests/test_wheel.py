"""The wheel that is built from a clean clone has everything in it: the code, the chapters, the lab's pages, and the
third-party JavaScript and fonts that git does not carry. Needs the registries of Python and npm, else it skips."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: of each kind one that would be missed
WANTED = (
    "glaswerk/cli/main.py",
    "glaswerk/py.typed",
    "glaswerk/course/glossary.toml",
    "glaswerk/course/chapters/04-attention/de.md",
    "glaswerk/course/chapters/04-attention/demo.py",
    "glaswerk/serve/questions.json",
    "glaswerk/serve/templates/frame.html",
    "glaswerk/web/figure.js",
    "glaswerk/web/style.css",
    "glaswerk/model/native/vector.h",
)


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, encoding="utf-8", timeout=400)


def pip(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments, cwd=cwd)


@pytest.mark.slow
def test_the_wheel_of_a_clean_clone_is_whole(tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if not (ROOT / ".git").exists() or npm is None:
        pytest.skip("this needs a git checkout and npm")
    if pip("download", "--no-deps", "--dest", "here", "hatchling", cwd=tmp_path).returncode:
        pytest.skip("the Python packages' registry cannot be reached")
    if run(npm, "view", "lit", "version", cwd=tmp_path).returncode:
        pytest.skip("the JavaScript packages' registry cannot be reached")
    clone = tmp_path / "clone"
    done = run("git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (clone / "glaswerk" / "web" / "vendor").exists(), "git carries foreign code"

    done = pip("wheel", "--no-deps", "--wheel-dir", "out", str(clone), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (tmp_path / "out").glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        vendored = json.loads(opened.read("glaswerk/web/vendor/vendor.json"))
    assert [name for name in WANTED if name not in names] == []
    lock = json.loads((clone / "package-lock.json").read_text("utf-8"))["packages"]
    for name, version in vendored["versions"].items():
        assert lock[f"node_modules/{name}"]["version"] == version
    assert {f"glaswerk/web/vendor/{file}" for file in vendored["imports"].values()} <= names
    assert sum(name.endswith(".woff2") for name in names) >= 6 and "glaswerk/web/vendor/LICENSES.txt" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "demos/"))]
    tracked = run("git", "ls-files", "glaswerk", cwd=clone).stdout.split()
    assert sorted(set(tracked) - names) == []
