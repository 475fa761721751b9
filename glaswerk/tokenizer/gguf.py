"""The tokenizer in a GGUF file: vocabulary, where text is cut, chat template, what begins and ends a text; both ways.

The metadata become the ``tokenizer.json`` they stand for, so that a stranger's values go through the same checks and
the same code. Known are ``gpt2`` (BPE on bytes; where text is cut has only a name in the file) and ``llama``
(SentencePiece's BPE with a score for each token: every way to put a token together is a merge, best score first).
Left out: unigram, WordPiece and the other kinds, which are refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from glaswerk.errors import GlaswerkError
from glaswerk.formats.gguf import Texts, place
from glaswerk.tokenizer.bpe import BPETokenizer
from glaswerk.tokenizer.chat import CHATML
from glaswerk.tokenizer.fast import merge_of
from glaswerk.tokenizer.huggingface import MOST_TOKENS, frame, from_json
from glaswerk.tokenizer.interface import Tokenizer
from glaswerk.tokenizer.metaspace import SPACE
from glaswerk.tokenizer.patterns import GPT2, GPT4
from glaswerk.tokenizer.split import DIGITS, byte_level, flatten
from glaswerk.tokenizer.template import ChatTemplate

if TYPE_CHECKING:
    from glaswerk.tokenizer.speech import Speech

KEY = "tokenizer.ggml."
#: values of token_type
UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 2, 3, 4, 5


def cut(*patterns: str) -> dict[str, Any]:
    """Cut by one expression after the other, then look at bytes."""
    steps: list[dict[str, Any]] = [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        for pattern in patterns
    ]
    return {"type": "Sequence", "pretokenizers": [*steps, byte_level(use_regex=False)]}


#: what Qwen 2 changed: each digit is a piece
QWEN2 = GPT4.replace(r"\p{N}{1,3}", r"\p{N}")
#: tokenizer.ggml.pre -> the pre_tokenizer that cuts so
PRE: dict[str, dict[str, Any]] = {
    "gpt-2": byte_level(use_regex=True),
    "smollm": DIGITS,
    "llama-bpe": cut(GPT4),
    "qwen2": cut(QWEN2),
    "default": cut(r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"),
}
#: other names of the same
ALIASES = {"llama3": "llama-bpe", "llama-v3": "llama-bpe", "starcoder": "smollm", "refact": "smollm"}


def load_tokenizer(metadata: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that a GGUF file's metadata describe. Raises :class:`GlaswerkError` in one line."""
    kind = metadata.get(KEY + "model")
    if not isinstance(kind, str) or kind not in ("gpt2", "llama"):
        raise GlaswerkError(
            f"{KEY}model {_shown(kind)!r} is not supported{place(metadata, KEY + 'model')}; "
            "supported are gpt2 and llama"
        )
    texts = _texts(metadata, "tokens")
    types = _numbers(metadata, "token_type", len(texts), np.integer)
    size = len(texts)
    while size and types[size - 1] == UNUSED:  # rows that only fill the matrix up
        size -= 1
    vocabulary = {text: number for number, text in enumerate(islice(texts, size))}
    if len(vocabulary) != size:
        raise GlaswerkError(f"{KEY}tokens holds a text twice{place(metadata, KEY + 'tokens')}; the file is damaged")
    marks = {UNKNOWN, CONTROL, USER_DEFINED, UNUSED}
    special = {text: number for text, number in vocabulary.items() if int(types[number]) in marks}
    document = (_byte_level if kind == "gpt2" else _sentencepiece)(metadata, vocabulary, special)
    try:
        return from_json(document)
    except GlaswerkError as error:
        raise GlaswerkError(f"the tokenizer in the file: {str(error).removeprefix('tokenizer.json: ')}") from error


def load_template(metadata: Mapping[str, Any], tokenizer: Tokenizer) -> ChatTemplate | None:
    """The file's chat template, if it has one."""
    source = metadata.get("tokenizer.chat_template")
    if not isinstance(source, str):
        return None
    names = {number: name for name, number in tokenizer.special.items()}
    begin, end = (_id(metadata, name) for name in ("bos_token_id", "eos_token_id"))
    return ChatTemplate(source, *("" if number is None else names.get(number, "") for number in (begin, end)))


