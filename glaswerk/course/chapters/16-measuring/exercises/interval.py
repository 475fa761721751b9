"""The interval of a score, and two scores compared question by question."""


def interval(grades: list[int]) -> tuple[float, float]:
    """The share of ones among ``grades``, and the half-width of its plain 95 % interval."""
    raise NotImplementedError("write it here")


def paired(before: list[int], after: list[int]) -> tuple[float, int, int]:
    """The mean of after - before; how many questions went from 0 to 1; how many from 1 to 0."""
    raise NotImplementedError("write it here")
