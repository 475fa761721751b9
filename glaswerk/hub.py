"""Models from the Hugging Face hub, by name: ``hf:ORG/NAME`` or ``hf:ORG/NAME@REVISION``.

``pull`` asks the hub which files the revision has, takes only weights as safetensors, configuration and
tokenizer, checks each against the size and hash that the hub names, and renames the finished folder into place.
What was fetched before an interruption is kept beside it and gone on from. Nothing that can run code is ever
asked for: no pickle, no ``.py``, and a configuration with ``auto_map`` stops the pull.

``huggingface_hub`` (the extra ``hub``) brings the endpoint, the token and the connection; its own downloads
start again from nothing after an interruption, so the loop over the bytes is ours. The hub sends large files
from other hosts: such redirects are followed, never with the token and never from https to http, and what they
send must have the hash that the hub itself named. Left out: datasets, GGUF files on the hub, uploads.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from glaswerk.errors import GlaswerkError
from glaswerk.home import explain, home, make_folder, sync_folder, write_json
from glaswerk.progress import Progress

PREFIX = "hf:"
#: small files that are taken where they are there, and the largest size believed of each
SMALL = {
    "config.json": 10_000_000,
    "generation_config.json": 10_000_000,
    "tokenizer.json": 100_000_000,
    "tokenizer_config.json": 50_000_000,
    "special_tokens_map.json": 10_000_000,
    "chat_template.jinja": 1_000_000,
}
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD = re.compile(r"model-[0-9]{1,6}-of-[0-9]{1,6}\.safetensors")
INDEX_LIMIT, ANSWER_LIMIT = 100_000_000, 50_000_000
#: the weights of one model together; more is no model for one machine
WEIGHTS_LIMIT = 200_000_000_000
#: seconds without a byte before a connection counts as broken; waits between attempts that brought nothing new
TIMEOUT = 20.0
PAUSES: tuple[float, ...] = (1, 2, 4, 8)
REDIRECTS = 5
_PART = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")


@dataclass(frozen=True, slots=True)
class Name:
    """A checked name. ``revision``: a branch, tag or commit; None is the hub's default branch."""

    repository: str
    revision: str | None

    def __str__(self) -> str:
        return PREFIX + self.repository + (f"@{self.revision}" if self.revision else "")

    @property
    def folder(self) -> Path:
        """Where it lies once pulled; no two names share one."""
        at = "@" + quote(self.revision, safe="") if self.revision else ""
        return home() / "pulled" / "hf" / (self.repository.replace("/", "--") + at)


@dataclass(frozen=True, slots=True)
class File:
    """A file as the hub describes it. ``sha256`` for large files, ``blob`` (git's sha1) for the others."""

    path: str
    size: int
    sha256: str | None
    blob: str | None


def is_name(text: str) -> bool:
    """Whether ``text`` means a model on the hub."""
    return text.startswith(PREFIX)


def parse(text: str) -> Name:
    """``hf:ORG/NAME[@REVISION]``, checked: it becomes part of a path and of an address."""
    repository, at, revision = text.removeprefix(PREFIX).partition("@")
    parts = repository.split("/")
    if len(parts) != 2:
        raise GlaswerkError(f"{text[:80]!r} names no model: write hf:ORG/NAME, such as hf:openai-community/gpt2")
    for part in parts:
        if not _PART.fullmatch(part) or ".." in part or "--" in part:
            raise GlaswerkError(f"{text[:80]!r}: {part[:40]!r} cannot be part of a name on the hub; write hf:ORG/NAME")
    steps = revision.split("/")
    if at and (not _REVISION.fullmatch(revision) or ".." in revision or "" in steps or "." in steps):
        raise GlaswerkError(f"{text[:80]!r}: {revision[:40]!r} cannot be a revision; name a branch, a tag or a commit")
    return Name(repository, revision or None)


# ---------------------------------------------------------------------------------------------- what is here
def is_pulled(text: str) -> bool:
    """Whether it lies complete in the home folder (by size; :func:`path` checks the hashes too)."""
    name = parse(text)
    manifest = _manifest(name)
    if manifest is None:
        return False
    try:
        return all((name.folder / file["path"]).stat().st_size == file["bytes"] for file in manifest["files"])
    except OSError:
        return False


