"""Taps: named places in the forward pass where somebody may look at an activation, or replace it.

``taps`` is an explicit argument of the forward pass. ``None`` means nobody looks: :func:`tap` is then the
identity and a compiled graph holds no trace of it. Otherwise it is called with each name and value and
returns the value to go on with. Left out: what is done with the recorded values; see ``glaswerk/lens``.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase

from torch import Tensor

#: called with (name, value), returns the value to go on with: the same one, or an edit of it
Taps = Callable[[str, Tensor], Tensor]


def tap(taps: Taps | None, name: str, value: Tensor) -> Tensor:
    """``value`` as it is when ``taps`` is None, else whatever ``taps(name, value)`` returns."""
    if taps is None:
        return value
    return taps(name, value)


class Recording:
    """Keeps a copy of every tapped value whose name matches ``only`` (a glob), in the order of computation.

    ``values`` maps name to tensor (detached, so later in-place edits do not reach it).
    """

    def __init__(self, only: str = "*") -> None:
        self.only = only
        self.values: dict[str, Tensor] = {}

    def __call__(self, name: str, value: Tensor) -> Tensor:
        if fnmatchcase(name, self.only):
            self.values[name] = value.detach().clone()
        return value
