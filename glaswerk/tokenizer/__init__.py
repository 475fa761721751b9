"""Text to tokens and back: a ladder from characters over words and bytes to fast BPE, and conversations as
tokens.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_EXPORTS = {
    "SPECIAL": "interface",
    "Tokenizer": "interface",
    "CharacterTokenizer": "characters",
    "WordTokenizer": "words",
    "ByteTokenizer": "bytes",
    "BPETokenizer": "bpe",
    "FastBPE": "fast",
    "StreamDecoder": "stream",
    "load": "folder",
    "render_chat": "chat",
    "train_bpe": "training",
}
__all__ = [
    "SPECIAL",
    "BPETokenizer",
    "ByteTokenizer",
    "CharacterTokenizer",
    "FastBPE",
    "StreamDecoder",
    "Tokenizer",
    "WordTokenizer",
    "load",
    "render_chat",
    "train_bpe",
]

if TYPE_CHECKING:
    from glaswerk.tokenizer.bpe import BPETokenizer
    from glaswerk.tokenizer.bytes import ByteTokenizer
    from glaswerk.tokenizer.characters import CharacterTokenizer
    from glaswerk.tokenizer.chat import render_chat
    from glaswerk.tokenizer.fast import FastBPE
    from glaswerk.tokenizer.folder import load
    from glaswerk.tokenizer.interface import SPECIAL, Tokenizer
    from glaswerk.tokenizer.stream import StreamDecoder
    from glaswerk.tokenizer.training import train_bpe
    from glaswerk.tokenizer.words import WordTokenizer


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'glaswerk.tokenizer' has no attribute {name!r}")
    return getattr(import_module(f"glaswerk.tokenizer.{_EXPORTS[name]}"), name)
