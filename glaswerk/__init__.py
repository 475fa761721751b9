"""Glaswerk: a language model you can see through.

The Python face of the command line: ``import glaswerk as gw; model = gw.load("runs/mine")``. Names are imported
lazily, so that ``import glaswerk`` and ``glaswerk --help`` cost no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

#: public name -> the module that owns it
_EXPORTS = {
    "GlaswerkError": "glaswerk.errors",
    "OpenedModel": "glaswerk.opened",
    "Run": "glaswerk.run",
    "Step": "glaswerk.lens.trace",
    "Trace": "glaswerk.lens.trace",
    "load": "glaswerk.opened",
}
__all__ = ["GlaswerkError", "OpenedModel", "Run", "Step", "Trace", "__version__", "load"]

if TYPE_CHECKING:
    from glaswerk.errors import GlaswerkError
    from glaswerk.lens.trace import Step, Trace
    from glaswerk.opened import OpenedModel, load
    from glaswerk.run import Run


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'glaswerk' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
