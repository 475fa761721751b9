"""Constrained output: a model that may only say what fits a list of choices, a pattern or a JSON schema.

Before each choice, the tokens that cannot lead to a text that fits are given the logit -inf; the model chooses among
the others as always, so what it says is its own opinion under the rule. A token is a string of bytes: it is allowed if
the automaton survives all of them and the rest can still be said in the tokens that are left. The end is allowed where
the text fits as it stands. A text ended by ``max_tokens`` fits too: towards the limit, only ways that end in time stay
open.

The states after all tokens of the vocabulary are computed once for each state that is met, and kept. Special tokens
(and others without bytes) are never text. Left out: JSON schemas of our own (``llguidance`` reads them, and does not
know about ``max_tokens``); keeping to the cuts into tokens that the tokenizer itself would make.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from glaswerk.errors import GlaswerkError
from glaswerk.generate.automaton import DEAD, FAR, Automaton, choices
from glaswerk.generate.automaton_regex import regex
from glaswerk.generate.sampling import SamplingOptions
from glaswerk.tokenizer.interface import Tokenizer

#: automata kept per tokenizer, the last used ones
KEPT = 16
#: tokens whose next states are kept per automaton: about 20 MB
KEPT_TOKENS = 4_000_000
#: the bytes that occur in UTF-8
IN_UTF8 = frozenset(range(256)) - {0xC0, 0xC1, *range(0xF5, 0x100)}


class Matcher(Protocol):
    """Follows one text: what may come, and what came."""

    @property
    def fits(self) -> bool:
        """Whether the text fits as it stands."""

    @property
    def complete(self) -> bool:
        """Whether it fits and nothing may follow."""

    def allowed(self, remaining: int) -> Tensor:
        """Which tokens may come next, bool ``[V]``, where ``remaining`` tokens (with this one) are left."""

    def advance(self, number: int) -> None:
        """Read a token that was allowed."""

    def least(self) -> int:
        """So many tokens may be needed until the text fits."""


class Vocabulary:
    """The bytes of every token of a tokenizer in one array; special tokens have none."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        special = set(tokenizer.special.values())
        self.tokens = [b"" if n in special else bytes_of(tokenizer, n) for n in range(tokenizer.vocabulary_size)]
        self.flat = np.frombuffer(b"".join(self.tokens), dtype=np.uint8)
        self.lengths = np.array([len(token) for token in self.tokens], dtype=np.int64)
        self.starts = np.cumsum(self.lengths) - self.lengths
        single = {token[0] for token in self.tokens if len(token) == 1}
        #: every text can be said, byte by byte if need be
        self.says_all = single >= IN_UTF8
        self.grammars: dict[str, Grammar] = {}

    def after(self, automaton: Automaton, state: int) -> np.ndarray:
        """The automaton's state after each token, int32 ``[V]``, from ``state`` on; DEAD where it does not fit."""
        after_V = automaton.read_all(state, self.flat, self.starts, self.lengths)
        after_V[self.lengths == 0] = DEAD
        return after_V

    @cached_property
    def for_llguidance(self) -> Any:
        """The same vocabulary as ``llguidance`` wants it."""
        import llguidance

        empty = [number for number, token in enumerate(self.tokens) if not token]
        # one token must be its end; ours are added where the text fits, so that any without bytes will do
        tokens = self.tokens if empty else [*self.tokens, b""]
        end = empty[0] if empty else len(self.tokens)
        shown = _Shown([token or b"\xff[%d]" % number for number, token in enumerate(tokens)], end, empty or [end])
        return llguidance.LLTokenizer(llguidance.TokenizerWrapper(shown))


class _Shown:
    """What ``llguidance`` asks of a tokenizer; it never encodes text here, so that greedy pieces do."""

    def __init__(self, tokens: list[bytes], end: int, special: list[int]) -> None:
        self.tokens, self.eos_token_id, self.special_token_ids = tokens, end, special
        self.bos_token_id = None
        self._ids = {token: number for number, token in enumerate(tokens) if number not in set(special)}

    def __call__(self, text: bytes) -> list[int]:
        ids: list[int] = []
        while text:
            length = next((n for n in range(min(len(text), 64), 0, -1) if text[:n] in self._ids), 0)
            if not length:
                return ids
            ids.append(self._ids[text[:length]])
            text = text[length:]
        return ids


