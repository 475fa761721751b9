"""Text from a model: sampling, prefill and decode with a cache, stop texts, streaming, batches."""

from __future__ import annotations

from glaswerk.generate.decoding import Generated, Piece, batch, complete, stream
from glaswerk.generate.sampling import SamplingOptions

__all__ = ["Generated", "Piece", "SamplingOptions", "batch", "complete", "stream"]
