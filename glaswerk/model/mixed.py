"""Mixed precision where nothing is learned: matrices that are cast where they are used, cast once for many uses.

Left out: training, whose weights move at every step.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from glaswerk.model.decoder import Decoder
from glaswerk.model.mlp import Linear


@contextmanager
def cast_once(model: Decoder) -> Iterator[None]:
    """Inside, the matrices lie in the model's ``compute_dtype``; what is computed has the same bits as without. Vectors
    keep their dtype, as norms compute in fp32, and so do adapters, which are scaled before they are cast.
    """
    dtype = model.compute_dtype
    matrices = {module.weight for module in model.modules() if isinstance(module, Linear)}
    if isinstance(model.embedding, nn.Parameter):
        matrices.add(model.embedding)
    kept = [] if dtype is None else [(matrix, matrix.data) for matrix in matrices if matrix.dtype != dtype]
    try:
        for matrix, data in kept:
            matrix.data = data.to(dtype)
        yield
    finally:
        for matrix, data in kept:
            matrix.data = data
