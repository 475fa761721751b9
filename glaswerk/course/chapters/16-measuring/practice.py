"""A small model that learns to write words backwards while somebody watches, and a copy of it that learns its test.

The first training shows loss against accuracy over its checkpoints; the copy goes on from a checkpoint in the middle,
on the test's own words or on new ones. Both run by the library's own loop in a thread, each once; a page asks for
checkpoint after checkpoint and waits for those that are not there yet. Left out: stopping (it takes seconds).
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from glaswerk.course.demo import demo
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.likelihood import asked, likelihoods
from glaswerk.evaluate.metrics.intervals import interval, mean
from glaswerk.evaluate.task import Choice, Messages, Task, pair
from glaswerk.found import Origin
from glaswerk.model import Decoder, ModelConfig
from glaswerk.opened import OpenedModel
from glaswerk.tokenizer import CharacterTokenizer
from glaswerk.tokenizer.speech import Speech
from glaswerk.train.data import Windows
from glaswerk.train.loop import train
from glaswerk.train.objective import next_token_loss
from glaswerk.train.plan import TrainPlan

LETTERS, LENGTH = "aeiounrst", 4
#: words in the test, and as many fresh ones; neither is practised
TESTED = 100
STEPS, EVERY, BATCH, TIME = 360, 15, 16, 48
CHECKPOINTS = STEPS // EVERY + 1
#: where the copy begins, how long it goes on, and how often it is looked at
MIDDLE, MORE, LOOK = 75, 80, 8
LOOKS = MORE // LOOK + 1
WRITTEN = 4


class Backwards(Task):
    """Write a word of four letters backwards; as a choice, the right answer stands among three nearly right ones."""

    name, metric, chance = "backwards", "exact match", 0.0

    def __init__(self, words: list[str]) -> None:
        self.words = words

    def __len__(self) -> int:
        return len(self.words)

    def conversation(self, i: int) -> Messages:
        return pair(f"{self.words[i]}>", self.words[i][::-1])

    def grade(self, i: int, reply: str) -> float:
        return float(reply.strip() == self.words[i][::-1])

    def choice(self, i: int) -> Choice:
        """Wrong options have two letters swapped, or one letter changed."""
        rng = np.random.default_rng(i)
        right = self.words[i][::-1]
        options = [right]
        while len(options) < 4:
            letters = list(right)
            one, two = rng.choice(LENGTH, 2, replace=False)
            letters[one], letters[two] = (
                (letters[two], letters[one]) if rng.random() < 0.5 else (LETTERS[rng.integers(9)], letters[two])
            )
            if "".join(letters) not in options:
                options.append("".join(letters))
        place = int(rng.integers(4))
        options[0], options[place] = options[place], options[0]
        return Choice(f"\n{self.words[i]}>", tuple(f"{option}\n" for option in options), place)


def words() -> tuple[list[str], list[str], list[str]]:
    """Words to practise, to test, and fresh ones: apart, and every word there is in one of them at most."""
    every = np.random.default_rng(0).permutation(len(LETTERS) ** LENGTH)
    spelled = ["".join(LETTERS[number // 9**place % 9] for place in range(LENGTH)) for number in every.tolist()]
    return spelled[2 * TESTED :], spelled[:TESTED], spelled[TESTED : 2 * TESTED]


def text_of(task: Task, count: int, seed: int) -> str:
    """``count`` conversations of the task as lines to learn from, in an order of its own each time round."""
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(len(task)) for _ in range(-(-count // len(task)))])[:count]
    return "".join(f"{task.prompt(i)[-1]['content']}{task.answer(i)}\n" for i in order.tolist())


# ---------------------------------------------------------------------------------------------- looking
def look(opened: OpenedModel, task: Task) -> dict[str, Any]:
    """Loss on the right answers (nats per answer), the share of right choices among four, and the share that is right
    to the last letter, each with its 95 % interval."""
    choices = [task.choice(i) for i in range(len(task))]
    texts = [asked(opened, choice.context, option) for choice in choices if choice for option in choice.options]
    found = likelihoods(opened.model.eval(), texts)
    loss, picked, exact = [], [], []
    for place, choice in enumerate(choices):
        assert choice is not None
        four = found[4 * place : 4 * place + 4]
        best = max(range(4), key=lambda at: four[at].total)
        loss.append(-four[choice.right].total)
        picked.append(float(best == choice.right))
        exact.append(float(four[choice.right].greedy))  # what it would write, letter by letter
    return {
        "loss": mean(loss), "choice": mean(picked), "choice_interval": interval(picked),
        "exact": mean(exact), "exact_interval": interval(exact),
    }  # fmt: skip


def written(opened: OpenedModel, task: Task) -> list[dict[str, Any]]:
    """What the model writes for the first words of a task."""
    prompts = [f"\n{task.prompt(i)[-1]['content']}" for i in range(WRITTEN)]
    replies = opened.generate_batch(prompts, max_tokens=LENGTH + 1, stop=["\n"])
    return [
        {"word": task.prompt(i)[-1]["content"][:-1], "reply": reply.text, "right": bool(task.grade(i, reply.text))}
        for i, reply in enumerate(replies)
    ]


# ---------------------------------------------------------------------------------------------- in the background
class Background:
    """Work in a thread that hands over one piece after the other."""

    def __init__(self, work: Callable[[Callable[[dict[str, Any]], None]], None]) -> None:
        self.pieces: list[dict[str, Any]] = []
        self.over, self.error = False, ""
        self.changed = threading.Condition()
        self.work = work
        self.thread = threading.Thread(target=self.run, name="glaswerk-practice", daemon=True)
        self.thread.start()

    def run(self) -> None:
        """In the thread."""
        try:
            self.work(self.hand_over)
        except Exception as error:  # a thread's traceback would reach nobody
            self.error = f"{type(error).__name__}: {error}"
        with self.changed:
            self.over = True
            self.changed.notify_all()

    def hand_over(self, piece: dict[str, Any]) -> None:
        """One more piece is there."""
        with self.changed:
            self.pieces.append(piece)
            self.changed.notify_all()

    def until(self, number: int) -> list[dict[str, Any]]:
        """The pieces up to this one; waits for it. Raises :class:`GlaswerkError` where the work failed."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.pieces) > number or self.over, 300)
            if len(self.pieces) <= number:
                why = self.error or "it takes too long"
                raise GlaswerkError(
                    f"the small training did not get there: {why}", f"Das kleine Training kam nicht so weit: {why}"
                )
            return self.pieces[: number + 1]


