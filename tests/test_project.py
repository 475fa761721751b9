"""The frame around the library: pins, no foreign paths, commands in the texts that exist, a Makefile that
explains.
"""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from glaswerk import __version__
from glaswerk.cli.main import VERBS

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TARGETS = ["setup", "run", "test", "test-all", "bench", "setup-bench", "lint", "clean", "help"]
BENCHMARKS = [
    "time_to_loss",
    "train_throughput",
    "lora_throughput",
    "best_loss_10min",
    "bpe_train",
    "encode",
    "prepare",
    "cli_start",
    "decode",
    "decode_hf",
    "prefill",
    "cold_start",
    "own_model_decode",
    "serve_load",
    "eval_throughput",
    "rollout",
    "trace",
    "lab_pages",
]


def tracked() -> list[Path]:
    """Every file of the project that git knows."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def texts() -> list[Path]:
    """The pages for readers."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]


def constraints() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    for pin in pins:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", pin), "one name==version a line"
    return {canonicalize_name(name): Version(number) for name, number in (pin.split("==") for pin in pins)}


def test_torch_is_pinned_exactly() -> None:
    assert str(constraints()["torch"]) == "2.13.0"


def test_every_dependency_is_pinned_within_its_range() -> None:
    pins = constraints()
    wanted = list(PROJECT["dependencies"])
    for extra in PROJECT["optional-dependencies"].values():
        wanted += extra
    peers = (ROOT / "benchmarks" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted += [line for line in peers if line and not line.startswith("#")]
    for text in wanted:
        requirement = Requirement(text)
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement.name} is not in constraints.txt"
        assert pin in requirement.specifier, f"{requirement.name}=={pin} is outside {requirement.specifier}"


def test_what_is_installed_is_what_is_pinned() -> None:
    """Guards against pins that nobody installs from; torch's local part (+cpu) does not count."""
    from importlib.metadata import version

    for name in ("torch", "numpy", "safetensors", "typer", "tiktoken", "pytest"):
        installed = Version(version(name))
        assert Version(installed.public) == constraints()[name], f"{name}: run `make setup`"


def test_no_paths_of_one_machine_and_no_registry_hosts() -> None:
    # put together here, so that this file does not name what it forbids
    forbidden = ["/" + folder + "/" for folder in ("root", "work", "workspace", "mnt", "Users", "private/var")] + [
        "py" + "pi.org",
        "python" + "hosted.org",
        "npm" + "js.org",
        "index" + "-url",
        "deb.deb" + "ian.org",
    ]
    found = []
    for path in tracked():
        try:
            content = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {text}" for text in forbidden if text in content]
    assert not found, "\n".join(found)


def test_no_data_and_no_foreign_code_is_carried() -> None:
    """Texts, weights and vendored code come from packages, never from this tree. What the lab shows where there is no
    model is our own: numbers that the library computed (``glaswerk/serve/recorded.py``)."""
    kinds = {".bin", ".safetensors", ".gguf", ".pt", ".pkl", ".npy", ".whl", ".zip", ".gz", ".tiktoken"}
    for path in tracked():
        if path.relative_to(ROOT).as_posix() == "glaswerk/serve/recorded.zip":
            assert path.stat().st_size < 700_000, "the recording is large: record a smaller model"
            continue
        assert path.suffix not in kinds, f"{path.relative_to(ROOT)} is data"
        assert path.stat().st_size < 300_000, f"{path.relative_to(ROOT)} is large"


def test_version_and_changelog_agree() -> None:
    assert PROJECT["version"] == __version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(__version__)}\b", changelog, re.MULTILINE)


@pytest.mark.parametrize("page", texts(), ids=lambda path: path.name)
def test_commands_in_the_texts_exist(page: Path) -> None:
    """Every `glaswerk VERB`, `make TARGET` and `python -m benchmarks NAME` that a reader may type."""
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", page.read_text(encoding="utf-8"), re.DOTALL))
    verbs = re.findall(r"(?:^|[`\s/$])(?<!import )glaswerk ([a-z][a-z-]*)\b(?![./])", code)
    assert set(verbs) <= {*VERBS, "help"}
    targets = re.findall(r"(?:^|[`\s$])make ([a-z][a-z-]*)\b", code)
    assert set(targets) <= {*TARGETS, "format"}
    names = re.findall(r"python -m benchmarks ([a-z][a-z_0-9]*)", code)
    assert set(names) <= set(BENCHMARKS)


@pytest.mark.parametrize("page", texts(), ids=lambda path: path.name)
def test_links_in_the_texts_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "#", "mailto:")):
            assert (page.parent / target.split("#")[0]).exists(), f"{page.name} links {target}"


def test_all_benchmarks_are_listed(python) -> None:
    shown = python("-m", "benchmarks", "--list", "--json")
    assert shown.returncode == 0, shown.stderr
    assert list(json.loads(shown.stdout)) == BENCHMARKS
    for name in BENCHMARKS:
        assert (ROOT / "benchmarks" / f"{name}.py").is_file(), f"{name} has no module"


def test_a_benchmark_that_is_not_there(python) -> None:
    done = python("-m", "benchmarks", "encod")
    assert done.returncode == 2 and "did you mean 'encode'?" in done.stderr


def test_a_missing_peer_is_named(python) -> None:
    done = python("-m", "benchmarks", "time_to_loss", "--json", NANOGPT_DIR="")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nanoGPT is missing" in done.stderr and "NANOGPT_DIR" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def run_make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60)


@make
def test_make_help_lists_every_target() -> None:
    shown = run_make("help").stdout
    for target in TARGETS:
        assert f"  make {target} " in shown
    assert run_make().stdout == shown, "help is what plain `make` does"


@make
def test_make_run_passes_options_on() -> None:
    options = "notes/ --minutes 3 --ask 'What is tea?'"
    planned = run_make("-n", "-o", ".venv/.installed", "run", f"ARGS={options}").stdout
    assert planned.splitlines()[-1].endswith(f"glaswerk run {options}")


@make
def test_an_old_python_is_named(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.1 && exit 0\nexit 1\n')
    old.chmod(0o755)
    done = run_make("setup", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}")
    assert done.returncode != 0 and not (tmp_path / "venv").exists()
    assert "Python 3.9.1, Glaswerk needs Python 3.11 or newer" in done.stderr
    done = run_make("setup", "PYTHON=no-such-python", f"VENV={tmp_path / 'venv'}")
    assert done.returncode != 0 and "no-such-python was not found" in done.stderr


def test_ci_stops_at_the_first_failure() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & stat.S_IXUSR
    content = script.read_text(encoding="utf-8")
    assert "set -euo pipefail" in content and content.rstrip().endswith("make test")
