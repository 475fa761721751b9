"""The open model on a budget: a question of the reader's own, so many tokens of thinking, then the answer. Nothing is
measured here: a single reply says nothing about how often a model is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glaswerk.course.demo import demo
from glaswerk.generate.thinking import MARKER, WAIT, think
from glaswerk.tokenizer.chip import chip

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel

#: the budgets that a reader can set, and tokens of the answer
BUDGETS, ANSWER = (0, 4, 8, 16, 32, 64), 10
#: the longest question
LONGEST = 200
#: what stands before the answer, and what makes it go on
WORDS = {"en": (MARKER, WAIT), "de": ("Antwort:", "Warte")}


@demo(language={*WORDS}, prompt=LONGEST, budget=(0, BUDGETS[-1]), waits=(0, 2))
def trial(
    model: OpenedModel, language: str = "en", prompt: str = "What is 48 + 36?", budget: int = 16, waits: int = 0
) -> dict[str, Any]:
    """The open model's thinking with at most ``budget`` tokens, likeliest token by token, and its answer after the
    marker; a model without chat goes on with the text. ``depth``: layers that the answer's first token went through,
    one after the other, at most."""
    question = prompt.strip() or "?"
    if model.has_chat:
        ids = model.chat_ids([{"role": "user", "content": question}])
    else:
        ids = model.speech.text(f"{question}\n")
    marker, wait = WORDS[language]
    how: dict[str, Any] = {"marker": marker, "wait": wait, "waits": waits, "answer": ANSWER, "end_ids": model.end_ids}
    (thought,) = think(model.model, model.tokenizer, [ids], budget, **how)
    layers = model.model.config.layers
    return {
        "model": model.origin.name, "prompt": question, "chat": model.has_chat, "budget": budget, "marker": marker,
        "thinking": [chip(model.tokenizer.token_bytes(id)) for id in model.tokenizer.encode(thought.thinking)],
        "answer": thought.answer, "tokens": thought.tokens, "forced": thought.forced, "waited": thought.waited,
        "layers": layers, "depth": layers * (thought.tokens + 1),
    }  # fmt: skip
