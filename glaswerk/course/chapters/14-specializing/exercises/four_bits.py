"""One block of weights in four bits: a scale, and the place of one of sixteen values for each weight."""


def four_bits(block: list[float], values: list[float]) -> tuple[float, list[int], list[float]]:
    """The scale (the largest absolute weight), the place of the nearest value for each weight divided by the scale, and
    the weights that these stand for. A block of zeros has scale 0 and stays zeros."""
    raise NotImplementedError("write it here")
