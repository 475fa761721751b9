"""Opens the model that a verb was given, as soon as can be; a mistyped one is refused before torch is loaded.

Left out: what MODEL means (``found.py``) and how it is opened (``opened.py``).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel


def open_model(model: str, dtype: str) -> OpenedModel:
    """See :func:`glaswerk.opened.load`."""
    from glaswerk.found import find

    origin = find(model)
    with nothing_to_collect():
        from glaswerk.opened import load

        return load(origin, dtype)


@contextmanager
def nothing_to_collect() -> Iterator[None]:
    """Modules and a model make a million objects that all stay: Python does not look for garbage among them meanwhile,
    and never again."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
