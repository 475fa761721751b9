"""Checks four_bits.py against the library's NF4. A check is one function ``check(module)``; AssertionError says what is
wrong."""

from __future__ import annotations

from types import ModuleType

import torch

from glaswerk.model.nf4 import code_book, nearest


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    draw = torch.Generator().manual_seed(14)
    for book in (code_book().double(), torch.linspace(-1, 1, 16, dtype=torch.float64)):
        for block in (
            torch.randn(64, generator=draw, dtype=torch.float64),
            -3 * torch.rand(8, generator=draw, dtype=torch.float64),
        ):
            scale = block.abs().max()
            places = nearest(block / scale, book)
            got = module.four_bits(block.tolist(), book.tolist())
            assert isinstance(got, tuple) and len(got) == 3, "return three things: the scale, the places, the weights"
            assert abs(got[0] - float(scale)) < 1e-12, f"the scale is {got[0]}, not {float(scale)}"
            assert list(got[1]) == places.tolist(), "a place is not that of the nearest value"
            right = book[places.long()] * scale
            assert torch.allclose(torch.tensor(got[2], dtype=torch.float64), right, atol=1e-9), (
                "a weight is not its value times the scale"
            )
    scale, _, weights = module.four_bits([0.0, 0.0], code_book().tolist())
    assert scale == 0 and list(weights) == [0.0, 0.0], "a block of zeros has scale 0 and stays zeros"
