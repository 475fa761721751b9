"""The losses against TRL's own code on fixed tensors, and against the papers' formulas pair by pair."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from glaswerk.align.losses import bradley_terry_loss, dpo_loss, ipo_loss, preferred, token_log_probs
from glaswerk.model import Decoder, ModelConfig
from glaswerk.train import next_token_loss
from glaswerk.train.data import IGNORE

GENERATOR = torch.Generator().manual_seed(0)
#: log-probabilities of four tokens of chosen and rejected answers, five pairs; some answers are shorter
POLICY, REFERENCE = (-torch.rand(10, 4, generator=GENERATOR) * 5 for _ in range(2))
LENGTHS = torch.tensor([4, 2, 3, 1, 4, 3, 3, 2, 4, 1])
MASK = (torch.arange(4) < LENGTHS[:, None]).long()


def sums(values: Tensor) -> tuple[Tensor, Tensor]:
    """Of the chosen and of the rejected answers."""
    return (values * MASK).sum(1).chunk(2)  # type: ignore[return-value]


def ratios() -> tuple[Tensor, Tensor]:
    return tuple(ours - other for ours, other in zip(sums(POLICY), sums(REFERENCE), strict=True))  # type: ignore


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


# ---------------------------------------------------------------------------------------------- by the papers
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_dpo_pair_by_pair(smoothing: float) -> None:
    """Rafailov et al. 2023, equation 7; with label smoothing Mitchell 2023, equation 3."""
    pairs = zip(*(ratio.tolist() for ratio in ratios()), strict=True)
    wanted = mean(
        [
            -(1 - smoothing) * math.log(sigmoid(0.3 * (good - bad)))
            - smoothing * math.log(sigmoid(-0.3 * (good - bad)))
            for good, bad in pairs
        ]
    )
    assert dpo_loss(*ratios(), 0.3, smoothing).item() == pytest.approx(wanted, abs=1e-5)


def test_ipo_pair_by_pair() -> None:
    """Azar et al. 2023, equation 17, over means."""
    counts = LENGTHS.chunk(2)
    chosen, rejected = (ratio / count for ratio, count in zip(ratios(), counts, strict=True))
    wanted = mean(
        [(good - bad - 1 / (2 * 0.4)) ** 2 for good, bad in zip(chosen.tolist(), rejected.tolist(), strict=True)]
    )
    assert ipo_loss(chosen, rejected, 0.4).item() == pytest.approx(wanted, abs=1e-5)


def test_bradley_terry_pair_by_pair() -> None:
    chosen, rejected = torch.tensor([1.0, -0.5, 3.0]), torch.tensor([0.0, 0.5, -40.0])
    wanted = mean([-math.log(sigmoid(good - bad)) for good, bad in ((1, 0), (-0.5, 0.5), (3, -40))])
    assert bradley_terry_loss(chosen, rejected).item() == pytest.approx(wanted, abs=1e-5)
    assert preferred(chosen, rejected) == pytest.approx(2 / 3)
    assert math.isfinite(bradley_terry_loss(rejected * 1e4, chosen * 1e4).item())


def test_a_policy_that_is_its_reference_has_the_loss_of_a_coin() -> None:
    zero = torch.zeros(3)
    assert dpo_loss(zero, zero, 0.1).item() == pytest.approx(math.log(2))
    assert bradley_terry_loss(zero, zero).item() == pytest.approx(math.log(2))


# ---------------------------------------------------------------------------------------------- by TRL
def trl_dpo(kind: str, beta: float) -> float:
    """What TRL's trainer computes from the same log-probabilities, its own code run on a model that returns them."""
    trainer = pytest.importorskip("trl").DPOTrainer
    padded = F.pad(MASK, (1, 0))  # a prompt of one token

    def model(**_: Any) -> SimpleNamespace:
        reported = {"loss": torch.tensor(0.0), "entropy": POLICY * 0, "mean_logits": POLICY * 0, "is_top1": MASK > 0}
        return SimpleNamespace(log_probs=POLICY * MASK, aux_loss=None, **reported)

    chosen, rejected = sums(REFERENCE)
    inputs = {
        "input_ids": torch.zeros(10, 5, dtype=torch.long),
        "attention_mask": torch.ones(10, 5, dtype=torch.long),
        "completion_mask": padded,
        "ref_chosen_logps": chosen,
        "ref_rejected_logps": rejected,
    }
    himself = Anything(
        model=SimpleNamespace(training=False),
        accelerator=Anything(device="cpu", gather_for_metrics=lambda x: x, gather=lambda x: x),
        aux_loss_enabled=False, ld_alpha=None, precompute_ref_logps=True, f_divergence_type="reverse_kl",
        loss_types=[kind], loss_weights=[1.0], beta=beta, label_smoothing=0.0, use_weighting=False, _metrics=Anything(),
    )  # fmt: skip
    return float(trainer._compute_loss(himself, model, inputs, return_outputs=False))


