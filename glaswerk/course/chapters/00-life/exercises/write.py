"""The loop that turns a model into a writer."""

from collections.abc import Callable


def write(step: Callable[[list[int]], list[float]], ids: list[int], count: int, end: int) -> list[int]:
    """The ids that follow ``ids``, at most ``count`` of them."""
    raise NotImplementedError("write it here")
