"""RMSNorm (Zhang & Sennrich 2019) of one vector, in plain Python."""


def rms_norm(x: list[float], gain: list[float], eps: float) -> list[float]:
    """``x / sqrt(mean(x²) + eps) * gain``, number by number."""
    raise NotImplementedError("write it here")