class Anything:
    """What a trainer asks of itself besides its settings (counters for its reports) is answered with more of this."""

    def __init__(self, **settings: Any) -> None:
        self.__dict__.update(settings)

    def __getattr__(self, name: str) -> Anything:
        return Anything()

    def __getitem__(self, key: Any) -> Anything:
        return Anything()

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def __call__(self, *_: Any, **__: Any) -> Anything:
        return Anything()

    def __iadd__(self, other: Any) -> Anything:
        return self

    __add__ = __radd__ = __iadd__


@pytest.mark.parametrize("beta", [0.1, 0.5])
def test_dpo_is_trls(beta: float) -> None:
    assert dpo_loss(*ratios(), beta).item() == pytest.approx(trl_dpo("sigmoid", beta), abs=1e-5)


@pytest.mark.parametrize("beta", [0.1, 0.5])
def test_ipo_is_trls(beta: float) -> None:
    counts = LENGTHS.chunk(2)
    chosen, rejected = (ratio / count for ratio, count in zip(ratios(), counts, strict=True))
    assert ipo_loss(chosen, rejected, beta).item() == pytest.approx(trl_dpo("ipo", beta), rel=1e-5)


def test_the_reward_models_loss_is_trls() -> None:
    trainer = pytest.importorskip("trl").RewardTrainer
    rewards = torch.randn(8, 1, generator=GENERATOR)
    himself = Anything(
        model=SimpleNamespace(training=False), args=SimpleNamespace(center_rewards_coefficient=None),
        accelerator=Anything(gather_for_metrics=lambda x: x), _metrics=Anything(),
    )  # fmt: skip
    wanted = trainer.compute_loss(himself, lambda **_: SimpleNamespace(logits=rewards), {})
    chosen, rejected = rewards[:, 0].chunk(2)
    assert bradley_terry_loss(chosen, rejected).item() == pytest.approx(float(wanted), abs=1e-5)


# ---------------------------------------------------------------------------------------------- from the model
def test_log_probabilities_at_places() -> None:
    """The head at some places only gives what the whole softmax gives there; without a target nothing counts."""
    model = Decoder(ModelConfig.modern(vocabulary_size=61, width=32, layers=2, heads=2, context=16))
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.2)
    ids = torch.randint(0, 61, (3, 10))
    places, targets = torch.tensor([2, 5, 13, 28, 0]), torch.tensor([7, 8, 9, 60, IGNORE])
    with torch.no_grad():
        found = token_log_probs(model, ids, places, targets)
        everywhere = model(ids).log_softmax(-1)
    wanted = [
        float(everywhere[place // 10, place % 10, target]) for place, target in ((2, 7), (5, 8), (13, 9), (28, 60))
    ]
    assert found.tolist() == pytest.approx([*wanted, 0.0], abs=1e-5)
    dense = torch.full((3, 10), IGNORE)
    dense.view(-1)[places[:4]] = targets[:4]
    assert -found.sum().item() / 4 == pytest.approx(next_token_loss(model, ids, dense).item(), abs=1e-5)
