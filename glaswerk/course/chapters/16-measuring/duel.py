"""The pairs of chapter 16's arena: a question and two replies without names.

Two stages of the open model's run meet; where it has one stage only (or no run), the model meets itself at two
temperatures. Which two, and who stands first, is drawn from the question's number, so that an exported page shows the
same pairs. Left out: counting votes (``demo.py``) and keeping them (``glaswerk/serve/votes.py``).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glaswerk.course.demo import demo
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.choice import WORDS

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel

QUESTIONS = {
    "en": (
        "What is a volcano?", "Why is the sky blue?", "What do bees do?", "Tell me about the moon.",
        "How does one bake bread?", "What is a river?", "What is a library for?", "Who was Napoleon?",
        "What does a doctor do?", "What is music?", "Why do people sleep?", "What is a city?",
    ),
    "de": (
        "Was ist ein Vulkan?", "Warum ist der Himmel blau?", "Was tun Bienen?", "Erzähl mir etwas über den Mond.",
        "Wie backt man Brot?", "Was ist ein Fluss?", "Wozu gibt es Bibliotheken?", "Wer war Napoleon?",
        "Was tut eine Ärztin?", "Was ist Musik?", "Warum schlafen Menschen?", "Was ist eine Stadt?",
    ),
}  # fmt: skip
COUNT = len(QUESTIONS["en"])
#: how a model alone meets itself, and what stages are drawn with
TEMPERATURES, OWN = (0.0, 0.7, 1.3), 0.7
TOKENS = 48


@lru_cache(maxsize=2)
def stage(run: Path | None, name: str) -> OpenedModel:
    """Another stage of a run, opened."""
    from glaswerk.opened import load
    from glaswerk.run import Run

    assert run is not None
    return load(Run(run).stage(name))


def contestants(model: OpenedModel) -> dict[str, tuple[str | None, float]]:
    """Name -> the stage to ask (None: the open model) and the temperature."""
    from glaswerk.run import Run

    there = Run(model.origin.run).writers() if model.origin.run is not None else []
    if len(there) > 1:
        return {name: (None if name == model.origin.stage else name, OWN) for name in there}
    return {f"T = {temperature:g}": (None, temperature) for temperature in TEMPERATURES}


@demo(language={"en", "de"}, number=(0, COUNT - 1))
def duel(model: OpenedModel, language: str = "en", number: int = 0) -> dict[str, Any]:
    """Question ``number`` and the replies of two contestants, in a drawn order; and who they are, for after the
    vote."""
    all_ = contestants(model)
    pairs = list(combinations(all_, 2))
    rng = np.random.default_rng(number)
    names = [pairs[number % len(pairs)][place] for place in rng.permutation(2)]
    question = QUESTIONS[language][number]
    replies: list[str] = []
    for name in names:
        own, temperature = all_[name]
        asked = model if own is None else stage(model.origin.run, own)
        for seed in range(number, number + 100, 20):  # another draw where both say the same
            reply = replied(asked, question, language, temperature, seed)
            if reply not in replies or temperature == 0:
                break
        replies.append(reply)
    if replies[0] == replies[1]:
        raise GlaswerkError(
            "both replies are the same, so there is nothing to prefer: take another question",
            "Beide Antworten sind gleich, da gibt es nichts vorzuziehen. Nimm eine andere Frage.",
        )
    return {
        "model": model.origin.name, "question": question, "questions": QUESTIONS[language], "number": number,
        "replies": replies, "names": names, "contestants": [*all_],
    }  # fmt: skip


def replied(model: OpenedModel, question: str, language: str, temperature: float, seed: int) -> str:
    """A reply in the model's chat format where it was taught to chat, else as text that goes on."""
    from glaswerk.evaluate.scoring import chats

    ask, answer, _ = WORDS[language]
    options: dict[str, Any] = {"max_tokens": TOKENS, "temperature": temperature, "seed": seed}
    if chats(model):
        return model.chat([{"role": "user", "content": question}], **options).text.strip() or "…"
    options["stop"] = [f"\n{ask}", "\n\n"]
    return model.generate(f"{ask} {question}\n{answer}", **options).text.strip() or "…"
