"""One attention head with a causal mask. One list of numbers per token in ``q``, ``k`` and ``v``."""


def head(q: list[list[float]], k: list[list[float]], v: list[list[float]]) -> list[list[float]]:
    """For each token: the values of the tokens up to it, mixed by softmax(q·k / √d)."""
    raise NotImplementedError("write it here")
