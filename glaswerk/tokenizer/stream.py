"""Text from a stream of tokens: a token may end in the middle of a character, which must wait for its other
bytes.
"""

from __future__ import annotations

import codecs

from glaswerk.tokenizer.interface import Tokenizer


class StreamDecoder:
    """``push(id)`` returns the text that has become complete; ``flush()`` what is left (broken bytes as
    U+FFFD).

    The pieces, joined, are exactly ``tokenizer.decode(ids)`` (but for the space that SentencePiece
    vocabularies drop at the start of a text: in a stream, which goes on from a prompt, it stays).
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, number: int) -> str:
        return self._decoder.decode(self.tokenizer.token_bytes(number))

    def flush(self) -> str:
        return self._decoder.decode(b"", final=True)
