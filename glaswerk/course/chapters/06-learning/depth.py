"""What happens to a gradient on its way back through many layers, with and without norm and residuals."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from glaswerk.course.demo import demo
from glaswerk.model.mlp import Linear, gelu
from glaswerk.model.norm import RMSNorm

WIDTH, ROWS = 64, 32
VARIANTS = {"plain": (False, False), "norm": (True, False), "residual": (False, True), "both": (True, True)}


def layers(x: Tensor, matrices: list[Linear], norm: bool, residual: bool) -> list[Tensor]:
    """``x`` and what each layer makes of it: ``gelu(W x)``, of a normalised copy with ``norm``, and added to its input
    with ``residual``."""
    rms = RMSNorm(WIDTH, 1e-6)
    outputs = [x]
    for matrix in matrices:
        change = gelu(matrix(rms(x) if norm else x))
        x = x + change if residual else change
        outputs.append(x)
    return outputs


@demo(depth=(2, 64), gain=(0.25, 4))
def through(depth: int = 32, gain: float = 1.0) -> dict[str, Any]:
    """A batch of random vectors through ``depth`` layers, a random target at the end: the size of the gradient of each
    layer's input and of its values, layer by layer, for the four ways to build it. ``gain`` scales the weights, 1 is
    a spread of 1/sqrt(width)."""
    draw = torch.Generator().manual_seed(0)
    matrices = [Linear(WIDTH, WIDTH, False) for _ in range(depth)]
    for matrix in matrices:
        matrix.weight.data = torch.randn(WIDTH, WIDTH, generator=draw) * gain / WIDTH**0.5
    start, wanted = torch.randn(ROWS, WIDTH, generator=draw), torch.randn(ROWS, WIDTH, generator=draw)
    variants = {}
    for name, (norm, residual) in VARIANTS.items():
        outputs = layers(start.clone().requires_grad_(), matrices, norm, residual)
        # the loss reads a normalised copy, as the head of a language model does; so its own gradient is of one size
        loss = (RMSNorm(WIDTH, 1e-6)(outputs[-1]) * wanted).mean()
        gradients = [gradient.norm() for gradient in torch.autograd.grad(loss, outputs)]
        variants[name] = {
            "gradients": gradients,
            "sizes": [value.detach().square().mean().sqrt() for value in outputs],
            "first": float(gradients[0]),
            "last": float(gradients[-1]),
        }
    return {"depth": depth, "gain": gain, "width": WIDTH, "variants": variants}
