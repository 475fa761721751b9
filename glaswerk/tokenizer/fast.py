"""The same BPE, fast: our merges inside a compiled engine, used only where it provably gives the same ids.

Engines, best first: gigatoken (optional, several cores), tiktoken, and the readable one of ``bpe.py`` with a
memory of pieces. An engine must agree with ``bpe.py`` on a probe text when it is built, and tiktoken, which
knows ranks of whole tokens but no merges, is used only for vocabularies where that is the same thing
(:func:`ranks_suffice`).
"""

from __future__ import annotations

import base64
import importlib.util
import json
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from glaswerk.tokenizer.bpe import BPETokenizer, merge
from glaswerk.tokenizer.interface import flat, valid_unicode
from glaswerk.tokenizer.patterns import GPT2, GPT2_DIGITS, GPT4, GPT4O, QUICK

#: an engine is built only if it agrees with the readable encoder on this: letters, digits, spaces, marks,
#: emoji, NUL
PROBE = (
    "Hello there, I'll say it's 12345 o'CLOCK'S time.\n\n  Größe \t naïve\r\n日本語のテキスト "
    "и русский; मराठी "
    "— \U0001f469‍\U0001f4bb\U0001f1e9\U0001f1ea\x00 ﬁ e\u0301 x=[1, 2]/7;   \u00a0\u2003end \n"
)
#: tiktoken is never given a longer piece than this: it overflows its stack on 2 MB of spaces, and older
#: versions take time that grows with the square of a piece
LONG_STRETCH = 4_000
#: threads pay only where texts have this many characters on average: below it they wait for Python's lock
#: (measured on 2 cores: 10 MB/s with them against 18 without, on texts of 500)
THREADED = 20_000
#: characters from which an engine is built (up to 0.4 s for 50,000 tokens): a chat's first answer need not wait for it
ENGINE_FROM = 20_000
#: what tiktoken is trusted with: our patterns, and Llama 3's and Qwen's, which are GPT-4's with small changes
LLAMA3 = GPT4.replace("|\\s*[\\r\\n]|", "|\\s*[\\r\\n]+|")
KNOWN: frozenset[str | None] = frozenset(
    (GPT2, GPT2_DIGITS, GPT4, GPT4O, LLAMA3, LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}"))
)
#: what gigatoken calls our patterns
SCHEMES = {GPT2: "gpt2", GPT4: "gpt4", GPT4O: "o200k"}


class Engine(Protocol):
    """What does the encoding. Texts are valid Unicode and hold no special tokens (or hold them as plain
    text).
    """

    name: str

    def encode(self, text: str) -> list[int]: ...

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]: ...

    def encode_arrays(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]: ...


