"""A LoRA layer: y = W x + alpha / r * B (A x), and the matrix that does the same alone."""

Matrix = list[list[float]]


def adapt(w: Matrix, a: Matrix, b: Matrix, alpha: float, x: list[float]) -> tuple[list[float], Matrix]:
    """The output with the adapter beside W, and W with the adapter merged. The rank is the number of A's rows."""
    raise NotImplementedError("write it here")
