"""What the tests in a browser share: the browser, a small model, the live lab, axe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser as helpers
import pytest


@pytest.fixture(scope="session")
def axe(node_modules: Path) -> str:
    """axe-core's source."""
    return (node_modules / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return helpers.small_model(tmp_path_factory.mktemp("small") / "glass")


@pytest.fixture(scope="module")
def live(small_model: Path) -> Iterator[str]:
    """The live lab's address."""
    with helpers.lab(small_model, small_model.parent / "runs") as url:
        yield url


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser."""
    with helpers.chromium() as found:
        yield found
