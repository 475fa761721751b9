"""One step of learning byte-pair encoding, in two functions."""


def most_frequent_pair(tokens: list[str]) -> tuple[str, str]:
    """The pair of neighbours that stands in ``tokens`` most often; of equals, the one that comes first."""
    raise NotImplementedError("write it here")


def merge(tokens: list[str], pair: tuple[str, str]) -> list[str]:
    """``tokens`` with both halves of ``pair`` joined to one token wherever they stand, from the left."""
    raise NotImplementedError("write it here")
