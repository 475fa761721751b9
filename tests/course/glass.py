"""What tests of several chapters open: a small model with random weights."""

from __future__ import annotations

from pathlib import Path

import torch

from glaswerk.found import Origin
from glaswerk.model import Decoder, ModelConfig
from glaswerk.opened import OpenedModel
from glaswerk.tokenizer import train_bpe
from glaswerk.tokenizer.speech import Speech


def glass(text: str, noise: float, context: int) -> OpenedModel:
    """``glass``: its 300 tokens come from ``text``; the more ``noise``, the more it prefers some of them. No chat."""
    tokenizer = train_bpe([text], 300)
    decoder = Decoder(ModelConfig.modern(vocabulary_size=300, width=32, layers=2, heads=2, context=context))
    decoder.reset_parameters(torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(7)
    for parameter in decoder.parameters():
        parameter.data.add_(noise * torch.randn(parameter.shape, generator=generator))
    return OpenedModel(decoder, tokenizer, Origin(Path("glass")), Speech(tokenizer, None, None, frozenset()))
