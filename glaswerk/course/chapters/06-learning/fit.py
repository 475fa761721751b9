"""Too little, enough, too much: small networks that are trained here and now on noisy points; and what a leak between
training and test does to a figure."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glaswerk.course.demo import demo
from glaswerk.train.optimizer import MuonAdamW

POINTS, HELD_OUT, NOISE = 24, 200, 0.3
STEPS, RATE = 800, 0.01
#: how strong the two helpers are where they are switched on
DROPOUT, DECAY = 0.1, 2.0
#: points that are known, and as many that are asked about
TESTED = 1000


class Net(nn.Module):
    """One number in, one out: two hidden layers of ``width`` neurons."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        # the optimizer lets weights shrink in "blocks" only, as in a language model
        self.blocks = nn.ModuleList([nn.Linear(1, width), nn.Linear(width, width)])
        self.out = nn.Linear(width, 1)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.blocks:
            x = F.dropout(torch.tanh(layer(x)), self.dropout, self.training)
        return self.out(x)


def truth(x: Tensor) -> Tensor:
    """What the points would show without noise."""
    return torch.sin(2.5 * x)


def points(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy points, x from -2 to 2."""
    draw = torch.Generator().manual_seed(seed)
    x = 4 * torch.rand(count, 1, generator=draw) - 2
    return x, truth(x) + NOISE * torch.randn(count, 1, generator=draw)


@demo(width=(1, 128))
def fit(width: int = 64, dropout: bool = False, decay: bool = False) -> dict[str, Any]:
    """A network of ``width`` neurons per layer learns 24 noisy points: its curve and its loss on them and on 200 points
    that it never learns from, along the training."""
    x, y = points(POINTS, 1)
    new_x, new_y = points(HELD_OUT, 2)
    line = torch.linspace(-2, 2, 161)[:, None]
    shown = sorted({0, *(round(10 ** (k / 8)) for k in range(26) if 10 ** (k / 8) < STEPS), STEPS})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Net(width, DROPOUT if dropout else 0.0)
        first = net.blocks[0]
        assert isinstance(first, nn.Linear)
        nn.init.normal_(first.weight, std=2.0)  # bends all along the line to begin with
        optimizer = MuonAdamW(net.named_parameters(), other_rate=RATE, weight_decay=DECAY if decay else 0.0, muon=False)
        curves, learned, held_out = [], [], []
        for step in range(STEPS + 1):
            if step in shown:
                net.eval()
                with torch.no_grad():
                    curves.append(net(line)[:, 0])
                    learned.append(float(F.mse_loss(net(x), y)))
                    held_out.append(float(F.mse_loss(net(new_x), new_y)))
                net.train()
            loss = F.mse_loss(net(x), y)
            optimizer.step(torch.autograd.grad(loss, list(net.parameters())), 1.0)
    best = min(range(len(shown)), key=lambda at: held_out[at])
    return {
        "width": width, "parameters": sum(p.numel() for p in net.parameters()), "steps": shown,
        "points": torch.cat([x, y], 1), "line": line[:, 0], "truth": truth(line)[:, 0],
        "curves": [[round(value, 3) for value in curve.tolist()] for curve in curves],
        "learned": learned, "held_out": held_out, "best": best, "noise": NOISE**2,
        "dropout": DROPOUT, "decay": DECAY,
    }  # fmt: skip


@demo(share=(0, 1))
def leak(share: float = 0.0) -> dict[str, Any]:
    """Labels thrown with a coin, so there is nothing to learn; a model that says what the nearest known point said;
    and a test set, ``share`` of which was among the known points too. How often is it right?"""
    draw = torch.Generator().manual_seed(4)
    known, tested = (torch.rand(TESTED, 2, generator=draw) for _ in range(2))
    says, wanted = (torch.randint(0, 2, (TESTED,), generator=draw) for _ in range(2))
    count = round(share * len(tested))
    # the leak: copies of test points, with their labels, among what is learned from
    known, says = torch.cat([known, tested[:count]]), torch.cat([says, wanted[:count]])
    nearest = torch.cdist(tested, known).argmin(1)
    right = says[nearest] == wanted
    low = 0.5 - 1.96 * math.sqrt(0.25 / len(tested))
    return {
        "share": share, "tested": len(tested), "leaked": count, "right": int(right.sum()),
        "accuracy": float(right.float().mean()), "chance": [low, 1 - low],
        "accuracy_clean": float(right[count:].float().mean()) if count < len(tested) else None,
    }  # fmt: skip
