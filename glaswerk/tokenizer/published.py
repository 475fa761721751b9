"""OpenAI's published vocabularies (GPT-2, GPT-4, GPT-4o) from their rank files: base64 token, space, rank.

A rank file has no merges: two neighbours join if their joined bytes are a token, lowest rank first. Left out:
fetching the files (``glaswerk pull gpt2``).
"""

from __future__ import annotations

import base64
import binascii
import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from glaswerk import pull
from glaswerk.errors import GlaswerkError
from glaswerk.tokenizer.bpe import Ranks, merge
from glaswerk.tokenizer.fast import FastBPE
from glaswerk.tokenizer.patterns import GPT2, GPT4, GPT4O
from glaswerk.tokenizer.split import Split


@dataclass(frozen=True)
class Published:
    """What a rank file does not say: the split pattern and the special tokens."""

    pattern: str
    special: Mapping[str, int] = field(default_factory=dict)


PUBLISHED = {
    "gpt2": Published(GPT2, {"<|endoftext|>": 50256}),
    "cl100k": Published(
        GPT4,
        {
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
    ),
    "o200k": Published(GPT4O, {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}),
}


def load_published(name: str) -> RankBPE:
    """``gpt2``, ``cl100k`` or ``o200k``. Raises :class:`GlaswerkError` if it is not pulled yet."""
    folder = pull.path(name)
    files = sorted(folder.rglob(f"{name}*.tiktoken*"))
    if not files:
        raise GlaswerkError(f"{folder} has no rank file: run `glaswerk pull {name}` again")
    published = PUBLISHED[name]
    return RankBPE(read_ranks(files[0]), Split.by_pattern(published.pattern), dict(published.special))


def read_ranks(file: Path) -> list[bytes]:
    """Tokens by rank. Raises :class:`GlaswerkError` for a line that is no token, or ranks with a gap."""
    tokens: dict[int, bytes] = {}
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise GlaswerkError(f"{file} cannot be read ({error}); pull the vocabulary again") from error
    for number, line in enumerate(content.splitlines(), 1):
        if not line:
            continue
        try:
            token, rank = line.split()
            tokens[int(rank)] = base64.b64decode(token, validate=True)
        except (ValueError, binascii.Error) as error:
            raise GlaswerkError(f"{file}:{number} is not a token and its rank; pull the vocabulary again") from error
    if sorted(tokens) != list(range(len(tokens))):
        raise GlaswerkError(f"{file}: the ranks are not 0, 1, 2, ...; pull the vocabulary again")
    return [tokens[rank] for rank in range(len(tokens))]


class _JoinedBytes:
    """Ranks of pairs, found by looking up their joined bytes; a pair's rank is the id it becomes."""

    def __init__(self, tokens: list[bytes | None], ids: dict[bytes, int]) -> None:
        self.tokens, self.ids = tokens, ids

    def get(self, pair: tuple[int, int], /) -> int | None:
        left, right = self.tokens[pair[0]], self.tokens[pair[1]]
        assert left is not None and right is not None
        return self.ids.get(left + right)


class RankBPE(FastBPE):
    """A BPE that is given as ranks of whole tokens, as tiktoken has it."""

    by_ranks = True

    def __init__(self, tokens: list[bytes], split: Split, special: Mapping[str, int]) -> None:
        super().__init__(tokens, [], split, special, whole_pieces=True)

    @cached_property
    def ranks(self) -> Ranks:
        return _JoinedBytes(self.tokens, self.ids)

    @cached_property
    def merged(self) -> range:
        return range(len(self.tokens))

    def as_json(self) -> dict[str, Any]:
        if not self.merges:
            self.merges = self.recover_merges()
        return super().as_json()

    def recover_merges(self) -> list[tuple[int, int, int]]:
        """The merge that makes each token: what is left of its bytes when only lower ranks have merged.

        A token that lower ranks leave in more than two parts is never made by merging, only taken whole.
        """
        merges = []
        for number, token in enumerate(self.tokens):
            if token is not None and len(token) > 1:
                parts = merge([self.byte_ids[value] for value in token], _Below(self.ranks, number), self.merged)
                if len(parts) == 2:
                    merges.append((parts[0], parts[1], number))
        return merges


class _Below:
    """Ranks lower than a limit."""

    def __init__(self, ranks: Ranks, limit: int) -> None:
        self.ranks, self.limit = ranks, limit

    def get(self, pair: tuple[int, int], /) -> int | None:
        rank = self.ranks.get(pair)
        return rank if rank is not None and rank < self.limit else None