def path(text: str) -> Path:
    """The folder of a pulled model, every file checked against its sha256; needs no network.

    Raises :class:`GlaswerkError` that says how to pull it, or which file is damaged.
    """
    name = parse(text)
    manifest = _manifest(name)
    if manifest is None:
        raise GlaswerkError(f"{name} is not on this machine yet; run `glaswerk pull {name}`")
    for file in manifest["files"]:
        if not _same(name.folder / file["path"], file["bytes"], file["sha256"]):
            raise GlaswerkError(
                f"{name.folder / file['path']} is not the file that was pulled (another sha256); "
                f"run `glaswerk pull {name}` to fetch it again"
            )
    return name.folder


def manifest(text: str) -> dict[str, Any]:
    """``manifest.json`` of something pulled: repository, revision, commit, licence, files with bytes and sha256."""
    name = parse(text)
    found = _manifest(name)
    if found is None:
        raise GlaswerkError(f"{name} is not on this machine yet; run `glaswerk pull {name}`")
    return found


def _manifest(name: Name) -> dict[str, Any] | None:
    """The manifest, if it is one of ours for this name; what it lists are plain names of files."""
    try:
        found = json.loads((name.folder / "manifest.json").read_bytes())
        fits = found["repository"] == name.repository and found["revision"] == name.revision
        for file in found["files"]:
            fits = fits and _wanted(file["path"]) and type(file["bytes"]) is int and isinstance(file["sha256"], str)
        return found if fits and found["files"] and isinstance(found["commit"], str) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _wanted(path: str) -> bool:
    return path in SMALL or path in (WEIGHTS, INDEX) or SHARD.fullmatch(path) is not None


