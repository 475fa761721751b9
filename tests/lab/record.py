"""Records what figures ask into ``glaswerk/serve/questions.json``: python tests/lab/record.py [--first] [CHAPTER...]

Opens every page of the live lab on a small model, moves every slider through its places, makes every choice, and for
each choice of few moves the sliders again. With ``--first`` nothing is moved: only what pages open with is recorded, in
a minute. With names of chapters (``04-attention``) only their pages are opened; what other pages ask stays. Run it when
a figure asks something new; a test says so.
"""

from __future__ import annotations

import copy
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from browser import Visit, asked_by, chromium, exportable, lab, paths, small_model

from glaswerk.serve import votes
from glaswerk.serve.questions import FILE, Question
from glaswerk.serve.static import canonical

#: of a slider with more places, so many are visited, evenly spread; a choice among more is not combined with sliders
PLACES, FEW = 101, 6
#: questions kept of one kind, the earliest first; seconds that one figure may be moved for
MOST, SECONDS = 400, 40
#: figures whose controls are not moved: what they ask is answered in the page, or needs a server
BESIDE = {"life", "compare", "review", "training"}
Questions = dict[str, dict[str, list[dict[str, Any]]]]

#: what figures go on to compute once they are there is done too (later.js)
LATER_DONE = "() => !document.querySelector('.later progress')"
DRIVE = Path(__file__).with_name("drive.js").read_text("utf-8")


def main(chapters: list[str], first: bool) -> None:
    """Open, move, write."""
    told: Questions = json.loads(FILE.read_text("utf-8"))
    before = copy.deepcopy(told)
    names = [f"chapters/{name}/" for name in chapters]
    if not names:
        told["first"] = {}
        told["then"] = told["then"] if first else {}
    for kinds in told.values():  # questions of demo functions that are asked anew
        for kind in [kind for kind in kinds for name in chapters if kind.startswith(f"demo/{name}/")]:
            if not first or kinds is told["first"]:
                del kinds[kind]
    with (
        tempfile.TemporaryDirectory() as folder,
        lab(small_model(Path(folder) / "glass"), Path(folder) / "runs") as root,
        chromium() as tab,
    ):
        votes.place = lambda run: Path(folder) / votes.FILE  # what the recording votes for is nobody's preference
        for path in [path for language in ("en", "de") for path in paths(language)]:
            if names and not path.endswith(tuple(names)):
                continue
            with Visit(tab, root + path) as visit:
                for figure, text in visit.settle():
                    print(f"{path}: {figure} is not ready: {text or 'no word'}", file=sys.stderr)
                visit.page.wait_for_function(LATER_DONE, timeout=120_000)
                keep(told["first"], asked_by(visit, root))
                write(union(told, before))
                if first:
                    continue
                names_of = "all => all.map(each => each.dataset.figure)"
                for place, name in enumerate(visit.page.eval_on_selector_all("[data-figure]", names_of)):
                    if name in BESIDE:
                        continue
                    try:
                        visit.page.evaluate(DRIVE, [place, PLACES, FEW, SECONDS])
                    except Exception as error:  # what was asked before counts
                        print(f"{path}: figure {place}: {str(error).splitlines()[0]}", file=sys.stderr)
                keep(told["then"], asked_by(visit, root), told["first"])
            write(union(told, before))
            print(f"{path}: {sum(map(len, told['then'].values()))} questions so far", file=sys.stderr)
    in_parts(told)
    write(told)


def in_parts(told: Questions) -> None:
    """What comes in parts is asked for whole: a figure may have been moved on before its last part."""
    for kinds in told.values():
        for kind, asked in kinds.items():
            every = [each["part"] for part in told.values() for each in part.get(kind, []) if "part" in each]
            if not every or not all(type(one) is int for one in every):
                continue
            whole = [{**each, "part": part} for each in asked for part in range(max(every) + 1)]
            keep(kinds, [(kind, each) for each in whole], told["first"] if kinds is told.get("then") else None)


def union(told: Questions, before: Questions) -> Questions:
    """What is known so far and what was known before: a recording may be stopped, and tests may run beside it."""
    found = copy.deepcopy(told)
    for part, kinds in before.items():
        for kind, asked in kinds.items():
            keep(found[part], [(kind, arguments) for arguments in asked], found["first"] if part == "then" else None)
    return found


def write(told: Questions) -> None:
    """The file."""
    told = {part: dict(sorted(kinds.items())) for part, kinds in told.items()}
    lines = [f"{json.dumps(part)}: {{\n{block(kinds)}\n}}" for part, kinds in told.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def block(kinds: dict[str, list[dict[str, Any]]]) -> str:
    """One kind a line."""
    return ",\n".join(f"{json.dumps(kind)}: {json.dumps(asked, ensure_ascii=False)}" for kind, asked in kinds.items())


def keep(into: dict[str, list[dict[str, Any]]], asked: list[Question], beside: dict[str, Any] | None = None) -> None:
    """Add what is new: in neither of the two parts."""
    for kind, arguments in asked:
        parts = [into.get(kind, []), (beside or {}).get(kind, [])]
        known = {canonical(each) for part in parts for each in part}
        if not exportable((kind, arguments)) and kind not in ("trace", "next", "tokens"):
            continue
        if canonical(arguments) not in known and len(parts[0]) < MOST:
            into.setdefault(kind, []).append(arguments)


if __name__ == "__main__":
    main([name for name in sys.argv[1:] if not name.startswith("-")], "--first" in sys.argv)
