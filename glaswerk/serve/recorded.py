"""The course where no model is: answers recorded once from a small run of ours, and shown as what they are.

``recorded.zip`` holds what the life of a prompt and chapters 0 to 7 ask when they open (``questions.json``, "first"),
answered by the library as for an exported site. Made anew by

    python -m glaswerk.serve.recorded RUN

The model answers as if it had no run: no text of a corpus gets into the archive. Left out: what controls ask, and the
chapters about a run's stages; they say that a model is needed.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from glaswerk.errors import GlaswerkError, NotHere
from glaswerk.home import replacing
from glaswerk.serve import static

FILE = Path(__file__).with_name("recorded.zip")
#: the entry that says of which model the answers are; the last chapter that needs no run
NAME, LAST = "name", "07"
#: the entry with the steps of the life page's prompt, and which: those of its first layer, before and after
LIFE, PROMPT, STEPS = "life", "Paris ist die Hauptstadt von", "tokens,embeddings,position*,blocks.0.*,norm"

#: steps whose first number the page takes apart at once
ROWS = ("attention_norm", "attention.q", "attention.output", "mlp_norm")


@cache
def entries() -> dict[str, bytes]:
    """All of the archive, compressed answers unpacked; nothing where there is none."""
    if not FILE.is_file():
        return {}
    with zipfile.ZipFile(FILE) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def model() -> str:
    """Of which model the answers are; empty where nothing was recorded."""
    return entries().get(NAME, b"").decode()


def answer(kind: str, arguments: Mapping[str, Any]) -> str:
    """A recorded answer. Raises :class:`NotHere` for a question that was not recorded."""
    found = entries().get(entry(kind, arguments)) or part_of_life(kind, arguments)
    if found is None:
        raise NotHere(
            "this was not recorded: make a model with `glaswerk run`, then the figure computes it",
            "Das ist nicht aufgezeichnet. Mach ein Modell mit `glaswerk run`, dann rechnet die Abbildung selbst.",
        )
    return found.decode()


def part_of_life(kind: str, arguments: Mapping[str, Any]) -> bytes | None:
    """Some steps of the life page's prompt, which asks for them as its reader goes along; None where one is missing."""
    if kind != "trace" or arguments.keys() != {"prompt", "only"} or arguments["prompt"] != PROMPT:
        return None
    whole, names = json.loads(entries()[LIFE]), set(str(arguments["only"]).split(","))
    steps = [step for step in whole["steps"] if step["name"] in names]
    return json.dumps({**whole, "steps": steps}).encode() if len(steps) == len(names) else None


def entry(kind: str, arguments: Mapping[str, Any]) -> str:
    """The archive's name for a question."""
    return f"{kind}/{static.fingerprint(static.canonical(arguments))}"


def record(name: str, file: Path = FILE) -> int:
    """Answer what pages ask first with the model ``name`` and write ``file``; returns the number of answers."""
    from glaswerk.found import Origin
    from glaswerk.opened import load
    from glaswerk.serve import data, questions
    from glaswerk.serve.site import open_holder

    opened = load(name, "fp32")
    opened.origin = Origin(opened.origin.folder, pulled=opened.origin.name)  # a name, and no run
    holder = open_holder(opened)
    answers = {NAME: holder.name, entry("models", {}): json.dumps({"open": holder.name, "models": []})}
    answers[LIFE] = data.answer(holder, "trace", {"prompt": PROMPT, "only": STEPS})
    place = len(opened.tokenizer.encode(PROMPT)) - 1
    rows = [("row", {"place": 0, "step": f"blocks.0.{step}"}) for step in ROWS]
    asked = [("stack", {"prompt": PROMPT, "place": place}), *rows, *questions.recorded("first")]
    for kind, arguments in asked:
        _, _, chapter = kind.partition("demo/")
        if "model" in arguments or "with" in arguments or chapter[:2] > LAST:  # a second model, or stages of a run
            continue
        try:
            answers.setdefault(entry(kind, arguments), data.answer(holder, kind, arguments))
        except (GlaswerkError, LookupError):  # a question that this model has no answer to
            continue
    with replacing(file) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_LZMA) as archive:
        for key in sorted(answers):  # with one date, so that equal answers are equal files
            archive.writestr(zipfile.ZipInfo(key), answers[key], zipfile.ZIP_LZMA)
    return len(answers) - 1


if __name__ == "__main__":
    print(f"{record(sys.argv[1])} answers, {FILE.stat().st_size / 1e6:.2f} MB")