class Practice:
    """The small model, its words, and its training."""

    def __init__(self) -> None:
        self.learned, self.tested, self.fresh = (Backwards(part) for part in words())
        tokenizer = CharacterTokenizer.train([LETTERS + ">\n"])
        model = Decoder(
            ModelConfig.modern(vocabulary_size=tokenizer.vocabulary_size, width=64, layers=2, heads=2, context=2 * TIME)
        )
        model.reset_parameters(torch.Generator().manual_seed(0))
        self.opened = self.as_opened(model, tokenizer)
        self.middle: dict[str, torch.Tensor] = {}
        self.background = Background(self.train)

    @staticmethod
    def as_opened(model: Decoder, tokenizer: Any) -> OpenedModel:
        """In the hand that the library's measures take."""
        return OpenedModel(model, tokenizer, Origin(Path("backwards")), Speech(tokenizer, None, None, frozenset()))

    def batches(self, task: Task, steps: int, seed: int) -> Windows:
        """Windows of lines to learn from."""
        text = text_of(task, 2 * steps * BATCH * TIME // (2 * LENGTH + 2), seed)
        return Windows(np.array(self.opened.tokenizer.encode(text)), TIME, BATCH, seed)

    def train(self, hand_over: Callable[[dict[str, Any]], None]) -> None:
        """The whole practice, with a look at each checkpoint."""
        opened, step = self.opened, 0

        def checkpoint() -> dict[str, float]:
            nonlocal step
            with torch.no_grad():
                hand_over({"step": step, **look(opened, self.tested), "written": written(opened, self.tested)})
            if step == MIDDLE:
                self.middle = copy.deepcopy(opened.model.state_dict())
            step += EVERY
            return {}

        checkpoint()
        train(
            opened.model, self.batches(self.learned, STEPS, 1), next_token_loss, plan(STEPS, EVERY), evaluate=checkpoint
        )
        if step <= STEPS:  # the loop does not look after its last step
            checkpoint()

    def copied(self, leak: str, hand_over: Callable[[dict[str, Any]], None]) -> None:
        """A copy of the middle goes on: with the test's own words, or with new ones."""
        self.background.until(MIDDLE // EVERY + 1)  # the middle is kept before this one
        model = copy.deepcopy(self.opened.model)
        model.load_state_dict(self.middle)
        opened = self.as_opened(model, self.opened.tokenizer)
        data = self.tested if leak == "test" else Backwards(self.learned.words[-TESTED:])
        step = 0

        def checkpoint() -> dict[str, float]:
            nonlocal step
            with torch.no_grad():
                parts = {"test": self.tested, "fresh": self.fresh}
                hand_over({
                    "step": step, **{name: look(opened, task) for name, task in parts.items()},
                    "written": {name: written(opened, task) for name, task in parts.items()},
                })  # fmt: skip
            step += LOOK
            return {}

        checkpoint()
        train(model, self.batches(data, MORE, 2), next_token_loss, plan(MORE, LOOK), evaluate=checkpoint)
        if step <= MORE:
            checkpoint()


def plan(steps: int, every: int) -> TrainPlan:
    """Small and plain: fp32, nothing compiled."""
    return TrainPlan(steps, BATCH, TIME, dtype="fp32", compile=False, evaluate_every=every, log_every=steps)


@lru_cache(maxsize=1)
def the_practice() -> Practice:
    """The one practice of this process."""
    return Practice()


@lru_cache(maxsize=2)
def the_copy(leak: str) -> Background:
    """The one copy that learns this."""
    practising = the_practice()
    return Background(lambda hand_over: practising.copied(leak, hand_over))


@demo(piece=(0, CHECKPOINTS - 1))
def practice(piece: int = CHECKPOINTS - 1) -> dict[str, Any]:
    """The small model's checkpoints up to this one: on 100 words that it never practises, loss, right choices among
    four, answers right to the last letter, and what it writes."""
    found = the_practice().background.until(piece)
    return {
        "checkpoints": found, "count": CHECKPOINTS, "steps": STEPS, "tested": TESTED, "chance": 0.25,
        "parameters": the_practice().opened.model.parameters_count()["total"],
        "practised": len(the_practice().learned),
    }  # fmt: skip


@demo(leak={"test", "new"}, piece=(0, LOOKS - 1))
def contaminated(leak: str = "test", piece: int = LOOKS - 1) -> dict[str, Any]:
    """A copy of the small model that goes on with the test's own 100 words ("test") or with 100 others ("new"): exact
    answers on the test and on 100 fresh words, and what it writes."""
    found = the_copy(leak).until(piece)
    return {"looks": found, "count": LOOKS, "steps": MORE, "tested": TESTED, "from": MIDDLE}
