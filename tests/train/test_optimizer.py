"""Muon and AdamW against torch's own, schedules against their values, and state that goes on exactly."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from glaswerk.model import Decoder, ModelConfig
from glaswerk.train import MuonAdamW, cosine, warmup_stable_decay
from glaswerk.train.optimizer import muon_splits, newton_schulz


def tiny(**features: object) -> Decoder:
    config = ModelConfig.modern(vocabulary_size=40, width=32, layers=2, heads=2, context=16, mlp_width=48, **features)
    model = Decoder(config)
    model.reset_parameters(torch.Generator().manual_seed(1))
    return model


def gradients_of(model: Decoder, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(p.shape, generator=generator) for p in model.parameters()]


def test_matrices_move_as_torchs_muon_moves_them() -> None:
    model, reference = tiny(), tiny()
    ours = MuonAdamW(model.named_parameters(), matrix_rate=0.02, weight_decay=0.1)
    names = [name for name, p in reference.named_parameters() if p.ndim == 2 and name.startswith("blocks.")]
    parameters = dict(reference.named_parameters())
    theirs = torch.optim.Muon(
        [parameters[name] for name in names], lr=0.02, weight_decay=0.1, momentum=0.95, adjust_lr_fn="original"
    )
    for seed in range(4):
        gradients = gradients_of(model, seed)
        ours.step(gradients, 1.0)
        for p, gradient in zip(reference.parameters(), gradients, strict=True):
            p.grad = gradient
        theirs.step()
    moved = dict(model.named_parameters())
    for name in names:
        # both orthogonalise in bf16 (ours always tall), so they agree to bf16's precision of a step of 0.02
        torch.testing.assert_close(moved[name], parameters[name], atol=2e-3, rtol=0)
        distance = (moved[name] - dict(tiny().named_parameters())[name]).abs().max()
        assert distance > 0.01, f"{name} should have moved by far more than the tolerance"


def test_vectors_and_embeddings_move_as_torchs_adamw_moves_them() -> None:
    model, reference = tiny(), tiny()
    ours = MuonAdamW(model.named_parameters(), other_rate=0.01)
    names = [name for name, p in reference.named_parameters() if p.ndim == 1 or not name.startswith("blocks.")]
    parameters = dict(reference.named_parameters())
    theirs = torch.optim.AdamW(
        [parameters[name] for name in names], lr=0.01, betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0
    )
    for seed in range(5):
        gradients = gradients_of(model, seed)
        ours.step(gradients, 1.0)
        for p, gradient in zip(reference.parameters(), gradients, strict=True):
            p.grad = gradient
        theirs.step()
    for name in names:
        torch.testing.assert_close(dict(model.named_parameters())[name], parameters[name], atol=1e-6, rtol=1e-5)


def test_without_muon_it_is_torchs_adamw() -> None:
    model, reference = tiny(), tiny()
    ours = MuonAdamW(model.named_parameters(), other_rate=0.01, weight_decay=0.3, muon=False)
    matrices = [p for name, p in reference.named_parameters() if p.ndim == 2 and name.startswith("blocks.")]
    rest = [p for name, p in reference.named_parameters() if p.ndim == 1 or not name.startswith("blocks.")]
    groups = [{"params": matrices, "weight_decay": 0.3}, {"params": rest, "weight_decay": 0.0}]
    theirs = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.95), eps=1e-10)
    for seed in range(4):
        gradients = gradients_of(model, seed)
        ours.step(gradients, 1.0)
        for p, gradient in zip(reference.parameters(), gradients, strict=True):
            p.grad = gradient
        theirs.step()
    for a, b in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def test_newton_schulz_makes_columns_nearly_orthonormal() -> None:
    x = torch.randn(3, 64, 32, generator=torch.Generator().manual_seed(0))
    singular = torch.linalg.svdvals(newton_schulz(x).float())
    assert singular.min() > 0.6 and singular.max() < 1.3
    # the closest orthonormal matrix has the same singular vectors
    u, _, v = torch.linalg.svd(x, full_matrices=False)
    cosine_similarity = torch.nn.functional.cosine_similarity(newton_schulz(x).float().flatten(1), (u @ v).flatten(1))
    assert cosine_similarity.min() > 0.97


def test_fused_matrices_are_orthogonalised_apart() -> None:
    """With the splits, a query matrix moves as if it stood alone."""
    model = tiny()
    optimizer = MuonAdamW(model.named_parameters(), matrix_rate=1.0, splits=muon_splits(model.config))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer.step(gradients_of(model, 0), 1.0)
    name = "blocks.0.attention.qkv.weight"
    change = dict(model.named_parameters())[name].detach() - before[name]
    for part in change.split(muon_splits(model.config)[name]):
        singular = torch.linalg.svdvals(part)
        assert singular.min() > 0.5 and singular.max() < 1.4


def test_state_goes_on_exactly() -> None:
    straight, stopped = tiny(), tiny()
    one = MuonAdamW(straight.named_parameters())
    for seed in range(6):
        one.step(gradients_of(straight, seed), 0.5)
    two = MuonAdamW(stopped.named_parameters())
    for seed in range(3):
        two.step(gradients_of(stopped, seed), 0.5)
    saved = {name: tensor.clone() for name, tensor in two.state().items()}
    three = MuonAdamW(stopped.named_parameters())
    three.load(saved)
    for seed in range(3, 6):
        three.step(gradients_of(stopped, seed), 0.5)
    for a, b in zip(straight.parameters(), stopped.parameters(), strict=True):
        assert torch.equal(a, b)


def test_schedules_have_their_hand_made_values() -> None:
    shape = [warmup_stable_decay(step, 10, 2, 0.5) for step in range(10)]
    assert shape == pytest.approx([0.5, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])
    assert warmup_stable_decay(0, 10, 0, 0.0) == 1.0
    curve = [cosine(step, 12, 2, floor=0.1) for step in range(12)]
    assert curve[:3] == pytest.approx([0.5, 1.0, 1.0])
    assert curve[-1] == pytest.approx(0.1)
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(curve[1:]))
