"""What docs/deploy promises of its files: they name what is there, and nobody runs as root."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from glaswerk.serve.api.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "docs" / "deploy"


def instructions() -> list[tuple[str, str]]:
    """The container file's instructions with what they say, lines that go on put together."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    found = [line.partition(" ") for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(name, rest.strip()) for name, _, rest in found]


def test_the_container_file_copies_what_is_there_and_ends_as_nobody() -> None:
    said = instructions()
    for name, rest in said:
        if name == "COPY":
            *sources, _ = shlex.split(rest)
            assert all((ROOT / source).exists() for source in sources), rest
    names = [name for name, _ in said]
    assert names.index("USER") > max(place for place, name in enumerate(names) if name == "RUN")
    assert dict(said)["USER"] not in ("root", "0") and {"HEALTHCHECK", "STOPSIGNAL", "VOLUME"} <= set(names)
    assert dict(said)["FROM"].split(":")[1].startswith("3.11") and "-c constraints.txt" in text_of("RUN")
    # what it starts is a verb that is there, and what the check asks is a route that needs no key
    assert '["glaswerk", "serve", "--host", "0.0.0.0"]' in dict(said)["ENTRYPOINT"]
    assert "/health/ready" in dict(said)["HEALTHCHECK"] or "/health/ready" in text_of("CMD")


def text_of(name: str) -> str:
    return "\n".join(rest for each, rest in instructions() if each == name)


def test_everything_that_the_build_needs_is_copied() -> None:
    """The package's build reads these; what it does not find it cannot build with."""
    copied = {source for name, rest in instructions() if name == "COPY" for source in shlex.split(rest)[:-1]}
    assert {"glaswerk", "pyproject.toml", "hatch_build.py", "package-lock.json", "constraints.txt"} <= copied
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for named in re.findall(r'^(?:readme|license-files) = \[?"([^"]+)"', project, re.M):
        assert named in copied


def test_the_unit_is_one(tmp_path: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "glaswerk.service", encoding="utf-8")
    service = unit["Service"]
    assert service["DynamicUser"] == "yes" and service["ProtectSystem"] == "strict" and "User" not in service
    assert int(service["TimeoutStopSec"]) > Settings().drain, "it drains before it is killed"
    assert " serve " in service["ExecStart"] and service["EnvironmentFile"].startswith("/etc/")
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not here")
    here = tmp_path / "glaswerk.service"
    unit_text = (DEPLOY / "glaswerk.service").read_text(encoding="utf-8")
    here.write_text(unit_text.replace("/opt/glaswerk/.venv/bin/glaswerk", "/bin/true"), encoding="utf-8")
    done = subprocess.run([verify, "verify", str(here)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_page_names_files_that_are_there() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", page) if "://" not in link]
    assert links and all((ROOT / "docs" / link).exists() for link in links)
    for path in re.findall(r"`(tests/[^`]+)`", page):
        assert (ROOT / path).is_file()
    compile((DEPLOY / "modal_vllm.py").read_text(encoding="utf-8"), "modal_vllm.py", "exec")
