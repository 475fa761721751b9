"""home.py: a crash leaves the old file or the new one, and a disk that refuses is one clear line."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from glaswerk import home
from glaswerk.errors import GlaswerkError


def test_home_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path / "named"))
    assert home.home() == tmp_path / "named"
    assert not (tmp_path / "named").exists(), "asking where home is must not create it"
    assert home.subfolder("compiled").is_dir()
    monkeypatch.delenv("GLASWERK_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert home.home() == tmp_path / "xdg" / "glaswerk"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home.home() == tmp_path / ".cache" / "glaswerk"


def test_written_whole_with_usual_permissions_and_nothing_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file.json"
    home.write_json(path, {"straße": [1, 2], "lone": None})
    assert home.read_json(path) == {"straße": [1, 2], "lone": None}
    assert "straße" in path.read_text(encoding="utf-8")
    assert [entry.name for entry in path.parent.iterdir()] == ["file.json"]
    plain = tmp_path / "plain"
    plain.write_text("")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_an_error_inside_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    home.write_text(path, "old")
    with pytest.raises(ZeroDivisionError), home.replacing(path) as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import os, signal, sys
from pathlib import Path
from glaswerk import home
path, moment = Path(sys.argv[1]), sys.argv[2]
if moment != "writing":
    os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
with home.replacing(path) as part:
    part.write_text("n" * 100_000)
    if moment == "writing":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
@pytest.mark.parametrize("moment", ["writing", "syncing"])
def test_kill_in_the_middle_leaves_the_old_file(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "kept.txt"
    home.write_text(path, "old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), moment], timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    # and the next write works beside what the killed one left behind
    home.write_text(path, "new")
    assert path.read_text() == "new"


def test_data_reaches_the_disk_before_the_name_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """fsync the file, then rename, then fsync the folder: any other order can lose both after a power cut."""
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def spy_fsync(handle: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def spy_replace(self: Path, target: Path) -> Path:
        order.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(Path, "replace", spy_replace)
    home.write_text(tmp_path / "file", "text")
    assert order == ["file", "rename", "folder"]


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "permission denied"),
        (errno.EIO, "cannot write"),
    ],
)
def test_a_disk_that_refuses_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, says: str
) -> None:
    path = tmp_path / "kept.txt"
    home.write_text(path, "old")

    def refuse(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(GlaswerkError, match=says) as caught:
        home.write_text(path, "new")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_for_real() -> None:
    """/dev/full answers every write with ENOSPC, as a full disk does."""
    with pytest.raises(GlaswerkError, match=r"no space left.*free some space"):
        try:
            with open("/dev/full", "w") as full:
                full.write("x" * 100_000)
        except OSError as error:
            raise home.explain(error, "/dev/full") from error


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    for folder in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(GlaswerkError, match="a file of that name is in the way"):
            home.make_folder(folder)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(GlaswerkError, match="permission denied"):
            home.write_text(tmp_path / "file", "text")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("broken", [b"", b'{"a": ', b"\xff\xfe", b"[" * 100_000])
def test_a_broken_json_file_is_named(tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(broken)
    with pytest.raises(GlaswerkError, match=r"run\.json is not valid JSON"):
        home.read_json(path)
    with pytest.raises(GlaswerkError, match="is missing"):
        home.read_json(tmp_path / "none.json")


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    home.write_json(path, {"old": 1})
    with pytest.raises(TypeError):
        home.write_json(path, {"new": object()})
    assert json.loads(path.read_text()) == {"old": 1}


def test_a_json_file_that_cannot_be_read_is_not_said_to_be_written(tmp_path: Path) -> None:
    with pytest.raises(GlaswerkError, match=r"cannot read .*: Is a directory"):
        home.read_json(tmp_path)


def test_json_with_half_a_surrogate_pair_is_written_and_read_back(tmp_path: Path) -> None:
    value = {"source": "caf\udce9.txt", "title": "Grüße"}
    home.write_json(tmp_path / "run.json", value)
    assert home.read_json(tmp_path / "run.json") == value
    assert "Grüße" in (tmp_path / "run.json").read_text(encoding="utf-8")
