"""The model: one decoder by features, its cache, its taps, its weights on disk."""

from __future__ import annotations

from glaswerk.model.cache import Cache
from glaswerk.model.config import ModelConfig
from glaswerk.model.decoder import Decoder
from glaswerk.model.taps import Recording, Taps, tap

__all__ = ["Cache", "Decoder", "ModelConfig", "Recording", "Taps", "tap"]
