"""DPO as an objective: against the formulas of its papers and of TRL written out token by token; what it teaches."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from glaswerk.align.batches import Pairs
from glaswerk.align.dpo import Preference, keep_reference, log_probs
from glaswerk.align.pairs import Answered, Pair, all_tokens
from glaswerk.errors import GlaswerkError
from glaswerk.model import Decoder, ModelConfig, lora
from glaswerk.progress import Progress
from glaswerk.tokenizer import train_bpe
from glaswerk.tokenizer.speech import Speech
from glaswerk.train import TrainPlan, train

TOKENIZER = train_bpe(["a small text for a small vocabulary, with user and assistant in it"] * 3, 300)
SPEECH = Speech(TOKENIZER, None, None, frozenset([TOKENIZER.special["<|im_end|>"]]))
PAIRS = [Pair.of(f"question {n}", "yes, please " * (1 + n % 3), f"no {n}") for n in range(7)]


def decoder(seed: int = 0) -> Decoder:
    config = ModelConfig.modern(vocabulary_size=TOKENIZER.vocabulary_size, width=32, layers=2, heads=2, context=64)
    model = Decoder(config).eval()
    generator = torch.Generator().manual_seed(seed)
    for value in model.parameters():
        value.data.normal_(0.0, 0.2, generator=generator)
    return model


def batches(size: int = 3) -> Pairs:
    answered, _ = all_tokens(SPEECH, PAIRS, 64)
    return Pairs(answered, size, seed=0, pad=0)


@torch.no_grad()
def slow(model: Decoder, answered: Answered) -> list[tuple[float, int]]:
    """log p of both answers, one token after the other, each text alone; and how many tokens they have."""
    found = []
    for ids, mask in (answered.chosen, answered.rejected):
        total, count = 0.0, 0
        for at in range(1, len(ids)):
            if mask[at]:
                total += float(model(torch.tensor([ids[:at]]))[0, -1].log_softmax(-1)[ids[at]])
                count += 1
        found.append((total, count))
    return found


class Counter(Progress):
    def __init__(self) -> None:
        self.total = 0.0

    def advance(self, amount: float, **facts: object) -> None:
        self.total += amount


def test_log_probabilities_token_by_token() -> None:
    model, pairs, told = decoder(), batches(), Counter()
    found = log_probs(model, pairs, told)
    wanted = [[total for total, _ in slow(model, answered)] for answered in pairs.pairs]
    assert found.shape == (7, 2) and found.dtype == torch.float32 and told.total == 7
    torch.testing.assert_close(found, torch.tensor(wanted), rtol=1e-4, atol=1e-3)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


SETTINGS = [
    Preference(),
    Preference(beta=0.7),
    Preference(beta=0.3, smoothing=0.2),
    Preference("ipo", beta=0.4),
    Preference(beta=0.2, likelihood=1.5),
    Preference("ipo", beta=0.4, likelihood=0.5),
]


@pytest.mark.parametrize("objective", SETTINGS, ids=str)
def test_the_objective_pair_by_pair(objective: Preference) -> None:
    """With a policy that is not its reference: "sigmoid" and "ipo" of TRL's DPOTrainer, and its likelihood term as a
    mean over answers."""
    policy, reference, pairs = decoder(0), decoder(1), batches()
    keep_reference(reference, pairs)
    members, losses = pairs.members(1), []
    for number in members:
        (good, n_good), (bad, n_bad) = slow(policy, pairs.pairs[number])
        (ref_good, _), (ref_bad, _) = slow(reference, pairs.pairs[number])
        good_ratio, bad_ratio = good - ref_good, bad - ref_bad
        if objective.kind == "ipo":
            loss = (good_ratio / n_good - bad_ratio / n_bad - 1 / (2 * objective.beta)) ** 2
        else:
            margin = objective.beta * (good_ratio - bad_ratio)
            loss = -(1 - objective.smoothing) * math.log(sigmoid(margin))
            loss -= objective.smoothing * math.log(sigmoid(-margin))
        losses.append(loss - objective.likelihood * good / n_good)
    with torch.no_grad():
        found = objective(policy, *pairs.batch(1))
    assert found.item() == pytest.approx(sum(losses) / len(members), rel=1e-3)


def test_the_reference_is_the_model_before_training() -> None:
    """Then every pair is a toss: the loss is that of a coin, and IPO's its gap to the goal, squared."""
    model, pairs = decoder(), batches()
    assert bool((pairs.reference_P2 == 0).all())
    keep_reference(model, pairs)
    assert torch.equal(pairs.reference_P2, log_probs(model, pairs))
    for step in range(3):
        *_, reference = pairs.batch(step)
        members = pairs.members(step)
        assert torch.equal(reference, torch.cat([pairs.reference_P2[members, side] for side in (0, 1)]))
        with torch.no_grad():
            assert Preference()(model, *pairs.batch(step)).item() == pytest.approx(math.log(2), abs=1e-4)
            assert Preference("ipo", beta=0.5)(model, *pairs.batch(step)).item() == pytest.approx(1.0, abs=1e-3)


def margins(values: Tensor) -> Tensor:
    return values[:, 0] - values[:, 1]


@pytest.mark.parametrize("kind", ["dpo", "ipo"])
def test_adapters_learn_what_is_preferred(kind: str) -> None:
    """Through the one training loop, with the base as the reference: the margin of every pair grows."""
    model, pairs = decoder(), batches()
    lora.attach(model, lora.LoRAConfig(4, 8.0))
    keep_reference(model, pairs)
    before = pairs.reference_P2.clone()
    plan = TrainPlan(steps=20, batch=6, time=pairs.time, muon=False, other_rate=0.01, dtype="fp32", compile=False)
    train(model, pairs, Preference(kind), plan)
    assert bool((margins(log_probs(model, pairs)) > margins(before) + 1).all())
    lora.use(model)  # the base, without its adapters, is still the reference
    torch.testing.assert_close(log_probs(model, pairs), before, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "kto"}, "no preference loss 'kto': choose dpo or ipo"),
        ({"beta": 0.0}, "beta must be above 0"),
        ({"smoothing": 0.5}, "smoothing from 0 to below 0.5"),
        ({"likelihood": -1.0}, "likelihood 0 or more"),
    ],
)
def test_bad_settings(settings: dict[str, float], said: str) -> None:
    with pytest.raises(GlaswerkError, match=said):
        Preference(**settings)  # type: ignore[arg-type]
