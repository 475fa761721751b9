"""Budgets that hold, markers that are forced, waiting, votes; against a slow version that goes token by token."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from glaswerk.errors import GlaswerkError
from glaswerk.generate.thinking import Thought, think, vote
from glaswerk.model import Decoder, ModelConfig
from glaswerk.tokenizer import train_bpe
from glaswerk.tokenizer.interface import Tokenizer
from glaswerk.train import TrainPlan, Windows, next_token_loss, train

TEXT = "Q: a b c\n1 2 3\n4 5 6\nAnswer: 7\n\n"


@pytest.fixture(scope="module")
def made() -> tuple[Decoder, Tokenizer]:
    """A model that writes two lines of steps, the marker and an answer, and then the next question."""
    torch.manual_seed(0)
    tokenizer = train_bpe([TEXT * 20], 280)
    config = ModelConfig.modern(vocabulary_size=tokenizer.vocabulary_size, width=64, layers=2, heads=2, context=128)
    model = Decoder(config)
    model.reset_parameters(torch.Generator().manual_seed(0))
    ids = torch.tensor(tokenizer.encode(TEXT * 60)).numpy().astype("uint16")
    plan = TrainPlan(steps=60, batch=4, time=64, dtype="fp32", compile=False)
    train(model, Windows(ids, 64, 4, 0), next_token_loss, plan)
    return model.eval(), tokenizer


def slowly(model: Decoder, tokenizer: Tokenizer, prompt: Sequence[int], budget: int, answer: int) -> Thought:
    """One token after the other, the whole text read anew each time."""

    def next_token(ids: list[int]) -> int:
        with torch.no_grad():
            return int(model(torch.tensor([ids]))[0, -1, : tokenizer.vocabulary_size].argmax())

    ids: list[int] = list(prompt)
    thought = Thought(forced=budget > 0)
    for count in range(budget):
        ids.append(next_token(ids))
        text = tokenizer.decode(ids[len(prompt) :])
        if ids[-1] == tokenizer.end_id or "Answer:" in text:
            thought.thinking, thought.forced = text.split("Answer:")[0].strip(), False
            break
        thought.thinking, thought.tokens = text.strip(), count + 1
    ids = [*prompt, *tokenizer.encode(f"{thought.thinking}\nAnswer:" if thought.thinking else "Answer:")]
    said = ""
    for _ in range(answer):
        ids.append(next_token(ids))
        if ids[-1] == tokenizer.end_id or "\n" in tokenizer.decode(ids[-1:]):
            break
        said += tokenizer.decode(ids[-1:])
    thought.answer = said.strip()
    return thought


@pytest.mark.parametrize("budget", [0, 1, 3, 5, 40])
def test_it_is_the_slow_version(made: tuple[Decoder, Tokenizer], budget: int) -> None:
    model, tokenizer = made
    prompts = [tokenizer.encode(text) for text in ("Q: a b c\n", TEXT + "Q: a b c\n", "Q: c\n1 2 3\n")]
    found = think(model, tokenizer, prompts, budget, answer=4)
    for prompt, each in zip(prompts, found, strict=True):
        wanted = slowly(model, tokenizer, prompt, budget, 4)
        assert (each.thinking, each.answer, each.forced) == (wanted.thinking, wanted.answer, wanted.forced)
        assert each.tokens <= budget and len(tokenizer.encode(each.thinking)) <= budget
    if budget == 40:
        assert found[0].thinking == "1 2 3\n4 5 6" and found[0].answer == "7" and not found[0].forced
    if budget == 0:
        assert all(not each.thinking and each.tokens == 0 and not each.forced for each in found)


def test_waiting_goes_on_in_the_markers_place(made: tuple[Decoder, Tokenizer]) -> None:
    model, tokenizer = made
    prompts = [tokenizer.encode("Q: a b c\n")] * 2
    plain, waited = (think(model, tokenizer, prompts, 60, waits=waits)[0] for waits in (0, 2))
    assert plain.waited == 0 and waited.waited == 2 and waited.tokens > plain.tokens and waited.tokens <= 60
    assert waited.thinking.startswith(f"{plain.thinking}\nWait") and waited.answer
    tight = think(model, tokenizer, prompts, plain.tokens + 1, waits=1)[0]
    assert tight.waited == 0 and tight.tokens <= plain.tokens + 1, "no room for the word"


def test_drawn_replies_differ_and_come_again(made: tuple[Decoder, Tokenizer]) -> None:
    model, tokenizer = made
    prompts = [tokenizer.encode("Q: a")] * 6
    drawn = [think(model, tokenizer, prompts, 12, temperature=2.0, seed=seed) for seed in (1, 1, 2)]
    first, again, other = ([each.thinking for each in part] for part in drawn)
    assert first == again != other and len(set(first)) > 1


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"budget": -1}, "0 or more"),
        ({"budget": 4, "marker": " "}, "a marker some text"),
        ({"budget": 125}, "do not fit"),
    ],
)
def test_what_cannot_be(made: tuple[Decoder, Tokenizer], how: dict[str, object], says: str) -> None:
    model, tokenizer = made
    with pytest.raises(GlaswerkError, match=says):
        think(model, tokenizer, [[1, 2]], **how)  # type: ignore[arg-type]


def test_votes() -> None:
    assert vote([3, 4, 3]).winner == 3 and not vote([3, 4, 3]).tied and vote([3, 4, 3]).counts == {3: 2, 4: 1}
    assert vote([4, 3]).winner == 4 and vote([4, 3]).tied, "the one said first"
    assert vote([None, None, 5]).winner == 5 and vote([None]).winner is None and not vote([]).counts
