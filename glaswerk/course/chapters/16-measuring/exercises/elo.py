"""The strengths of two models from the votes between them."""


def strength(a_won: int, b_won: int) -> float:
    """How much stronger A is than B in Elo points; 400 points are odds of ten to one. Both won at least once."""
    raise NotImplementedError("write it here")


def expected(difference: float) -> float:
    """The share of votes, 0 to 1, that a model wins against one that is ``difference`` Elo points weaker."""
    raise NotImplementedError("write it here")
