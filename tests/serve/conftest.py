"""The servers that the tests of the API ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from api_server import SETTINGS, Running, running, small_model

from glaswerk.opened import OpenedModel


@pytest.fixture(scope="session")
def opened() -> OpenedModel:
    return small_model()


@pytest.fixture(scope="module")
def served(opened: OpenedModel) -> Iterator[Running]:
    """The usual server of a file's tests; each test leaves it quiet."""
    with running(opened, SETTINGS) as found:
        yield found


@pytest.fixture
def serving(opened: OpenedModel) -> Callable[..., Any]:
    """A server with settings of its own: ``with serving(queue=1) as served``."""
    return lambda **settings: running(opened, replace(SETTINGS, **settings))