class Grammar(Protocol):
    """What is asked of a text; makes a matcher for each text."""

    def matcher(self) -> Matcher: ...


class AutomatonGrammar:
    """An automaton over one vocabulary; what it found out about a state serves all later texts."""

    def __init__(self, automaton: Automaton, vocabulary: Vocabulary) -> None:
        self.automaton, self.vocabulary = automaton, vocabulary
        self._after: dict[int, np.ndarray] = {}
        self._masks: dict[int, tuple[Tensor, int]] = {}
        #: states whose tokens are kept at a time
        self._room = max(8, KEPT_TOKENS // len(vocabulary.tokens))
        self._least = None if vocabulary.says_all else self._count_tokens()
        if self.least(automaton.start) == FAR:
            raise GlaswerkError("this model's vocabulary cannot say any text that fits")

    def matcher(self) -> AutomatonMatcher:
        return AutomatonMatcher(self)

    def after(self, state: int) -> np.ndarray:
        """:meth:`Vocabulary.after`, kept."""
        found = self._after.get(state)
        if found is None:
            if len(self._after) >= self._room:
                self._after.clear()
                self._masks.clear()
            found = self._after[state] = self.vocabulary.after(self.automaton, state)
        return found

    def least(self, states: Any) -> Any:
        """Tokens that may be needed from a state (or each of an array of states) to where the text fits.

        Where every byte is a token, the bytes to go are enough; else the count is exact.
        """
        return (self.automaton.distance if self._least is None else self._least)[states]

    def mask(self, state: int, remaining: int) -> Tensor:
        """The tokens allowed in a state, bool ``[V]``: those after which the text can be ended in time."""
        kept = self._masks.get(state)
        if kept is None:
            least_V = self.least(self.after(state))
            open_V = least_V < FAR
            kept = self._masks[state] = torch.from_numpy(open_V), int(least_V[open_V].max(initial=0))
        mask_V, longest = kept
        return mask_V if longest < remaining else torch.from_numpy(self.least(self.after(state)) < remaining)

    def _count_tokens(self) -> np.ndarray:
        """For vocabularies that cannot say everything (characters, words): find all states that tokens reach, then
        count backwards from where the text fits. int32 ``[states]``.
        """
        into: dict[int, set[int]] = {}
        found, open_ = {self.automaton.start}, [self.automaton.start]
        while open_:
            state = open_.pop()
            for target in np.unique(self.after(state)).tolist():
                if target != DEAD:
                    into.setdefault(target, set()).add(state)
                    if target not in found:
                        found.add(target)
                        open_.append(target)
        least = np.full(len(self.automaton.sets), FAR, dtype=np.int32)
        layer, count = [state for state in found if self.automaton.distance[state] == 0], 0
        while layer:
            least[layer] = count
            count += 1
            layer = list({before for state in layer for before in into.get(state, ()) if least[before] == FAR})
        return least


class AutomatonMatcher:
    """One text on its way through an automaton."""

    def __init__(self, grammar: AutomatonGrammar) -> None:
        self.grammar, self.state = grammar, grammar.automaton.start

    @property
    def fits(self) -> bool:
        return self.grammar.automaton.accepts_here(self.state)

    @property
    def complete(self) -> bool:
        return self.fits and not bool(self.grammar.mask(self.state, FAR).any())

    def allowed(self, remaining: int) -> Tensor:
        return self.grammar.mask(self.state, remaining)

    def advance(self, number: int) -> None:
        self.state = int(self.grammar.after(self.state)[number])

    def least(self) -> int:
        return int(self.grammar.least(self.state))


class SchemaGrammar:
    """A JSON schema, read by ``llguidance`` (Rust; an extra). Raises :class:`GlaswerkError` for a schema it refuses."""

    def __init__(self, schema: Mapping[str, Any], vocabulary: Vocabulary) -> None:
        try:
            import llguidance
        except ImportError:
            raise GlaswerkError("a JSON schema needs llguidance: pip install 'glaswerk[json]'") from None
        self.size = len(vocabulary.tokens)
        try:
            grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(dict(schema)))
        except (TypeError, ValueError) as error:
            raise GlaswerkError(f"the JSON schema is not JSON: {error}") from None
        self.first = llguidance.LLMatcher(vocabulary.for_llguidance, grammar, log_level=0)
        if self.first.is_error():
            reason = " ".join(self.first.get_error().split())
            raise GlaswerkError(f"the JSON schema is not understood: {reason[:200]}")

    def matcher(self) -> SchemaMatcher:
        return SchemaMatcher(self.first.deep_copy(), self.size)