class FastBPE(BPETokenizer):
    """Byte-level BPE with the fastest engine that gives the same ids; what ``load`` and ``train_bpe``
    return.
    """

    #: characters encoded without an engine
    done = 0

    @cached_property
    def engine(self) -> Engine:
        """The engine in use; chosen at the first text."""
        probe = PROBE
        if self.lacking is not None:
            probe = self.lacking.sub(b"", PROBE.encode()).decode("utf-8", "ignore")
        for build in (gigatoken_engine, tiktoken_engine):
            engine = build(self)
            if engine is not None and engine.encode(probe) == BPETokenizer.encode_plain(self, probe):
                return engine
        return Readable(self)

    def lacks_byte(self, text: str) -> bool:
        """Whether ``text`` holds a byte that has no token, which no engine is asked for."""
        return self.lacking is not None and self.lacking.search(text.encode()) is not None

    def encode_plain(self, text: str) -> list[int]:
        if self.lacks_byte(text) or self.worth_no_engine(text):
            return BPETokenizer.encode_plain(self, text)
        return self.engine.encode(text)

    def worth_no_engine(self, text: str) -> bool:
        """Whether all texts so far, and this one, are sooner done by the readable encoder than an engine is built."""
        if "engine" in self.__dict__:
            return False
        self.done += len(text)
        return self.done < ENGINE_FROM

    def encode_batch(self, texts: Sequence[str], *, special: bool = False) -> list[list[int]]:
        if special and self.special:
            return super().encode_batch(texts, special=True)
        texts = [valid_unicode(text) for text in texts]
        if any(map(self.lacks_byte, texts)):
            return [self.encode_plain(text) for text in texts]
        return self.engine.encode_batch(texts)

    def encode_arrays(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        texts = [valid_unicode(text) for text in texts]
        if any(map(self.lacks_byte, texts)):
            return flat([self.encode_plain(text) for text in texts])
        return self.engine.encode_arrays(texts)

    def decode_bytes(self, ids: Any) -> bytes:
        table = self._token_table
        try:
            return b"".join([table[number] for number in ids])
        except (IndexError, KeyError, TypeError):
            return super().decode_bytes(ids)

    @cached_property
    def _token_table(self) -> dict[int, bytes]:
        plain = {number: token for number, token in enumerate(self.tokens) if token is not None}
        return plain | self._special_bytes


class Readable:
    """``bpe.py`` as an engine."""

    name = "readable"

    def __init__(self, tokenizer: BPETokenizer) -> None:
        self.tokenizer = tokenizer

    def encode(self, text: str) -> list[int]:
        return BPETokenizer.encode_plain(self.tokenizer, text)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.encode(text) for text in texts]

    def encode_arrays(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        return flat(self.encode_batch(texts))


class Tiktoken:
    """tiktoken, built from our own tokens; batches of long texts run on threads."""

    name = "tiktoken"

    def __init__(self, tokenizer: BPETokenizer, pattern: str) -> None:
        import tiktoken

        self.readable = Readable(tokenizer)
        self.encoding = tiktoken.Encoding("glaswerk", pat_str=pattern, mergeable_ranks=tokenizer.ids, special_tokens={})
        self._encode: Callable[[str], list[int]] = self.encoding._core_bpe.encode_ordinary
        self._encode_piece: Callable[[bytes], list[int]] = self.encoding._core_bpe.encode_single_piece

    def encode(self, text: str) -> list[int]:
        if not has_long_stretch(text):
            return self._encode(text)
        pieces = self.readable.tokenizer.split(text)
        if max(map(len, pieces)) < LONG_STRETCH:
            return self._encode(text)
        ids: list[int] = []
        for piece in pieces:
            one = piece.encode()
            long = len(piece) >= LONG_STRETCH
            ids += self.readable.tokenizer.encode_piece(one) if long else self._encode_piece(one)
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        from glaswerk.corpora.crew import cores  # here: it brings all that reads corpora

        workers = cores()
        if workers == 1 or len(texts) < 2 or sum(map(len, texts)) < THREADED * len(texts):
            return [self.encode(text) for text in texts]
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(self.encode, texts))

    def encode_arrays(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        return flat(self.encode_batch(texts))


class Gigatoken:
    """gigatoken (Rød 2026), built from our own vocabulary, without special tokens; batches use every core."""

    name = "gigatoken"

    def __init__(self, backend: Any, size: int) -> None:
        self.backend = backend
        # making a Python int per token costs more than the encoding itself; looking up ready ones is twice as
        # fast
        self.numbers = np.arange(size).astype(object)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self.numbers[self.backend.encode(text)].tolist()
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        ids, lengths = self.encode_arrays(texts)
        ready = self.numbers[ids]
        ends = np.cumsum(lengths).tolist()
        return [ready[start:end].tolist() for start, end in zip([0, *ends], ends, strict=False)]

    def encode_arrays(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        if not texts:
            return np.zeros(0, np.uint32), np.zeros(0, np.int64)
        layout = self.backend.encode_batch(list(texts)).layout
        return np.asarray(layout.content.data), np.diff(np.asarray(layout.offsets.data))


def tiktoken_engine(tokenizer: BPETokenizer) -> Engine | None:
    """A tiktoken engine, or None where tiktoken would not give the same ids."""
    split = tokenizer.split
    # only expressions that are known: on a stranger's, tiktoken's engine may give up with a panic, not an error
    if split.pattern not in KNOWN or split.normalizer is not None:
        return None
    if not ranks_suffice(tokenizer):
        return None
    try:
        return Tiktoken(tokenizer, QUICK.get(split.pattern or "", split.pattern or ""))
    except Exception:  # a pattern its engine does not know, ranks that it refuses: then it is not used
        return None


def gigatoken_engine(tokenizer: BPETokenizer) -> Engine | None:
    """A gigatoken engine, or None where it is not installed or does not know this kind of tokenizer."""
    if importlib.util.find_spec("gigatoken") is None:
        return None
    try:
        import gigatoken

        scheme = SCHEMES.get(tokenizer.split.pattern or "")
        if tokenizer.by_ranks and scheme is not None:
            with tempfile.NamedTemporaryFile(suffix=".tiktoken") as file:
                file.write(rank_file(tokenizer))
                file.flush()
                made = gigatoken.Tokenizer.from_tiktoken(file.name, scheme, {})
        else:
            document = {**tokenizer.as_json(), "added_tokens": [], "post_processor": None}
            made = gigatoken.Tokenizer.from_json(json.dumps(document))
        return Gigatoken(made, tokenizer.vocabulary_size)
    except Exception:  # young software: whatever it trips over, there is another engine
        return None


def rank_file(tokenizer: BPETokenizer) -> bytes:
    """The vocabulary in tiktoken's form: a line of base64 token, space, rank for each."""
    tokens = [token for token in tokenizer.tokens if token is not None]
    return b"".join(b"%s %d\n" % (base64.b64encode(token), rank) for rank, token in enumerate(tokens))


def ranks_suffice(tokenizer: BPETokenizer) -> bool:
    """Whether "join the neighbours whose joined bytes are the lowest id" gives the same ids as the merges do.

    It does if ids rise with rank, no two ids have the same bytes, each merged token is made by one merge
    only, and that merge is what its own bytes really end in. (Why: until a token's rank comes up, nothing
    outside its borders touches its bytes, so they stand exactly as they would alone.)
    """
    if tokenizer.by_ranks:
        return True
    last = -1
    reached = set(tokenizer.byte_ids)
    if len(tokenizer.ids) != sum(token is not None for token in tokenizer.tokens):
        return False
    for left, right, whole in tokenizer.merges:
        if whole <= max(last, left, right) or left not in reached or right not in reached:
            return False
        last = whole
        reached.add(whole)
    if max(tokenizer.byte_ids) >= min((whole for _, _, whole in tokenizer.merges), default=1 << 40):
        return False
    if any(token is not None and number not in reached for number, token in enumerate(tokenizer.tokens)):
        return False
    return all(merge_of(tokenizer, tokenizer.tokens[whole] or b"") == [whole] for _, _, whole in tokenizer.merges)


def merge_of(tokenizer: BPETokenizer, piece: bytes) -> list[int]:
    """Ids of a piece by merging alone, also where the tokenizer would take it whole."""
    return merge([tokenizer.byte_ids[value] for value in piece], tokenizer.ranks, tokenizer.merged)


def has_long_stretch(text: str) -> bool:
    """Whether ``text`` may hold a very long piece: a window with no space in it, or with only spaces.

    Quick, and never wrongly no; a long Chinese text is wrongly yes.
    """
    if len(text) < LONG_STRETCH:
        return False
    half = LONG_STRETCH // 2
    for start in range(0, len(text) - half + 1, half):
        if text.find(" ", start, start + half) < 0 or text[start : start + half].isspace():
            return True
    return False