def _same(file: Path, size: int, sha256: str) -> bool:
    try:
        if file.stat().st_size != size:
            return False
        with open(file, "rb") as read:
            return hashlib.file_digest(read, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False
    except OSError as error:
        raise explain(error, file, "read") from error


# ---------------------------------------------------------------------------------------------- fetching
def pull(text: str, progress: Progress | None = None) -> Path:
    """Bring a model of the hub into the home folder and return its folder; does nothing if it is there already.

    Raises :class:`GlaswerkError` for a name that is none, no such model or revision, a gated or private one, no
    network, no safetensors, no ``tokenizer.json``, sizes that are not believed, a full disk, contents that are
    not what the hub said. An interruption keeps what is whole or half fetched; the same call goes on there.
    """
    name, progress = parse(text), progress or Progress()
    with suppress(GlaswerkError):
        return path(text)
    hub = _Hub(name)
    commit, licence, files = hub.describe()
    plan = _plan(name, files)
    total = sum(file.size for file in plan)
    progress.note(f"{name}: commit {commit[:12]}, {len(plan)} files, {total / 1e6:,.1f} MB, licence {licence}")
    with _work(name, commit) as work:
        _keep_only(work, plan)
        free = shutil.disk_usage(work).free
        missing = total - sum(min(_size(_part(work, file)), file.size) for file in plan)
        if missing > free:
            raise GlaswerkError(
                f"{name} needs {missing / 1e6:,.1f} MB and the disk has {free / 1e6:,.1f} free: free some space first"
            )
        progress.start(f"pull {name}", total=total / 1e6, unit="MB")
        listed = []
        for file in plan:
            listed.append({"path": file.path, "bytes": file.size, "sha256": hub.fetch(commit, file, work, progress)})
            _look_inside(name, work / file.path, plan)
        facts = {
            "name": str(name),
            "repository": name.repository,
            "revision": name.revision,
            "commit": commit,
            "licence": licence,
            "files": listed,
        }
        write_json(work / "manifest.json", facts)
        _install(work, name.folder)
    progress.done(f"{len(plan)} files at commit {commit[:12]}  ({total / 1e6:,.1f} MB, {licence})")
    return name.folder


def _plan(name: Name, files: dict[str, File]) -> list[File]:
    """What to fetch, small files first: what is wrong with a model shows before its weights are loaded."""
    if WEIGHTS in files:
        weights = [WEIGHTS]
    else:
        weights = sorted(path for path in files if SHARD.fullmatch(path)) if INDEX in files else []
    if not weights:
        pickles = any(path.endswith((".bin", ".pt", ".pth", ".ckpt", ".pkl")) for path in files)
        why = "its weights are pickles, which can run code" if pickles else "it has no model.safetensors"
        raise GlaswerkError(f"{name} cannot be pulled: {why}; look for a revision or a copy of it with safetensors")
    for path, what in (("config.json", "what shape it has"), ("tokenizer.json", "how its text is cut")):
        if path not in files:
            raise GlaswerkError(f"{name} cannot be pulled: it has no {path}, which says {what}")
    first = [path for path in SMALL if path in files] + ([INDEX] if weights != [WEIGHTS] else [])
    limits = {**SMALL, INDEX: INDEX_LIMIT}
    for path in first:
        if files[path].size > limits[path]:
            raise GlaswerkError(f"{name}: {path} has {files[path].size:,} bytes; that is none to be believed")
    total = sum(files[path].size for path in weights)
    if total > WEIGHTS_LIMIT:
        raise GlaswerkError(
            f"{name} has {total / 1e9:,.0f} GB of weights; at most {WEIGHTS_LIMIT / 1e9:.0f} are pulled"
        )
    return [files[path] for path in first + weights]


def _look_inside(name: Name, file: Path, plan: list[File]) -> None:
    """Refuse, before the weights are fetched, a configuration that wants code and an index of other files."""
    if file.name not in ("config.json", INDEX):
        return
    try:
        said = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise GlaswerkError(
            f"{name}: {file.name} is not valid JSON ({str(error)[:60]}); it cannot be opened"
        ) from error
    said = said if isinstance(said, dict) else {}
    if said.get("auto_map"):
        raise GlaswerkError(f"{name}: config.json has auto_map, which runs code that comes with the model; never here")
    if file.name == INDEX:
        named = said.get("weight_map")
        named = set(map(str, named.values())) if isinstance(named, dict) else {"no weight_map"}
        for lost in sorted(named - {one.path for one in plan}):
            raise GlaswerkError(f"{name}: {INDEX} names {lost[:60]!r}, which is no weight file of this model")


class _Hub:
    """One repository on the hub, over ``huggingface_hub``'s connection."""

    def __init__(self, name: Name) -> None:
        try:
            from huggingface_hub import constants, errors, utils
        except ImportError as error:
            raise GlaswerkError(
                "pulling from the Hugging Face hub needs the package huggingface_hub: "
                "install it with `pip install 'glaswerk[hub]'`"
            ) from error
        self.name = name
        self.endpoint = constants.ENDPOINT.rstrip("/")
        self.connect = utils.get_session
        self.headers = {**utils.build_hf_headers(library_name="glaswerk"), "accept-encoding": "identity"}
        #: what a broken connection raises; switched-off network access is no such thing
        self.broken: tuple[type[Exception], ...] = (errors.HTTPError, OSError)
        self.offline: type[Exception] = errors.OfflineModeIsEnabled

    def describe(self) -> tuple[str, str, dict[str, File]]:
        """The commit that the revision means, the licence, and the files of its top folder by name."""
        url = f"{self.endpoint}/api/models/{self.name.repository}"
        if self.name.revision:
            url += "/revision/" + quote(self.name.revision, safe="")
        answer = bytearray()

        def keep(block: bytes) -> None:
            answer.extend(block)
            if len(answer) > ANSWER_LIMIT:
                raise self.strange("its answer does not end")

        self.get(url + "?blobs=true", lambda: 0, answer.clear, keep)
        try:
            said = json.loads(answer)
            commit = said["sha"]
            listed = said["siblings"]
            card = said.get("cardData") or {}
            licence = card.get("license") if isinstance(card, dict) else None
            if not re.fullmatch("[0-9a-f]{40}", commit):
                raise ValueError("no commit")
            files: dict[str, File] = {}
            for one in listed:
                if not isinstance(one["rfilename"], str) or one["rfilename"] in files:
                    raise ValueError("a file is listed twice")
                files[one["rfilename"]] = _file(one)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self.strange("its description of the model cannot be read") from error
        plain = isinstance(licence, str) and re.fullmatch("[A-Za-z0-9 .,_+()-]{1,60}", licence)
        return commit, str(licence) if plain else "not named", files

    def fetch(self, commit: str, file: File, work: Path, progress: Progress) -> str:
        """Bring one file into ``work``, going on with what is there; its sha256."""
        part = _part(work, file)
        shown = 0

        def show() -> None:
            nonlocal shown
            now = min(_size(part), file.size)
            progress.advance((now - shown) / 1e6)
            shown = now

        def room() -> int:
            return _size(part)

        def empty() -> None:
            part.unlink(missing_ok=True)

        if (work / file.path).is_file():  # whole, from a pull that was interrupted or has been damaged since
            (work / file.path).replace(part)
        for fresh in (False, True):
            if fresh or room() > file.size:
                empty()
            show()
            if room() < file.size or file.size == 0:
                try:
                    with open(part, "ab") as write:

                        def keep(block: bytes, write: Any = write) -> None:
                            if room() + len(block) > file.size:
                                raise self.strange(f"it sends more of {file.path} than the {file.size:,} bytes it said")
                            write.write(block)
                            write.flush()
                            show()

                        url = f"{self.endpoint}/{self.name.repository}/resolve/{commit}/{quote(file.path)}"
                        self.get(url, room, lambda write=write: write.truncate(0), keep, size=file.size)
                except OSError as error:
                    raise explain(error, part) from error
            sha256 = _check(part, file)
            if sha256 is not None:
                part.replace(work / file.path)
                return sha256
        empty()
        raise self.strange(f"{file.path} does not have the hash that it said")

    def get(self, url: str, have: Any, empty: Any, keep: Any, size: int | None = None) -> None:
        """GET ``url`` block by block into ``keep``, from byte ``have()`` on; a broken connection is taken up again.

        ``size``: what to end with; more than one attempt without a new byte is waited for and then given up.
        """
        # the first question is not asked for long: without a network, that is what fails
        waits, most = iter(PAUSES if size is not None else PAUSES[:1]), have()
        while True:
            before = have()
            try:
                wait = self.attempt(url, before, empty, keep)
                if size is None or have() >= size:
                    if wait is None:
                        return
                elif wait is None and have() == before:
                    raise self.strange("it sends files shorter than it said")
            except self.offline as error:
                raise GlaswerkError(
                    f"{self.name} cannot be pulled while HF_HUB_OFFLINE switches the network off: unset it"
                ) from error
            except self.broken as error:
                if getattr(error, "errno", None) in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EIO):
                    raise
                wait = 0.0
                why = f"cannot reach the hub for {self.name}: check the network, then run the same command again"
                if have() > 0:
                    why = f"the connection to the hub broke while fetching {self.name}: run the same command to go on"
                problem = GlaswerkError(why)
                problem.__cause__ = error
            else:
                problem = GlaswerkError(
                    f"the hub is too busy for {self.name} now, or its files are shorter than it said: "
                    "run the same command again later"
                )
            if have() > most:  # each new byte counts once: a server cannot keep this going for ever
                waits, most = iter(PAUSES), have()
                continue
            pause = next(waits, None)
            if pause is None:
                raise problem
            time.sleep(min(max(pause, wait or 0.0), 60.0))

    def attempt(self, url: str, start: int, empty: Any, keep: Any) -> float | None:
        """One GET. None: it ended as it should. A number: the hub asks to wait so many seconds."""
        headers, origin = dict(self.headers), urlsplit(url)[:2]
        if start:
            headers["range"] = f"bytes={start}-"
        for _ in range(REDIRECTS + 1):
            with self.connect().stream("GET", url, headers=headers, timeout=TIMEOUT, follow_redirects=False) as answer:
                if answer.status_code in (301, 302, 303, 307, 308):
                    url = self.onward(url, answer.headers.get("location", ""))
                    if urlsplit(url)[:2] != origin:
                        headers.pop("authorization", None)
                    continue
                if answer.status_code in (408, 429, 500, 502, 503, 504):
                    said = answer.headers.get("retry-after", "")
                    return float(said) if re.fullmatch("[0-9]{1,6}", said) else 0.0
                if answer.status_code == 416:  # what is here is not a beginning of that file
                    empty()
                    return 0.0
                if answer.status_code not in (200, 206):
                    raise self.refused(answer.status_code, answer.headers.get("x-error-code", ""))
                if answer.headers.get("content-encoding", "identity") != "identity":
                    raise self.strange("it compresses files although it was asked not to")
                ranged = re.match("bytes ([0-9]{1,18})-", answer.headers.get("content-range", ""))
                goes_on = answer.status_code == 206 and ranged is not None and int(ranged[1]) == start
                if not goes_on:
                    empty()
                    if answer.status_code == 206:
                        return 0.0
                for (
                    block
                ) in answer.iter_raw():  # as it comes: what waits in a buffer is lost when the connection breaks
                    keep(block)
                return None
        raise self.strange("it redirects again and again")

    def onward(self, url: str, to: str) -> str:
        """The address that a redirect leads to, if it may be followed."""
        try:
            to = urljoin(url, to)
        except ValueError:
            to = ""
        if len(to) > 10_000 or not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/[!-~]*", to):
            raise self.strange("it redirects to what is no address")
        old, new = urlsplit(url), urlsplit(to)
        other_host = old[:2] != new[:2]
        if old.scheme == "https" and new.scheme != "https":
            raise self.strange("it redirects to an address that is not https")
        if other_host and "/resolve/" not in old.path:  # only contents, which have a hash, may come from elsewhere
            raise self.strange("it redirects its answer to another host")
        return to

    def strange(self, what: str) -> GlaswerkError:
        """The hub (or what answers in its place) does what it should not."""
        return GlaswerkError(f"the hub's answer for {self.name} is not to be trusted: {what}; nothing was installed")

    def refused(self, status: int, code: str) -> GlaswerkError:
        """An HTTP status as one line that says what to do."""
        name, log_in = self.name, "log in with `hf auth login` or set HF_TOKEN"
        if code == "GatedRepo":
            return GlaswerkError(
                f"{name} is gated: accept its terms on its page at {self.endpoint}/{name.repository}, then {log_in}"
            )
        if code == "RevisionNotFound":
            return GlaswerkError(f"{name.repository} has no revision {name.revision!r}: name a branch, tag or commit")
        if code == "RepoNotFound" or status in (401, 404):
            return GlaswerkError(f"there is no model {name} on the hub, or it is private: check the name, or {log_in}")
        if status == 403:
            return GlaswerkError(f"the hub refuses access to {name}: {log_in} with an account that may read it")
        return GlaswerkError(f"the hub answered {status} for {name}: run the same command again later")


