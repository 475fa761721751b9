"""Replies of the open model in pairs, ratings of them, and a reward model that learns from the ratings alone.

The network stays as it is; what is trained is the vector that reads the reward off its last hidden state, so that a
training takes a fraction of a second on any model and can be repeated without one pair each, to see what it says of
pairs that it did not learn from. The rater is the reader, or a rule. Left out: training the network too (``align``).

Shapes: R replies, P pairs, C width.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from glaswerk.align.batches import ended
from glaswerk.align.losses import bradley_terry_loss, preferred
from glaswerk.course.demo import demo, load_module
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.metrics.intervals import interval

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel

talk = load_module(Path(__file__).with_name("talk.py"), "glaswerk_chapter_assistant_talk_of_ratings")
COUNT = len(talk.talks("en")["questions"])
TOKENS, TEMPERATURE = 48, 0.9
#: steps of plain gradient descent on all pairs, and how dear a long vector is
STEPS, RATE, DECAY = 80, 3.0, 0.01
#: words that are looked at stand in so many replies at least; so many are shown
COMMON, SHOWN = 4, 4
#: the shortest list of ratings that something is learned from
FEWEST = 3
NONE: list[str] = []


# ---------------------------------------------------------------------------------------------- replies
@dataclass(frozen=True)
class Replies:
    """Two replies to each question, how many tokens each has, and the network's last hidden state at the end of each;
    reply ``2 n + side`` belongs to question ``n``."""

    texts: list[str]
    tokens: list[int]
    last_RC: Tensor

    def states(self, last_RC: Tensor) -> Tensor:
        """Hidden states on the scale that is learned from: each of the C numbers with mean 0 and the same spread over
        these replies. The vector that is learned could stand for the unscaled ones too, its steps would be uneven."""
        spread_C = self.last_RC.std(0).clamp_min(1e-6) * self.last_RC.shape[1] ** 0.5
        return (last_RC - self.last_RC.mean(0)) / spread_C

    @property
    def states_RC(self) -> Tensor:
        """The states of all replies."""
        return self.states(self.last_RC)


_replies: WeakKeyDictionary[Any, dict[str, Replies]] = WeakKeyDictionary()


def replies_of(model: OpenedModel, language: str) -> Replies:
    """All replies of the open model, drawn once."""
    kept = _replies.setdefault(model.model, {})
    if language not in kept:
        questions = [question for question in talk.talks(language)["questions"] for _ in range(2)]
        drawn = talk.replies(model, questions, language, TOKENS, TEMPERATURE)
        texts = [whole(text) for text in drawn]
        rows = [talk.ended(model, *both, language) for both in zip(questions, texts, strict=True)]
        kept[language] = Replies(texts, [sum(mask) for _, mask in rows], last_states(model, [ids for ids, _ in rows]))
    return kept[language]


def whole(text: str) -> str:
    """A text up to its last whole sentence, so that replies do not all end where their tokens ran out."""
    found = re.match(r".*[.!?](?=\s|$)", text)
    return found[0] if found else text


@torch.no_grad()
def last_states(model: OpenedModel, rows: Sequence[Sequence[int]]) -> Tensor:
    """The network's last hidden state at the end of each row, fp32 ``[R, C]``: what a reward model reads."""
    longest = min(max(map(len, rows)), model.model.config.context)
    ids_RT, last_R = ended([row[-longest:] for row in rows], longest, model.tokenizer.end_id)
    return model.model.hidden(ids_RT)[torch.arange(len(rows)), last_R].float()


