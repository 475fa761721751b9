"""Does confidence fit? The calibration error and the Brier score."""


def ece(confidence: list[float], right: list[int], bins: int = 10) -> float:
    """The mean distance of confidence and share of right answers over ``bins`` equal bins, weighted by their counts."""
    raise NotImplementedError("write it here")


def brier(confidence: list[float], right: list[int]) -> float:
    """The mean squared distance of confidence and outcome."""
    raise NotImplementedError("write it here")
