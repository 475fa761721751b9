"""Hugging Face's ``tokenizer.json``: our tokenizers in that form, and strangers' files read with every value
checked.

Read: models of type BPE on bytes (GPT-2, Llama 3, Qwen, SmolLM2, ours) and with SentencePiece's byte fallback
(Llama 2, TinyLlama), and the two simple forms our own lower rungs are saved in. Anything that would change
ids and is not understood is refused by name.
"""

from __future__ import annotations

from typing import Any

from glaswerk.errors import GlaswerkError
from glaswerk.tokenizer.bpe import BPETokenizer
from glaswerk.tokenizer.fast import FastBPE
from glaswerk.tokenizer.interface import Tokenizer
from glaswerk.tokenizer.split import Split, flatten
from glaswerk.tokenizer.visible import from_visible, visible

#: no vocabulary known today has a quarter of this; a file that claims more is not believed
MOST_TOKENS = 1 << 21
LONGEST_TOKEN = 4_096
#: so many ids, and as many as there are tokens, may be unused: a table has a place for each
SPARE_IDS = 10_000
#: added tokens are looked for one by one in every text, so their number and length cost time (Gemma has 6,414)
MOST_ADDED, LONGEST_ADDED = 10_000, 256


def frame(model: dict[str, Any], special: dict[str, int]) -> dict[str, Any]:
    """The parts that every ``tokenizer.json`` has, around a model."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": number,
                "content": name,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for name, number in sorted(special.items(), key=lambda item: item[1])
        ],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        "model": model,
    }


def bpe_as_json(tokenizer: BPETokenizer) -> dict[str, Any]:
    """A byte-level BPE in the ``tokenizer.json`` form; a loaded one comes back as it was."""
    if tokenizer.source is not None:
        return tokenizer.source
    shown = [None if token is None else visible(token) for token in tokenizer.tokens]
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": tokenizer.whole_pieces,
        "vocab": {text: number for number, text in enumerate(shown) if text is not None},
        "merges": [[shown[left], shown[right]] for left, right, _ in tokenizer.merges],
    }
    document = frame(model, tokenizer.special)
    document["normalizer"] = tokenizer.split.normalizer
    document["pre_tokenizer"] = tokenizer.split.pre_tokenizer
    document["decoder"] = {
        "type": "ByteLevel",
        "add_prefix_space": True,
        "trim_offsets": True,
        "use_regex": True,
    }
    return document


def from_json(document: Any) -> Tokenizer:
    """The tokenizer that a parsed ``tokenizer.json`` describes. Raises :class:`GlaswerkError` in one clear
    line.
    """
    if not isinstance(document, dict) or not isinstance(document.get("model"), dict):
        raise _bad("there is no model in it")
    model = document["model"]
    vocabulary = _vocabulary(model.get("vocab"))
    special = _added_tokens(document.get("added_tokens"))
    highest, count = max([*vocabulary.values(), *special.values()]), len(vocabulary) + len(special)
    if highest > 2 * count + SPARE_IDS:
        raise _bad(f"its {count:,} tokens have ids up to {highest:,}, which leaves too many ids unused")
    kind = model.get("type", "BPE" if "merges" in model else None)
    pre_tokenizer, normalizer = document.get("pre_tokenizer"), document.get("normalizer")
    if kind == "WordLevel":
        from glaswerk.tokenizer.words import WordTokenizer

        return WordTokenizer.from_json(document, vocabulary, special)
    if kind != "BPE":
        raise _bad(f"a model of type {str(kind)[:40]!r} is not supported, only BPE")
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise _bad(f"a BPE with {key} is not supported")
    pairs = _merges(model.get("merges"))
    if pre_tokenizer is None and normalizer is None and not pairs and not model.get("byte_fallback"):
        from glaswerk.tokenizer.characters import CharacterTokenizer

        return CharacterTokenizer([*vocabulary], special)
    steps = flatten(pre_tokenizer, "pretokenizers") if pre_tokenizer is not None else []
    if not any(step["type"] == "ByteLevel" for step in steps):
        from glaswerk.tokenizer.metaspace import MetaspaceBPE

        return MetaspaceBPE.from_json(document, vocabulary, pairs, special)
    assert pre_tokenizer is not None
    return _byte_level(document, vocabulary, pairs, special, Split(pre_tokenizer, normalizer))


def _byte_level(
    document: dict[str, Any],
    vocabulary: dict[str, int],
    pairs: list[tuple[str, str]],
    special: dict[str, int],
    split: Split,
) -> FastBPE:
    size = 1 + max(vocabulary.values())
    tokens: list[bytes | None] = [None] * size
    for text, number in vocabulary.items():
        tokens[number] = None if text in special else from_visible(text)
        if tokens[number] is None and special.get(text) != number:
            raise _bad(f"the token {text[:40]!r} is no byte-level token")
    seen = {token for token in tokens if token is not None and len(token) == 1}
    # a few that no text needs may be missing (21 in SmolLM2); such a byte is left out of what is encoded
    if len(seen) < 128 or (len(seen) < 256 and document["model"].get("unk_token") is not None):
        raise _bad(f"{256 - len(seen)} of the 256 byte tokens are missing")
    numbers = {number for number, token in enumerate(tokens) if token is not None}
    for name, number in special.items():
        if number in numbers:
            raise _bad(f"the special token {name[:40]!r} has the id {number}, which another token has")
    merges = merge_ids(pairs, vocabulary)
    whole = document["model"].get("ignore_merges", False) is True
    return FastBPE(tokens, merges, split, special, whole_pieces=whole, source=document)


def merge_ids(pairs: list[tuple[str, str]], vocabulary: dict[str, int]) -> list[tuple[int, int, int]]:
    """Merges as (left, right, merged) ids; refuses those whose parts or result are not in the vocabulary."""
    merges = []
    seen = set()
    for left, right in pairs:
        try:
            merge = (vocabulary[left], vocabulary[right], vocabulary[left + right])
        except KeyError as missing:
            raise _bad(
                f"the merge of {left[:40]!r} and {right[:40]!r} needs a token {missing.args[0][:80]!r}"
            ) from None
        if merge[:2] in seen:
            raise _bad(f"the merge of {left[:40]!r} and {right[:40]!r} is there twice")
        seen.add(merge[:2])
        merges.append(merge)
    return merges


def _vocabulary(given: Any) -> dict[str, int]:
    if not isinstance(given, dict) or not given:
        raise _bad("the model has no vocabulary")
    if len(given) > MOST_TOKENS:
        raise _bad(f"{len(given):,} tokens are more than any real vocabulary has")
    numbers = set()
    for text, number in given.items():
        _check_token(text, number)
        numbers.add(number)
    if len(numbers) != len(given):
        raise _bad("two tokens have the same id")
    return given


def _check_token(text: Any, number: Any) -> tuple[str, int]:
    if not isinstance(text, str) or len(text) > LONGEST_TOKEN:
        raise _bad(f"a token is no text of at most {LONGEST_TOKEN} characters")
    if not text.isascii() and not _is_unicode(text):
        raise _bad(f"the token {text[:40]!r} is half a surrogate pair, which no text can hold")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < MOST_TOKENS:
        raise _bad(f"the token {text[:40]!r} has the id {str(number)[:40]}, which is no id")
    return text, number


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _added_tokens(given: Any) -> dict[str, int]:
    if given is None:
        return {}
    if not isinstance(given, list) or len(given) > MOST_ADDED:
        raise _bad(f"added_tokens is no list of at most {MOST_ADDED:,}")
    special: dict[str, int] = {}
    taken: set[int] = set()
    for token in given:
        if not isinstance(token, dict):
            raise _bad("an added token is no object")
        text, number = _check_token(token.get("content"), token.get("id"))
        if not text or len(text) > LONGEST_ADDED:
            raise _bad(f"an added token is empty, or longer than {LONGEST_ADDED} characters")
        if special.get(text, number) != number or (text not in special and number in taken):
            raise _bad(f"the added token {text[:40]!r} (id {number}) is there twice")
        for flag in ("single_word", "lstrip", "rstrip"):
            if token.get(flag):
                raise _bad(f"the added token {text[:40]!r} has {flag}, which is not supported")
        special[text] = number
        taken.add(number)
    return special


def _merges(given: Any) -> list[tuple[str, str]]:
    if not isinstance(given, list) or len(given) > 4 * MOST_TOKENS:
        raise _bad("the model has no list of merges")
    pairs = []
    for one in given:
        parts = one.split(" ") if isinstance(one, str) else one
        if not isinstance(parts, list) or len(parts) != 2:
            raise _bad(f"a merge is not two tokens: {str(one)[:60]!r}")
        left, right = parts
        if not (isinstance(left, str) and isinstance(right, str) and left and right):
            raise _bad(f"a merge is not two tokens: {str(one)[:60]!r}")
        pairs.append((left, right))
    return pairs


def _bad(what: str) -> GlaswerkError:
    return GlaswerkError(f"tokenizer.json: {what}")
