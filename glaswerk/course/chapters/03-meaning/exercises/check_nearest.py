"""Checks nearest.py against the library's own vectors. A check is one function ``check(module)``; AssertionError says
what is wrong."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from glaswerk.zoo.vectors import WordVectors, cosine

VECTORS = {
    "man": [1.0, 7.0, 1.0],
    "woman": [9.0, 7.0, 1.0],
    "king": [1.0, 8.0, 9.0],
    "queen": [9.0, 8.0, 9.0],
    "boy": [1.0, 2.0, 1.0],
    "far": [-90.0, -10.0, 5.0],
}


def check(module: ModuleType) -> None:
    """Raises AssertionError with a line for the learner."""
    for one in VECTORS.values():
        for other in ([1.0, 0.0, 0.0], [2.0, 14.0, 2.0], [-1.0, -7.0, -1.0]):
            wanted = cosine(np.array(one), np.array(other))
            given = module.cosine(list(one), list(other))
            assert abs(given - wanted) < 1e-6, f"cosine({one}, {other}) is {given}, not {wanted:.6f}"
    known = WordVectors(list(VECTORS), np.array(list(VECTORS.values())))
    sum_ = (known["king"] - known["man"] + known["woman"]).tolist()
    for without in ([], ["king", "man", "woman"], ["queen", "king"]):
        best = known.nearest(np.array(sum_), 1, without)[0][0]
        given = module.nearest(dict(VECTORS), sum_, without)
        assert given == best, f"nearest to king - man + woman without {without} is {given!r}, not {best!r}"
