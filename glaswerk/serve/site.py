"""The course and a model as a folder of files that any static host can serve, under any path.

``write_site("runs/paris", folder)``: every page in both languages; what figures ask, answered ahead; and for a small
model the model itself, which then runs in the reader's browser and answers anything. Left out: what needs a server at
every visit (running training, reviews that are kept, a second model beside the first); those parts say so themselves.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from math import inf
from pathlib import Path

from glaswerk import __version__
from glaswerk.errors import GlaswerkError
from glaswerk.home import explain, make_folder, write_json
from glaswerk.opened import OpenedModel, load
from glaswerk.progress import Progress
from glaswerk.serve import data, pages, questions, site_model, static
from glaswerk.serve.holder import Holder

#: by this file an export is known again, and may be replaced
MARK = "site.json"
PARTS = ("en", "de", "web", "data", "model")
#: answers to what controls ask are written up to so many bytes, until the whole site has MOST_SITE, and for so many
#: seconds (a large model takes some for each); what pages ask first always is
MOST_ANSWERS = 12_000_000
MOST_SITE = 25_000_000
MOST_SECONDS = 900
#: of MOST_SITE, what the index and the last answer may take
SPARE = 300_000
#: what the model in the browser answers itself
IN_BROWSER = ("tokens", "trace", "next", "step", "row", "stack")


@dataclass(frozen=True, slots=True)
class Site:
    """What was written. ``why_not`` says why the model does not run in the page; empty: it does, in these
    ``numbers``."""

    folder: Path
    pages: int
    answers: int
    left_out: int
    bytes: int
    why_not: str
    numbers: str


def write_site(model: str | Path, folder: Path | str, progress: Progress | None = None) -> Site:
    """Export into ``folder``, which must be new, empty, or an earlier export (that is replaced). Raises
    :class:`GlaswerkError` in one line otherwise."""
    folder, progress = Path(folder), progress or Progress()
    opened = load(model, "fp32")
    why_not = site_model.refusal(opened)
    if not why_not:
        opened = site_model.for_browser(opened)
    if not (pages.WEB / "vendor" / "vendor.json").is_file():
        raise GlaswerkError("the figures' libraries are missing: run `make setup`, then export again")
    claim(folder)
    holder = open_holder(opened)
    shutil.copytree(pages.WEB, folder / "web", ignore=shutil.ignore_patterns("__pycache__", "*.mjs"))
    for path in pages.paths():
        text, policy = pages.page(path)
        put(folder / path / "index.html", static.as_file(text, policy, holder.name, not why_not))
    put(folder / "index.html", static.front())
    put(folder / ".nojekyll", "")  # GitHub Pages would drop what begins with _
    if not why_not:
        site_model.write_model(opened, folder / "model")
    room = min(MOST_ANSWERS, MOST_SITE - SPARE - size(folder))
    answers, left_out = write_answers(holder, folder / "data", room, browser=not why_not, progress=progress)
    numbers = "" if why_not else site_model.numbers(opened)
    made = Site(folder, len(pages.paths()), answers, left_out, size(folder), why_not, numbers)
    write_json(folder / MARK, {"glaswerk": __version__, "model": holder.name, "pages": made.pages, "answers": answers})
    return made


def claim(folder: Path) -> None:
    """Make ``folder`` ready: an earlier export goes; anything else that is there is left alone and refused."""
    make_folder(folder)
    if (folder / MARK).is_file():
        (folder / MARK).unlink()
        for part in PARTS:
            shutil.rmtree(folder / part, ignore_errors=True)
    elif any(path.name not in (".git", ".nojekyll", "CNAME", "index.html", *PARTS) for path in folder.iterdir()):
        raise GlaswerkError(f"{folder} is not empty and no earlier export: choose another folder, or empty it")
    elif any((folder / part).exists() for part in PARTS):
        raise GlaswerkError(f"{folder} holds an export that was not finished: remove it, or choose another folder")


def size(folder: Path) -> int:
    """The bytes of the site in ``folder``."""
    files = [folder / "index.html", *(path for part in PARTS for path in (folder / part).rglob("*"))]
    return sum(path.stat().st_size for path in files if path.is_file())


def put(path: Path, text: str) -> None:
    """Write a file of the site. Thousands are not forced to the disk one by one: MARK, the last one, says that all are
    there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise explain(error, path) from error


def open_holder(opened: OpenedModel) -> Holder:
    """A holder of one open model, with nothing beside it."""
    holder = Holder(runs=Path("-"))
    holder.opened, holder.name, holder.state = opened, opened.origin.name, "ready"
    return holder


def write_answers(holder: Holder, folder: Path, room: int, *, browser: bool, progress: Progress) -> tuple[int, int]:
    """The answers as files, and an index of them; how many there are and how many did not fit into ``room`` bytes and
    ``MOST_SECONDS``."""
    opened = holder.model()
    config = opened.model.config
    names = [step.name for step in opened.trace([opened.tokenizer.end_id] * 2)]
    first = list(questions.recorded("first"))
    asked = questions.stretched([*first, *questions.recorded("then")], config.layers, config.heads, names)
    # what pages open with, as it was asked, comes first and always
    at_once = {(kind, static.canonical(arguments)) for kind, arguments in first}
    wanted = [(kind, told, (kind, static.canonical(told)) in at_once) for kind, told in asked]
    wanted.sort(key=lambda one: not one[2])
    index: dict[str, list[str]] = {"models": [static.fingerprint("{}")]}
    put(folder / "models" / f"{index['models'][0]}.json", json.dumps({"open": holder.name, "models": []}))
    total, written, left_out = 0, 1, 0
    until = inf
    progress.start("answers", len(wanted), "answers")
    for kind, arguments, always in wanted:
        progress.advance(1)
        if kind == "models" or "model" in arguments or "with" in arguments or (browser and kind in IN_BROWSER):
            continue
        if not always:
            until = min(until, time.monotonic() + MOST_SECONDS)
            if total > room or time.monotonic() > until:
                left_out += 1
                continue
        try:
            text = data.answer(holder, kind, arguments)
        except (GlaswerkError, LookupError):  # a question that this model has no answer to
            continue
        name = static.fingerprint(static.canonical(arguments))
        put(folder / kind / f"{name}.json", text)
        index.setdefault(kind, []).append(name)
        total += len(text.encode())
        written += 1
    put(folder / "index.json", json.dumps(index, separators=(",", ":")))
    progress.done(f"{written:,} answers, {total / 1e6:,.1f} MB")
    return written, left_out
