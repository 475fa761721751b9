"""How many parameters a GPT-2 has. The head is the embedding again, so it costs nothing."""


def parameters(vocabulary: int, context: int, width: int, layers: int) -> int:
    """Embedding and positions; in each layer two LayerNorms (gain and bias each), the matrix for Q, K and V, the matrix
    that joins the heads, and an MLP of four times the width, all with biases; and one LayerNorm at the end."""
    raise NotImplementedError("write it here")
