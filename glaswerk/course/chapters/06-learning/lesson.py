"""A small language model that learns while somebody watches: the library's own loop in a thread, piece by piece.

A piece of the training is computed when the page asks for it (and one ahead); who asks no more has stopped it. So it
is bounded in time, one at a time, and what it shows depends on its arguments alone: a recorded run is the same run.
It learns from this course's own glossary and chapters. Left out: compiling, checkpoints, bf16 (see `glaswerk run`).
"""

from __future__ import annotations

import re
import threading
import time
from typing import Any

import numpy as np
import torch

from glaswerk import generate
from glaswerk.course.demo import demo
from glaswerk.course.glossary import glossary
from glaswerk.course.outline import OUTLINE
from glaswerk.errors import GlaswerkError
from glaswerk.model import Decoder, ModelConfig
from glaswerk.tokenizer import CharacterTokenizer
from glaswerk.train.data import Windows
from glaswerk.train.loop import Diverged, train
from glaswerk.train.objective import next_token_loss
from glaswerk.train.plan import TrainPlan

STEPS, PIECE, BATCH, TIME = 400, 20, 16, 64
PIECES = STEPS // PIECE + 1
#: seconds after which a training that nobody asks for may be replaced, and after which it ends by itself
ABANDONED, GIVEN_UP = 1.5, 20.0
PROMPTS = {"en": "A model ", "de": "Ein Modell "}


def course_text(language: str) -> str:
    """The glossary and the prose of the written chapters, without figures, formulas and marks."""
    parts = [f"{term.word[language]}: {term.text[language]}" for term in glossary().values()]
    files = [found.folder / f"{language}.md" for found in OUTLINE]
    parts += [file.read_text(encoding="utf-8") for file in files if file.is_file()]
    text = re.sub(r"(?ms)^```.*?^```$|\$\$.*?\$\$|\$[^$\n]+\$|\{=[^}]*\}|^\|.*?$", "", "\n".join(parts))
    text = re.sub(r"\{[a-z]+:([^{}]*)\}|\[\[(?:[a-z0-9-]+\|)?([^\]]*)\]\]|\[([^\]]*)\]\([^)]*\)", r"\1\2\3", text)
    text = re.sub(r"[*`#]", "", text)
    known = set("abcdefghijklmnopqrstuvwxyzäöüßABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÜ0123456789 \n.,:;?!-()/„“”’+−=%")
    return re.sub(r"\s*\n\s*", "\n", "".join(character for character in text if character in known)).strip()


class Stopped(Exception):
    """Nobody asks any more, or another training takes its place."""


