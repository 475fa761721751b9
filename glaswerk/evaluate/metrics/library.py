"""The libraries that some metrics need: imported when used, named with their install when missing."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from glaswerk.errors import GlaswerkError


def library(module: str, package: str) -> ModuleType:
    """The module. Raises :class:`GlaswerkError` in one line where its package is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise GlaswerkError(f"this metric needs {package}: pip install 'glaswerk[evaluate]'") from error
