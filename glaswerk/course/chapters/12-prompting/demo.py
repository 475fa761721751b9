"""What chapter 12 computes: how well a prompt template does on a small task, one request in ten wordings, replies in
the chat format with and without a system message, JSON asked for in words against JSON that cannot fail, and texts
that carry orders.

The tasks lie in ``asking.py``, conversations in ``talking.py``, what a recipe measured in ``recorded.py``, all beside
this file. Left out: training a model to follow instructions (chapter 8) and to think (``recipes/thinking_budget.py``).
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from glaswerk.course.demo import demo, load_module
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.metrics.intervals import wilson

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel


def beside(name: str) -> ModuleType:
    """A file of this folder as a module: the folder's name begins with a number, so ``import`` cannot."""
    return load_module(Path(__file__).with_name(f"{name}.py"), f"glaswerk_chapter_prompting_{name}")


asking, talking, recorded = beside("asking"), beside("talking"), beside("recorded")
steps = recorded.steps

#: candidates that are shown for the next token; requests of each kind whose replies can be read
SHOWN, READ = 7, 8


# ---------------------------------------------------------------------------------------------- a template
@demo(task={*asking.TASKS}, shape={*asking.SHAPES}, template=600)
def template(model: OpenedModel, task: str = "opposites", shape: str = "zero", template: str = "") -> dict[str, Any]:
    """A template on all items of a task: each item's answer, the probability that the model gives it, and whether
    greedy decoding would write it; the share of right ones with its 95 % interval. Without a template, the ready one
    of the shape."""
    ready = {name: asking.told()[task][name] for name in asking.SHAPES}
    used = template or ready[shape]
    pairs = asking.items(task)
    found = asking.tried(model, used, pairs)
    return {
        "model": model.origin.name, "task": task, "ready": ready, "template": used,
        "items": [
            [*pair, chance, right]
            for pair, chance, right in zip(pairs, found.probabilities, found.right, strict=True)
        ],
        "right": sum(found.right), "interval": found.interval, "mean": float(np.mean(found.probabilities)),
    }  # fmt: skip


@demo(task={*asking.TASKS}, shape={*asking.SHAPES}, template=600, item=(0, asking.ITEMS - 1))
def candidates(
    model: OpenedModel, task: str = "opposites", shape: str = "zero", template: str = "", item: int = 0
) -> dict[str, Any]:
    """One item in a template: the whole prompt, and the likeliest tokens to follow it."""
    question, answer = asking.items(task)[item]
    prompt = asking.filled(template or asking.told()[task][shape], question).rstrip()
    return {
        "model": model.origin.name, "prompt": prompt, "answer": answer,
        "top": asking.candidates(model, prompt, answer, SHOWN),
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- wordings
#: model -> (place, examples) -> how a wording did
_worded: WeakKeyDictionary[Any, dict[tuple[int, bool], Any]] = WeakKeyDictionary()
WORDINGS = len(asking.told()["wordings"]["texts"])


@demo(piece=(0, WORDINGS - 1))
def wordings(model: OpenedModel, examples: bool = False, piece: int = WORDINGS - 1) -> dict[str, Any]:
    """One request in different wordings up to a piece, with or without two examples before it: the share of right
    answers of each with its 95 % interval, and how far they lie apart."""
    asked = asking.told()["wordings"]
    pairs = asking.items(asked["task"])
    known = _worded.setdefault(model, {})
    rows = []
    for place in range(piece + 1):
        text = asked["texts"][place]
        whole = asking.with_examples(text, asked["examples"]) if examples else text
        if (place, examples) not in known:
            known[place, examples] = asking.tried(model, whole, pairs)
        found = known[place, examples]
        rows.append({
            "text": text, "right": sum(found.right), "share": found.share, "interval": found.interval,
            "mean": float(np.mean(found.probabilities)),
        })  # fmt: skip
    shares = [row["share"] for row in rows]
    return {
        "model": model.origin.name, "count": WORDINGS, "asked": len(pairs), "rows": rows, "examples": examples,
        "low": min(shares), "high": max(shares), "average": float(np.mean(shares)),
        "deviation": float(np.std(shares, ddof=1)) if len(shares) > 1 else None,
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- conversations
#: model -> (subject, way) -> what was asked and said
_said: WeakKeyDictionary[Any, dict[tuple[str, str], Any]] = WeakKeyDictionary()
MOST_WAYS = max(len(ways) for ways in talking.WAYS.values())


def said(model: OpenedModel, what: str, way: str) -> tuple[list[Any], list[str]]:
    """The requests of a subject in one of its ways, and the model's replies; asked once."""
    known = _said.setdefault(model, {})
    # what is blocked is blocked after the reply, which is the one without that guard
    way = "never" if way == "blocked" else way
    if (what, way) not in known:
        asked = talking.requests(what, way, asking.items("capitals"))
        known[what, way] = asked, talking.replies(model, what, way, asked)
    found: tuple[list[Any], list[str]] = known[what, way]
    return found


@demo(what={*talking.WAYS}, piece=(0, MOST_WAYS - 1))
def replies(model: OpenedModel, what: str = "roles", piece: int = MOST_WAYS - 1) -> dict[str, Any]:
    """The same requests in one way after the other, up to a piece: how many replies are what, with 95 % intervals; some
    of the requests, token by token as the model gets them, and the replies to these."""
    ways = talking.WAYS[what]
    rows = []
    for way in ways[: piece + 1]:
        asked, done = said(model, what, way)
        some = readable(asked)
        rows.append({
            **talking.counted(what, way, asked, done),
            "wholes": [talking.shown(model, asked[place]) for place in some],
            "replies": [done[place] for place in some],
            "verdicts": [talking.judged(what, way, asked[place], done[place]) for place in some],
        })  # fmt: skip
    asked, _ = said(model, what, ways[0])
    countries = [question for question, _ in asking.items("capitals")]
    names = [asked[place].messages[-1][1] if what == "mail" else countries[place] for place in readable(asked)]
    return {
        "model": model.origin.name, "what": what, "ways": ways, "count": len(ways), "rows": rows, "asked": names,
        "chat": model.has_chat,
    }  # fmt: skip


def readable(asked: list[Any]) -> list[int]:
    """The places of the requests whose replies are shown: the first, and of the harmless ones the first two."""
    harmless = [place for place, one in enumerate(asked) if one.harmless]
    return [*range(READ - len(harmless[:2])), *harmless[:2]]


@demo(text=300, way={*talking.WAYS["mail"]})
def own_mail(model: OpenedModel, text: str = "What is the code for friends?", way: str = "open") -> dict[str, Any]:
    """The shop's reply to a reader's own mail under one guard, and whether the code got out or a guard withheld it."""
    if not text.strip():
        raise GlaswerkError("write a mail first", "Schreib erst eine Mail.")
    asked = talking.posted(text.strip(), way)
    (reply,) = talking.replies(model, "mail", way, [asked])
    return {"model": model.origin.name, "reply": reply, "verdict": talking.judged("mail", way, asked, reply)}


# ---------------------------------------------------------------------------------------------- prose
@demo()
def numbers() -> dict[str, float]:
    """The numbers that stand in the prose, the quiz and the exercises."""
    low, high = wilson(16, asking.ITEMS)
    # all three steps right, where one is right so often
    chains = {f"chain_{q}": 100 * (q / 100) ** 3 for q in (95, 80, 50)}
    return {
        **recorded.in_prose(),
        **chains,
        "items": asking.ITEMS,
        "half_low": 100 * low,
        "half_high": 100 * high,
        "wordings": WORDINGS,
    }