@demo(language={*talk.LANGUAGES})
def pairs(model: OpenedModel, language: str = "en") -> dict[str, Any]:
    """All questions, each with two replies of the open model, drawn at the same temperature."""
    language = talk.tongue(model, language)
    found = replies_of(model, language)
    return {
        "model": model.origin.name, "temperature": TEMPERATURE,
        "pairs": [{"question": question, "replies": found.texts[2 * number : 2 * number + 2]}
                  for number, question in enumerate(talk.talks(language)["questions"])],
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- raters
def words(text: str) -> list[str]:
    """The words of a text, in small letters."""
    return re.findall(r"\w+", text.lower())


def variety(text: str) -> float:
    """The share of words that are new in their reply."""
    every = words(text)
    return len(set(every)) / max(1, len(every))


#: raters that follow a rule: the reply with the larger number is preferred
RULES: dict[str, Callable[[str, int], float]] = {
    "longer": lambda _, tokens: tokens,
    "shorter": lambda _, tokens: -tokens,
    "varied": lambda text, _: variety(text),
}


def by_rule(found: Replies, rater: str) -> list[tuple[int, int]]:
    """A rule's ratings: (the preferred reply, the other one); nothing where both are equal."""
    values = [RULES[rater](text, tokens) for text, tokens in zip(found.texts, found.tokens, strict=True)]
    order = [(place, place + 1) if values[place] > values[place + 1] else (place + 1, place)
             for place in range(0, len(values), 2) if values[place] != values[place + 1]]  # fmt: skip
    return order


def read(rating: str) -> tuple[int, int]:
    """A reader's rating such as "3l" (of question 3's replies the left one is better) or "3r"."""
    match = re.fullmatch(r"(\d{1,2})([lr])", rating)
    if not match or int(match[1]) >= COUNT:
        raise GlaswerkError(
            f"{rating[:20]!r} is no rating; one looks like 3l or 3r", f"„{rating[:20]}“ ist keine Bewertung."
        )
    left = 2 * int(match[1])
    return (left, left + 1) if match[2] == "l" else (left + 1, left)


def rated(found: Replies, ratings: Sequence[str], rater: str) -> list[tuple[int, int]]:
    """The pairs to learn from. Raises :class:`GlaswerkError` where they are too few."""
    pairs = list({min(both): both for both in map(read, ratings)}.values()) if rater == "me" else by_rule(found, rater)
    if len(pairs) < FEWEST:
        raise GlaswerkError(
            f"{len(pairs)} ratings are too few to learn from: rate at least {FEWEST} pairs",
            f"Aus {len(pairs)} Bewertungen lässt sich nichts lernen. Bewerte mindestens {FEWEST} Paare.",
        )
    return pairs


# ---------------------------------------------------------------------------------------------- learning
def learn(states_RC: Tensor, pairs: Sequence[tuple[int, int]]) -> tuple[Tensor, list[float]]:
    """The vector that reads a reward off a hidden state ``[C]``, and the loss before each step."""
    chosen_P, rejected_P = torch.tensor(pairs).T
    score_C = torch.zeros(states_RC.shape[1], requires_grad=True)
    losses = []
    for _ in range(STEPS):
        reward_R = states_RC @ score_C
        loss = bradley_terry_loss(reward_R[chosen_P], reward_R[rejected_P])
        (gradient_C,) = torch.autograd.grad(loss, score_C)
        score_C = (score_C - RATE * (gradient_C + DECAY * score_C)).detach().requires_grad_()
        losses.append(float(loss.detach()))
    return score_C.detach(), losses


def kept_back(states_RC: Tensor, pairs: Sequence[tuple[int, int]]) -> list[float]:
    """For each pair 1 where a reward model that learned from all the others prefers the same reply, else 0."""
    found = []
    for place, (chosen, rejected) in enumerate(pairs):
        reward_R = states_RC @ learn(states_RC, [*pairs[:place], *pairs[place + 1 :]])[0]
        found.append(preferred(reward_R[[chosen]], reward_R[[rejected]]))
    return found


@demo(language={*talk.LANGUAGES}, rater={"me", *RULES}, ratings=COUNT)
def learned(
    model: OpenedModel, language: str = "en", rater: str = "longer", ratings: list[str] = NONE
) -> dict[str, Any]:
    """A reward model from ratings: its loss, how often it agrees with pairs that it learned from and with pairs kept
    back (each pair once, by a model that learned from the others), the reward of every reply, and what goes with a high
    reward: length, variety, words."""
    language = talk.tongue(model, language)
    found = replies_of(model, language)
    pairs = rated(found, ratings, rater)
    score_C, losses = learn(found.states_RC, pairs)
    reward_R = found.states_RC @ score_C
    rewards = reward_R.tolist()
    chosen_P, rejected_P = torch.tensor(pairs).T
    back = kept_back(found.states_RC, pairs)
    questions = talk.talks(language)["questions"]
    return {
        "model": model.origin.name, "rater": rater, "pairs": len(pairs), "width": len(score_C), "losses": losses,
        "agrees": preferred(reward_R[chosen_P], reward_R[rejected_P]),
        "kept_back": sum(back) / len(back), "kept_back_interval": interval(back),
        "replies": [
            {"question": questions[place // 2], "text": text, "tokens": tokens, "reward": reward,
             "rated": next((1 if place == one else -1 for one, other in pairs if place in (one, other)), 0)}
            for place, (text, tokens, reward) in enumerate(zip(found.texts, found.tokens, rewards, strict=True))
        ],
        "length": together(found.tokens, rewards), "variety": together([variety(t) for t in found.texts], rewards),
        "words": telling(found.texts, rewards),
    }  # fmt: skip


@demo(language={*talk.LANGUAGES}, rater={"me", *RULES}, ratings=COUNT, number=(0, COUNT - 1), reply=400)
def judged(
    model: OpenedModel, language: str = "en", rater: str = "longer", ratings: list[str] = NONE, number: int = 0,
    reply: str = "",
) -> dict[str, Any]:  # fmt: skip
    """The reward of a reply that the reader wrote to question ``number``, and how many of the model's replies get
    less."""
    language = talk.tongue(model, language)
    found = replies_of(model, language)
    score_C, _ = learn(found.states_RC, rated(found, ratings, rater))
    ids, mask = talk.ended(model, talk.talks(language)["questions"][number], reply.strip() or "…", language)
    reward = float(found.states(last_states(model, [ids]))[0] @ score_C)
    return {
        "model": model.origin.name, "reward": reward, "tokens": sum(mask),
        "above": float((found.states_RC @ score_C < reward).float().mean()),
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- what it latched onto
def together(numbers: Sequence[float], rewards: Sequence[float]) -> float | None:
    """The correlation of a number with the reward, from -1 to 1; None where one of them never changes."""
    if np.ptp(numbers) == 0 or np.ptp(rewards) == 0:
        return None
    return float(np.corrcoef(numbers, rewards)[0, 1])


def telling(texts: Sequence[str], rewards: Sequence[float]) -> list[dict[str, Any]]:
    """The words whose replies have the highest and the lowest rewards: how much the mean reward of replies with a word
    lies above that of replies without it."""
    inside = [set(words(text)) for text in texts]
    found: list[tuple[float, str, int]] = []
    for word in sorted(set().union(*inside)):
        with_ = [reward for reward, there in zip(rewards, inside, strict=True) if word in there]
        without = [reward for reward, there in zip(rewards, inside, strict=True) if word not in there]
        if len(with_) >= COMMON <= len(without):
            found.append((sum(with_) / len(with_) - sum(without) / len(without), word, len(with_)))
    found.sort(reverse=True)
    shown = found if len(found) <= 2 * SHOWN else found[:SHOWN] + found[-SHOWN:]
    return [{"word": word, "replies": replies, "gap": gap} for gap, word, replies in shown]
