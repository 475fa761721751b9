"""The loss of DPO on one pair of answers, from four log-probabilities."""


def dpo(policy: tuple[float, float], reference: tuple[float, float], beta: float) -> tuple[float, float, float]:
    """The margin, the probability that the preferred answer is preferred, and the loss. ``policy`` and ``reference``
    are log p of the preferred answer and of the other one."""
    raise NotImplementedError("write it here")