def begin_id(metadata: Mapping[str, Any]) -> int | None:
    """The token that stands before every text, or None; a file that does not say goes by llama.cpp's habit."""
    usual = metadata.get(KEY + "model") == "llama" or _pre(metadata) == "llama-bpe"
    wanted = metadata.get(KEY + "add_bos_token", usual)
    return _id(metadata, "bos_token_id") if wanted is True else None


def end_ids(metadata: Mapping[str, Any]) -> set[int]:
    """The tokens that the file names as ends of a text or of a turn."""
    found = (_id(metadata, name) for name in ("eos_token_id", "eot_token_id"))
    return {number for number in found if number is not None}


def _byte_level(metadata: Mapping[str, Any], vocabulary: dict[str, int], special: dict[str, int]) -> dict[str, Any]:
    pre = _pre(metadata)
    if pre not in PRE:
        raise GlaswerkError(
            f"{KEY}pre {pre[:40]!r} is not supported{place(metadata, KEY + 'pre')}; supported are {', '.join(PRE)}"
        )
    document = frame(
        {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": pre == "llama-bpe",
            "vocab": vocabulary,
            "merges": [merge.split(" ", 2) for merge in _texts(metadata, "merges", most=4 * MOST_TOKENS)],
        },
        special,
    )
    document["normalizer"] = {"type": "NFC"} if pre == "qwen2" else None
    document["pre_tokenizer"] = PRE[pre]
    document["decoder"] = byte_level(use_regex=True) | {"add_prefix_space": True}
    return document


def _sentencepiece(metadata: Mapping[str, Any], vocabulary: dict[str, int], special: dict[str, int]) -> dict[str, Any]:
    scores = _numbers(metadata, "scores", len(vocabulary), np.floating)
    ways: list[tuple[float, int, int, str, str]] = []
    for text, number in vocabulary.items():
        if len(text) > 256:
            raise GlaswerkError(
                f"{KEY}tokens holds a text of {len(text)} characters{place(metadata, KEY + 'tokens')}, "
                "more than any real one has"
            )
        if text in special:
            continue
        for cut_at in range(1, len(text)):
            left, right = vocabulary.get(text[:cut_at]), vocabulary.get(text[cut_at:])
            if left is not None and right is not None:
                ways.append((-float(scores[number]), left, right, text[:cut_at], text[cut_at:]))
    ways.sort()
    names = {number: name for name, number in vocabulary.items()}
    unknown = _id(metadata, "unknown_token_id")
    document = frame(
        {
            "type": "BPE",
            "dropout": None,
            "unk_token": None if unknown is None else names.get(unknown),
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": [[left, right] for *_, left, right in ways],
        },
        special,
    )
    prefix = metadata.get(KEY + "add_space_prefix", True) is True
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    first = {"type": "Prepend", "prepend": SPACE}
    document["normalizer"] = {"type": "Sequence", "normalizers": [first, replace]} if prefix else replace
    decoders: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefix else []
    document["decoder"] = {"type": "Sequence", "decoders": decoders + strip}
    return document


def _shown(value: Any) -> str:
    """The beginning of a value that is not what it should be, in one line."""
    return " ".join(str(value).split())[:40]


def _pre(metadata: Mapping[str, Any]) -> str:
    pre = metadata.get(KEY + "pre", "default")
    return ALIASES.get(pre, pre) if isinstance(pre, str) else _shown(pre)


def _texts(metadata: Mapping[str, Any], name: str, most: int = MOST_TOKENS) -> Texts:
    value = metadata.get(KEY + name)
    if not isinstance(value, Texts) or len(value) > most:
        raise GlaswerkError(
            f"{KEY}{name} is missing or no list of texts{place(metadata, KEY + name)}; the file is damaged"
        )
    return value


def _numbers(metadata: Mapping[str, Any], name: str, count: int, kind: type) -> np.ndarray:
    value = metadata.get(KEY + name)
    if not isinstance(value, np.ndarray) or len(value) < count or not np.issubdtype(value.dtype, kind):
        raise GlaswerkError(
            f"{KEY}{name} is missing or no list of {count:,} numbers{place(metadata, KEY + name)}; the file is damaged"
        )
    return value