def _file(said: dict[str, Any]) -> File:
    """A file as the hub's JSON describes it; raises ``ValueError`` for what cannot be."""
    large = said.get("lfs")
    size, blob, sha256 = said.get("size"), said.get("blobId"), large.get("sha256") if large else None
    if sha256 is not None and not re.fullmatch("[0-9a-f]{64}", sha256):
        raise ValueError("no sha256")
    if not _wanted(said["rfilename"]):
        return File(said["rfilename"], 0, None, None)
    if type(size) is not int or size < 0 or (sha256 is None and not re.fullmatch("[0-9a-f]{40}", blob or "")):
        raise ValueError("no size or hash")
    return File(said["rfilename"], size, sha256, blob)


def _check(part: Path, file: File) -> str | None:
    """The sha256 of a fetched file, or None where it is not what the hub described."""
    sha256, blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    with open(part, "rb") as read:
        while block := read.read(1 << 20):
            sha256.update(block)
            if file.sha256 is None:
                blob.update(block)
    if _size(part) != file.size:
        return None
    same = sha256.hexdigest() == file.sha256 if file.sha256 else blob.hexdigest() == file.blob
    return sha256.hexdigest() if same else None


def _part(work: Path, file: File) -> Path:
    return work / (file.path + ".part")


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def _work(name: Name, commit: str) -> Iterator[Path]:
    """The folder of an unfinished pull, held by one process at a time; it stays for the next attempt."""
    folder = name.folder
    work = folder.with_name(f".{folder.name}.{commit}.part")
    make_folder(folder.parent)
    try:
        with open(folder.with_name(f".{folder.name}.lock"), "w") as handle:
            try:
                import fcntl

                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except ImportError:  # Windows: two pulls of one model at once are then the user's care
                pass
            except OSError as error:
                raise GlaswerkError(f"{name} is being pulled by another process: wait for it") from error
            for old in folder.parent.glob(f".{folder.name}.*.part"):  # of commits that the name meant before
                if old != work:
                    shutil.rmtree(old, ignore_errors=True)
            if folder.is_symlink():
                folder.unlink()
            elif folder.exists() and not work.exists():
                folder.rename(work)  # damaged: what is whole in it need not be fetched again
            make_folder(work)
            yield work
    except OSError as error:
        raise explain(error, folder) from error


def _keep_only(work: Path, plan: list[File]) -> None:
    """Remove from an unfinished pull whatever is no file of the plan, whole or in part."""
    fits = {file.path for file in plan} | {file.path + ".part" for file in plan}
    for found in work.iterdir():
        if found.is_dir() and not found.is_symlink():
            shutil.rmtree(found)
        elif found.is_symlink() or found.name not in fits:
            found.unlink()


def _install(work: Path, folder: Path) -> None:
    """Rename the finished folder into place."""
    if folder.exists():
        shutil.rmtree(folder)
    work.rename(folder)
    sync_folder(folder.parent)
