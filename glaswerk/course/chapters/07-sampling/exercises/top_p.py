"""Top-p: keep the fewest likeliest shares that reach p together."""


def top_p(shares: list[float], p: float) -> list[float]:
    """The shares in their old order; what is not needed to reach ``p`` is 0, the rest adds up to 1 again."""
    raise NotImplementedError("write it here")
