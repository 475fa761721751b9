"""Optimizers on small landscapes: torch's SGD, momentum and RMSProp, and the library's own Adam and Muon.

Left out: the landscape of a real model. It has as many directions as the model has weights, and nobody can draw it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from glaswerk.course.demo import demo
from glaswerk.train.optimizer import MuonAdamW
from glaswerk.train.schedule import warmup_stable_decay

STEPS = 80
#: the rates that each optimizer may choose from, on each landscape
RATES = tuple(float(f"{0.001 * 10 ** (k / 3):.2g}") for k in range(11))
NAMES = ("sgd", "momentum", "rmsprop", "adam", "muon")
#: points per side of a drawn landscape
SIDE = 72


@dataclass(frozen=True)
class Landscape:
    """``height`` of a place (any shape before the last axis, so that a whole map is one call); where all begin; what
    part is drawn, per direction; where the lowest points are."""

    height: Callable[[Tensor], Tensor]
    start: tuple[float, ...]
    drawn: tuple[tuple[float, float], ...]
    lowest: tuple[tuple[float, ...], ...]


def wells(p: Tensor) -> Tensor:
    """Two wells of different depth with a ridge between them."""
    x = p[..., 0]
    return 0.25 * x**4 - x**2 + 0.4 * x + 1.5


def ravine(p: Tensor) -> Tensor:
    """40 times as steep across as along."""
    return 0.5 * (p[..., 0] ** 2 + 40 * p[..., 1] ** 2)


def banana(p: Tensor) -> Tensor:
    """A curved ravine (Rosenbrock 1960, less steep): easy to enter, hard to follow."""
    return (1 - p[..., 0]) ** 2 + 10 * (p[..., 1] - p[..., 0] ** 2) ** 2


def saddle(p: Tensor) -> Tensor:
    """Down to a pass first; from there it goes down on both sides."""
    return 0.5 * p[..., 0] ** 2 - p[..., 1] ** 2 + 0.25 * p[..., 1] ** 4 + 1


#: a matrix W shall turn 16 inputs into given outputs; the inputs are 30 times as strong in one direction as in another
WIDTH = 16
_draw = torch.Generator().manual_seed(6)
_INPUT = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=_draw))[0] * torch.logspace(0, -math.log10(30), WIDTH)
_WANTED = torch.randn(WIDTH, WIDTH, generator=_draw) / 4 @ _INPUT


def matrix(w: Tensor) -> Tensor:
    """How far W is from doing that; 0 can be reached."""
    return 0.5 * (w @ _INPUT - _WANTED).square().sum()


LANDSCAPES = {
    "wells": Landscape(wells, (2.4,), ((-2.6, 2.6),), ((-1.51,),)),
    "ravine": Landscape(ravine, (-4.0, 0.8), ((-4.5, 1.5), (-1.2, 1.2)), ((0.0, 0.0),)),
    "banana": Landscape(banana, (-1.3, 1.5), ((-1.8, 1.8), (-0.8, 2.4)), ((1.0, 1.0),)),
    "saddle": Landscape(saddle, (-2.0, 0.02), ((-2.4, 1.2), (-2.2, 2.2)), ((0.0, 1.414), (0.0, -1.414))),
    "matrix": Landscape(matrix, (), (), ()),
}


def run(landscape: str, name: str, rate: float, calm: bool) -> tuple[list[list[float]], list[float]]:
    """``STEPS`` steps of one optimizer: the places (none for the matrix) and the heights. ``calm``: over the second
    half the rate falls to 0, as the library's own training does it."""
    land = LANDSCAPES[landscape]
    begin = torch.tensor(land.start)[:, None] if land.start else torch.zeros(WIDTH, WIDTH)
    weight = nn.Parameter(begin)  # two numbers are a matrix of one column: Muon wants a matrix
    factor = [warmup_stable_decay(step, STEPS, 0, 0.5) if calm else 1.0 for step in range(STEPS)]
    if name in ("adam", "muon"):
        # inside the blocks the library's optimizer uses Muon, elsewhere Adam
        named = [("blocks.0.w" if name == "muon" else "w", weight)]
        own = MuonAdamW(named, matrix_rate=rate, other_rate=rate)
    elif name == "rmsprop":
        theirs: torch.optim.Optimizer = torch.optim.RMSprop([weight], lr=rate)
    else:
        theirs = torch.optim.SGD([weight], lr=rate, momentum=0.9 if name == "momentum" else 0.0)

    places, heights = [], []
    for step in range(STEPS + 1):
        point = weight.T[0] if land.start else weight
        height = land.height(point)
        if land.start:
            places.append([round(value, 4) for value in point.tolist()])
        heights.append(float(f"{float(height.detach()):.6g}"))
        if step == STEPS or not math.isfinite(heights[-1]) or heights[-1] > 1e6:
            break
        (gradient,) = torch.autograd.grad(height, weight)
        if name in ("adam", "muon"):
            own.step([gradient], factor[step])
        else:
            theirs.param_groups[0]["lr"] = rate * factor[step]
            weight.grad = gradient
            theirs.step()
    return places, heights


@lru_cache(maxsize=32)
def best_rate(landscape: str, name: str, calm: bool) -> float:
    """The rate among ``RATES`` with the lowest end."""

    def end(rate: float) -> float:
        heights = run(landscape, name, rate, calm)[1]
        return heights[-1] if len(heights) == STEPS + 1 and math.isfinite(heights[-1]) else math.inf

    return min(RATES, key=end)


@demo(landscape={*LANDSCAPES}, factor=(0.01, 32))
def race(landscape: str = "ravine", factor: float = 1.0, calm: bool = True) -> dict[str, Any]:
    """Five optimizers from one place, each with the best of ``RATES`` for this landscape times ``factor``: places and
    heights step by step, and the landscape as a map."""
    land = LANDSCAPES[landscape]
    runners = {}
    for name in NAMES:
        rate = best_rate(landscape, name, calm) * factor
        places, heights = run(landscape, name, rate, calm)
        whole = len(heights) == STEPS + 1
        runners[name] = {"rate": rate, "places": places, "heights": heights, "lost": not whole}
    told = {"landscape": landscape, "steps": STEPS, "rates": len(RATES), "runners": runners, "drawn": land.drawn}
    if len(land.drawn) == 1:
        x = torch.linspace(*land.drawn[0], 121)
        told["line"] = land.height(x[:, None])
    elif land.drawn:
        x, y = (torch.linspace(*span, SIDE) for span in land.drawn)
        told["side"] = SIDE
        told["map"] = land.height(torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)).float()
    return {**told, "lowest": land.lowest}