class Lesson:
    """One training. ``piece(n)`` waits for what the model could do after ``n`` pieces of ``PIECE`` steps."""

    def __init__(self, language: str, factor: float, muon: bool) -> None:
        self.key = (language, factor, muon)
        self.language, self.factor, self.muon = language, factor, muon
        self.pieces: list[dict[str, Any]] = []
        self.asked, self.wanted, self.over, self.stopping = time.monotonic(), 0, False, False
        self.error: GlaswerkError | None = None
        self.changed = threading.Condition()
        self.losses: list[tuple[int, float]] = []
        self.thread = threading.Thread(target=self.run, name="glaswerk-lesson", daemon=True)
        self.thread.start()

    def run(self) -> None:
        """In the thread."""
        try:
            self.train()
        except Stopped:
            pass
        except GlaswerkError as error:
            self.error = error
        except Exception as error:  # a thread's traceback would reach nobody
            self.error = GlaswerkError(f"{type(error).__name__}: {error}")
        with self.changed:
            self.over = True
            self.changed.notify_all()

    def train(self) -> None:
        """The library's loop, with this as its evaluation."""
        text = course_text(self.language)
        self.tokenizer = CharacterTokenizer.train([text])
        ids = np.array(self.tokenizer.encode(text), dtype=np.int64)
        cut = int(0.9 * len(ids))
        self.parts = {"learned": Windows(ids[:cut], TIME, BATCH, 1), "held_out": Windows(ids[cut:], TIME, BATCH, 1)}
        config = ModelConfig.modern(
            vocabulary_size=self.tokenizer.vocabulary_size, width=64, layers=2, heads=2, context=2 * TIME
        )
        self.model = Decoder(config)
        self.model.reset_parameters(torch.Generator().manual_seed(0))
        plan = TrainPlan(
            STEPS, BATCH, TIME, matrix_rate=0.02 * self.factor, other_rate=0.005 * self.factor, muon=self.muon,
            dtype="fp32", compile=False, evaluate_every=PIECE, log_every=5,
        )  # fmt: skip
        self.look(0)
        try:
            train(self.model, Windows(ids[:cut], TIME, BATCH, 0), next_token_loss, plan, log=self, evaluate=self.next)
            self.look(STEPS)
        except Diverged:
            self.hand_over({"step": PIECE * len(self.pieces), "diverged": True, "losses": self.losses})

    # ------------------------------------------------------------------ what the loop tells
    def emit(self, **event: Any) -> None:
        """A step's loss, as the loop logs it."""
        if event["kind"] == "step":
            self.losses.append((event["step"], event["loss"]))

    def events_size(self) -> int:
        """Nothing is written."""
        return 0

    def cut_events(self, stage: str, size: int = 0) -> None:
        """Nothing was written."""

    # ------------------------------------------------------------------ pieces
    @torch.no_grad()
    def look(self, step: int) -> None:
        """Loss on text it learns from and on held-out text, and what it writes now."""
        self.model.eval()
        loss = {
            name: sum(float(next_token_loss(self.model, *part.batch(k))) for k in range(2)) / 2
            for name, part in self.parts.items()
        }
        prompt = PROMPTS[self.language]
        options = generate.SamplingOptions(max_tokens=90, temperature=0.7, seed=0)
        written = generate.batch(self.model, self.tokenizer, [self.tokenizer.encode(prompt)], options, ())[0].text
        self.hand_over({
            "step": step, "diverged": False, **loss, "losses": self.losses, "prompt": prompt, "sample": written,
            "parameters": self.model.parameters_count()["total"], "vocabulary": self.tokenizer.vocabulary_size,
            "tokens": step * BATCH * TIME, "text": sum(len(part.tokens) for part in self.parts.values()),
        })  # fmt: skip

    def hand_over(self, piece: dict[str, Any]) -> None:
        """One more piece is there."""
        with self.changed:
            self.pieces.append({**piece, "piece": len(self.pieces), "pieces": PIECES, "steps": STEPS})
            self.losses = []
            self.changed.notify_all()

    def next(self) -> dict[str, float]:
        """The loop's evaluation: hands over a piece, then waits until somebody wants more."""
        self.look(PIECE * len(self.pieces))
        with self.changed:
            more = self.changed.wait_for(lambda: self.stopping or self.wanted >= len(self.pieces) - 1, GIVEN_UP)
        if not more or self.stopping:
            raise Stopped
        return {}

    def piece(self, number: int) -> dict[str, Any]:
        """The piece with this number. Raises :class:`GlaswerkError` where there will be none."""
        with self.changed:
            self.asked, self.wanted = time.monotonic(), max(self.wanted, number)
            self.changed.notify_all()
            self.changed.wait_for(lambda: len(self.pieces) > number or self.over, 120)
            if len(self.pieces) > number:
                return self.pieces[number]
            if self.pieces and self.pieces[-1]["diverged"]:
                return self.pieces[-1]
            if self.error is not None:
                raise self.error
            raise GlaswerkError(
                "this training was stopped; start it again", "Dieses Training wurde angehalten. Starte es neu."
            )

    def stop(self) -> None:
        """End the thread at the next piece."""
        with self.changed:
            self.stopping = True
            self.changed.notify_all()
        self.thread.join()


_current: Lesson | None = None
_choosing = threading.Lock()


def started(language: str, factor: float, muon: bool, number: int) -> Lesson:
    """The training that these arguments mean; a new one if it is not the one that runs. Raises
    :class:`GlaswerkError` while another page watches another one."""
    global _current
    with _choosing:
        now = _current
        if now is not None and now.key == (language, factor, muon) and (not now.over or len(now.pieces) > number):
            return now
        if now is not None and not now.over:
            time.sleep(min(ABANDONED, max(0.0, now.asked + ABANDONED - time.monotonic())))
            if now.asked + ABANDONED > time.monotonic():
                raise GlaswerkError(
                    "another training runs in this lab: stop that one, or wait until it is done",
                    "In diesem Labor läuft schon ein Training. Halte es an, oder warte, bis es fertig ist.",
                )
            now.stop()
        _current = Lesson(language, factor, muon)
        return _current


@demo(language={"en", "de"}, factor=(0.01, 100), piece=(0, PIECES - 1))
def lesson(language: str = "en", factor: float = 1.0, muon: bool = True, piece: int = 0) -> dict[str, Any]:
    """What the small model can do after ``piece`` pieces of its training, with its learning rates times ``factor``,
    by Muon for the matrices or AdamW for all: losses, and a text it writes."""
    return started(language, factor, muon, piece).piece(piece)
