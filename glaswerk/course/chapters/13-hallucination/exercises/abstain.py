"""Answer only when sure enough: what a threshold keeps, and which one pays."""


def kept(confidence: list[float], right: list[int], t: float) -> tuple[float, float]:
    """The share of replies that are given at a threshold ``t``, and the share of these that is wrong, or 0."""
    raise NotImplementedError("write it here")


def best_threshold(confidence: list[float], right: list[int], cost: float) -> float:
    """The confidence to ask for at least, so that 1 point for each right and ``-cost`` for each wrong reply add up to
    the most; 2.0 where saying nothing (0 points) is better than all."""
    raise NotImplementedError("write it here")
