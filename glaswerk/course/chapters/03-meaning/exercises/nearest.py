"""The cosine, and the word that lies nearest."""


def cosine(one: list[float], other: list[float]) -> float:
    """The dot product of two vectors divided by both their lengths."""
    raise NotImplementedError("write it here")


def nearest(vectors: dict[str, list[float]], direction: list[float], without: list[str]) -> str:
    """The word with the largest cosine to ``direction``; the words in ``without`` may not be the answer."""
    raise NotImplementedError("write it here")