def _id(metadata: Mapping[str, Any], name: str) -> int | None:
    value = metadata.get(KEY + name)
    return value if type(value) is int and 0 <= value < MOST_TOKENS else None


# ---------------------------------------------------------------------------------------------- writing
def to_metadata(speech: Speech, size: int) -> dict[str, Any]:
    """What a GGUF file says of a tokenizer, for a model of ``size`` rows of the embedding.

    Raises :class:`GlaswerkError` where llama.cpp would read other ids: GGUF has only names for the ways to cut text.
    """
    tokenizer = speech.tokenizer
    if not isinstance(tokenizer, BPETokenizer):
        raise GlaswerkError(
            f"a GGUF file cannot hold a tokenizer of this kind ({type(tokenizer).__name__}): only BPE on bytes; "
            "use --to hf"
        )
    pre = name_of_cuts(tokenizer)
    document = tokenizer.as_json()
    texts = [f"[PAD{number}]" for number in range(size)]
    types = np.full(size, UNUSED, np.int32)
    for text, number in document["model"]["vocab"].items():
        texts[number], types[number] = text, 1
    for text, number in tokenizer.special.items():
        texts[number], types[number] = text, CONTROL
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in document["model"]["merges"]]
    turn = tokenizer.special.get("<|im_end|>")
    end = tokenizer.end_id if not speech.has_chat or turn is None else turn
    if speech.template is not None:
        end = tokenizer.special.get(speech.template.eos, end)
    values: dict[str, Any] = {
        KEY + "model": "gpt2",
        KEY + "pre": pre,
        KEY + "tokens": texts,
        KEY + "token_type": types,
        KEY + "merges": merges,
        KEY + "bos_token_id": tokenizer.end_id if speech.begin is None else speech.begin,
        KEY + "eos_token_id": end,
        KEY + "padding_token_id": tokenizer.end_id,
        KEY + "add_bos_token": speech.begin is not None,
        KEY + "add_space_prefix": False,
    }
    if speech.has_chat:
        values["tokenizer.chat_template"] = CHATML if speech.template is None else speech.template.source
    return values


def name_of_cuts(tokenizer: BPETokenizer) -> str:
    """The name that makes llama.cpp cut and merge text as ``tokenizer`` does."""
    split = tokenizer.split
    wanted = (_cuts(split.pre_tokenizer), split.normalizer)
    for pre, part in PRE.items():
        normalizer = {"type": "NFC"} if pre == "qwen2" else None
        if wanted == (_cuts(part), normalizer):
            break
    else:
        raise GlaswerkError("GGUF has no name for the way this tokenizer cuts text, so ids would differ; use --to hf")
    # llama-bpe takes a piece that is a token as it is, the others always merge: the same only if merging finds it
    if tokenizer.whole_pieces != (pre == "llama-bpe"):
        for number, token in enumerate(tokenizer.tokens):
            if token is not None and merge_of(tokenizer, token) != [number]:
                raise GlaswerkError(
                    f"this tokenizer reaches the token {token[:40]!r} in a way that GGUF has no name for; use --to hf"
                )
    return pre


def _cuts(part: dict[str, Any]) -> list[tuple[Any, ...]]:
    """A pre_tokenizer's steps, as far as they cut text, two spellings of one pattern as one."""
    steps: list[tuple[Any, ...]] = []
    for step in flatten(part, "pretokenizers"):
        if step["type"] == "ByteLevel" and step.get("use_regex", True):
            steps.append((GPT2, step.get("add_prefix_space", True)))
        elif step["type"] == "ByteLevel":
            steps += [("prefix",)] if step.get("add_prefix_space", True) else []
        elif step["type"] == "Split" and step.get("behavior") == "Isolated":
            pattern = step["pattern"].get("Regex", "")
            same = pattern.replace(r"|\s*[\r\n]+|", r"|\s*[\r\n]|")  # both end at the last line end of the spaces
            steps.append((same, False))
        elif step["type"] == "Digits" and step.get("individual_digits") is True:
            steps.append((r"\p{N}", False))
        else:
            steps.append((step["type"], None))
    return steps
