"""The advantages of a reply's tokens, and PPO's loss of one token."""


def advantages(
    kl: list[float], reward: float, values: list[float], beta: float, gamma: float, lam: float
) -> list[float]:
    """GAE, one number for each token. ``kl`` is each token's KL to the reference, ``reward`` the whole reply's, which
    stands at its last token; ``values`` are what was expected at each token. Nothing comes after the last."""
    raise NotImplementedError("write it here")


def loss(ratio: float, advantage: float, clip: float) -> float:
    """What one token adds to the loss that is made small: its clipped objective with the sign turned."""
    raise NotImplementedError("write it here")