class SchemaMatcher:
    """One text on its way through a JSON schema."""

    def __init__(self, inner: Any, size: int) -> None:
        self.inner, self.size = inner, size

    @property
    def fits(self) -> bool:
        return bool(self.inner.is_accepting())

    @property
    def complete(self) -> bool:
        return bool(self.inner.is_stopped())

    def allowed(self, remaining: int) -> Tensor:
        bits = np.frombuffer(self.inner.compute_bitmask(), dtype=np.uint8)
        return torch.from_numpy(np.unpackbits(bits, bitorder="little")[: self.size].astype(bool))

    def advance(self, number: int) -> None:
        self.inner.consume_token(number)

    def least(self) -> int:
        return 0 if self.fits else 1


# ---------------------------------------------------------------------------------------------- use
_VOCABULARIES: WeakKeyDictionary[Tokenizer, Vocabulary] = WeakKeyDictionary()


def grammar(tokenizer: Tokenizer, options: SamplingOptions) -> Grammar | None:
    """What the options ask of a text, None: nothing. Kept, so that asking again is free. Raises
    :class:`GlaswerkError` for what no text can be or this vocabulary cannot say.
    """
    asked = [options.choices, options.regex, options.json_schema]
    if asked == [None, None, None]:
        return None
    if tokenizer not in _VOCABULARIES:
        _VOCABULARIES[tokenizer] = Vocabulary(tokenizer)
    vocabulary = _VOCABULARIES[tokenizer]
    key = repr(asked)
    found = vocabulary.grammars.pop(key, None) or build(vocabulary, options)
    vocabulary.grammars[key] = found  # last used, last in the dictionary
    if len(vocabulary.grammars) > KEPT:
        del vocabulary.grammars[next(iter(vocabulary.grammars))]
    return found


def build(vocabulary: Vocabulary, options: SamplingOptions) -> Grammar:
    """The grammar of the one option that is given."""
    if options.json_schema is not None:
        return SchemaGrammar(options.json_schema, vocabulary)
    if options.regex is not None:
        return AutomatonGrammar(regex(options.regex), vocabulary)
    return AutomatonGrammar(choices(options.choices or ()), vocabulary)


def mask_logits(logits_V: Tensor, matcher: Matcher, remaining: int, ends: Collection[int]) -> Tensor:
    """The logits with -inf for what may not come; the end tokens only where the text fits.

    Raises :class:`GlaswerkError` where nothing may come (a JSON schema can lead there).
    """
    size = len(logits_V)
    allowed_V = matcher.allowed(remaining)[:size].clone()
    known = [number for number in ends if number < size]
    allowed_V[known] = matcher.fits
    if not bool(allowed_V.any()):
        raise GlaswerkError("no token of this vocabulary may come next: the text cannot be completed")
    return logits_V.masked_fill(~allowed_V.to(logits_V.device), float("-inf"))


def bytes_of(tokenizer: Tokenizer, number: int) -> bytes:
    """A token's bytes; none for an id that the vocabulary skips."""
    try:
        return tokenizer.token_bytes(number)
    except GlaswerkError:
        return b""
