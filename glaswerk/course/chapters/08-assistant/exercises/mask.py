"""Which tokens of a ChatML conversation are learned."""

START, END = "<|im_start|>", "<|im_end|>"


def mask(tokens: list[str]) -> list[int]:
    """1 for each token that the assistant says and for the end mark that closes its turn, else 0. After each start
    mark come the role (one token), a line end, and what is said, up to the end mark."""
    raise NotImplementedError("write it here")
