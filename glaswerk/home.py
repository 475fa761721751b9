"""The home folder, and how a file is written so that a crash leaves the old one or the new one, never half of one.

Left out: what lies in the home folder; each room names its own subfolder.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glaswerk.errors import GlaswerkError


def home() -> Path:
    """Where pulled data and compile caches live: ``$GLASWERK_HOME``, else ``~/.cache/glaswerk``. Not created here."""
    named = os.environ.get("GLASWERK_HOME")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "glaswerk"


def subfolder(name: str) -> Path:
    """``home()/name``, created. Raises :class:`GlaswerkError` if it cannot be written."""
    folder = home() / name
    make_folder(folder)
    return folder


def make_folder(folder: Path) -> None:
    """Create a folder and its parents; raises :class:`GlaswerkError` in one line where that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, folder) from error


def explain(error: OSError, path: Path | str, doing: str = "write") -> GlaswerkError:
    """An operating-system error as one line that says what to do; ``doing``: "write", "read" or "read or write"."""
    if error.errno == errno.ENOSPC:
        return GlaswerkError(
            f"no space left on the disk while writing {path}: free some space and run the same command again"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        mend = "change its permissions" if doing == "read" else "choose another folder or change its permissions"
        return GlaswerkError(f"cannot {doing} {path}: permission denied; {mend}")
    if doing == "write" and error.errno in (errno.ENOTDIR, errno.EEXIST):
        return GlaswerkError(f"cannot create the folder {path}: a file of that name is in the way; choose another name")
    return GlaswerkError(f"cannot {doing} {path}: {error.strerror or error}")


def sync_folder(folder: Path) -> None:
    """Make renames inside ``folder`` durable (a no-op where folders cannot be opened, as on Windows)."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is fsynced and renamed over ``path``, else removed.

    Raises :class:`GlaswerkError` for a full disk or a folder that cannot be written.
    """
    make_folder(path.parent)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise explain(error, path) from error
    part = Path(name)
    try:
        yield part
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise explain(error, path) from error
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file, crash-safely."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, crash-safely, indented for people."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    # half a surrogate pair (a file name that is not UTF-8) has no UTF-8, but JSON's own \udXXX keeps it
    write_text(path, text.encode("utf-8", "backslashreplace").decode("utf-8"))


def read_json(path: Path) -> Any:
    """Read a JSON file; raises :class:`GlaswerkError` that names the file if it is missing, unreadable or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise GlaswerkError(f"{path} is missing: the folder is not complete; start again with another --out") from error
    except OSError as error:
        raise explain(error, path, "read") from error
    except (ValueError, RecursionError) as error:
        raise GlaswerkError(
            f"{path} is not valid JSON ({error}): the file is damaged; restore it or delete the folder"
        ) from error
