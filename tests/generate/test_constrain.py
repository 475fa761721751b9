"""Constrained output: masks against trying every token, random models that obey, ends, limits, all vocabularies."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glaswerk.errors import GlaswerkError
from glaswerk.generate import SamplingOptions, batch, complete, stream
from glaswerk.generate.automaton_regex import regex
from glaswerk.generate.constrain import AutomatonGrammar, Vocabulary, grammar, mask_logits
from glaswerk.model import Decoder, ModelConfig
from glaswerk.tokenizer import ByteTokenizer, Tokenizer, train_bpe
from glaswerk.tokenizer.characters import CharacterTokenizer
from glaswerk.tokenizer.words import WordTokenizer

TEXT = 'The answer is 42. Größe: 3,5 m. yes no maybe, ja nein; Paris 2024-11-24 {"a": [1, 2]} and so on, 1999 to 2026. '
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
BPE = train_bpe([TEXT * 30], 400)
TOKENIZERS: dict[str, Tokenizer] = {
    "bpe": BPE,
    "bytes": ByteTokenizer(),
    "characters": CharacterTokenizer.train([TEXT], SPECIAL),
    "words": WordTokenizer.train([TEXT], 60, SPECIAL),
}
PATTERNS = [
    r"\d{4}-\d{2}-\d{2}",
    r"(yes|no|maybe)(, (yes|no|maybe))*",
    r"[a-zäöüß]+",
    r"Gr(ö|oe)ße: \d+,\d m\.",
    r".*",
    r"[^\d]{3,9}",
    r"(\d+, )*\d+",
]


def random_model(tokenizer: Tokenizer, seed: int = 0, context: int = 96) -> Decoder:
    model = Decoder(
        ModelConfig.modern(vocabulary_size=tokenizer.vocabulary_size + 3, width=32, layers=1, heads=2, context=context)
    )
    generator = torch.Generator().manual_seed(seed)
    model.reset_parameters(generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model.eval()


def slowly(tokenizer: Tokenizer, pattern: str, said: bytes) -> set[int]:
    """The tokens after which the text can still be completed: each tried on its own, with a fresh automaton."""
    automaton = regex(pattern)
    special = set(tokenizer.special.values())
    return {
        number
        for number in range(tokenizer.vocabulary_size)
        if number not in special and automaton.read(said + tokenizer.token_bytes(number)) != 0
    }


@pytest.mark.parametrize("name", ["bpe", "bytes"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_masks_are_those_of_trying_every_token(name: str, pattern: str) -> None:
    tokenizer = TOKENIZERS[name]
    matcher = AutomatonGrammar(regex(pattern), Vocabulary(tokenizer)).matcher()
    generator = torch.Generator().manual_seed(1)
    said = b""
    for _ in range(12):
        allowed = matcher.allowed(10**6).nonzero()[:, 0].tolist()
        assert set(allowed) == slowly(tokenizer, pattern, said)
        whole = said.decode(errors="ignore").encode() == said  # no character is cut
        expected = re.compile(pattern, re.ASCII).fullmatch(said.decode(errors="replace"))
        assert matcher.fits == (whole and bool(expected))
        if not allowed:
            assert matcher.complete
            break
        number = allowed[int(torch.randint(len(allowed), (), generator=generator))]
        matcher.advance(number)
        said += tokenizer.token_bytes(number)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_whatever_a_random_model_says_fits(name: str) -> None:
    """Also where max_tokens ends it: the last tokens are spent on coming to an end."""
    tokenizer = TOKENIZERS[name]
    model, prompt = random_model(tokenizer), [1, 2, 3]
    said = set()
    for pattern in PATTERNS:
        for temperature in (0.0, 1.5):
            for max_tokens in (17, 24):
                options = SamplingOptions(
                    regex=pattern, max_tokens=max_tokens, temperature=temperature, seed=1, repetition_penalty=1.2
                )
                try:
                    result = complete(model, tokenizer, prompt, options)
                except GlaswerkError as error:
                    assert "cannot say any text" in str(error) and name == "words"
                    continue
                assert re.compile(pattern, re.ASCII).fullmatch(result.text), (pattern, result.text)
                assert not set(result.ids) & set(tokenizer.special.values())
                said.add(result.text)
    assert len(said) >= (4 if name == "words" else 10)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text("abö 1", min_size=1, max_size=5), min_size=1, max_size=5, unique=True), st.integers(0, 99))
def test_one_of_the_choices_is_said(texts: list[str], seed: int) -> None:
    options = SamplingOptions(choices=texts, temperature=2.0, seed=seed, max_tokens=12)
    assert complete(MODEL, BPE, [5, 6], options).text in texts


MODEL = random_model(BPE)


def test_the_likeliest_way_is_taken_and_each_choice_can_come() -> None:
    """Greedy over single-token choices is the argmax among them; sampling draws them as the model weighs them."""
    letters = [letter for letter in "TGyn4" if len(BPE.encode(letter)) == 1]
    ids = [BPE.encode(letter)[0] for letter in letters]
    with torch.inference_mode():
        logits = MODEL(torch.tensor([[5, 6]]))[0, -1]
    best = letters[int(logits[ids].argmax())]
    options = SamplingOptions(choices=letters, max_tokens=4)
    assert complete(MODEL, BPE, [5, 6], options, end_ids=()).text == best
    drawn = batch(
        MODEL, BPE, [[5, 6]] * 2000, SamplingOptions(choices=letters, temperature=1.0, seed=3, max_tokens=4), end_ids=()
    )
    share = torch.tensor([sum(row.text == letter for row in drawn) / 2000 for letter in letters])
    assert float((share - logits[ids].softmax(0)).abs().sum()) / 2 < 0.03


def test_the_text_ends_as_soon_as_nothing_may_follow() -> None:
    result = complete(MODEL, BPE, [5], SamplingOptions(choices=["Paris"], max_tokens=30))
    assert (result.text, result.finish_reason) == ("Paris", "stop")
    # a text that may go on ends with the end token, and only where it fits
    end = BPE.end_id
    matcher = AutomatonGrammar(regex("a(bc)*"), Vocabulary(BPE)).matcher()
    flat = torch.zeros(BPE.vocabulary_size)
    ends = []
    for letter in "abc":
        ends.append(bool(mask_logits(flat, matcher, 9, {end})[end] == 0))
        matcher.advance(BPE.encode(letter)[0])
    assert [*ends, matcher.fits, matcher.complete] == [False, True, False, True, False]


def test_towards_the_limit_only_ways_that_end_in_time_stay_open() -> None:
    matcher = AutomatonGrammar(regex("(long|word|x)+"), Vocabulary(ByteTokenizer())).matcher()
    at = {letter: matcher.allowed(n).nonzero()[:, 0].tolist() for letter, n in (("a", 1), ("b", 3), ("c", 4))}
    assert at == {"a": [ord("x")], "b": [ord("x")], "c": [ord("l"), ord("w"), ord("x")]}
    with pytest.raises(GlaswerkError, match="room for 4 tokens and the shortest text that fits may need 5"):
        complete(
            random_model(TOKENIZERS["bytes"]), ByteTokenizer(), [1], SamplingOptions(choices=["Paris"], max_tokens=4)
        )


def test_a_vocabulary_that_cannot_say_everything_never_runs_into_a_dead_end() -> None:
    """Of characters only: a way that needs a character it lacks is closed from the start."""
    tokenizer = CharacterTokenizer.train(["abc"], SPECIAL)
    matcher = AutomatonGrammar(regex("ab*z|ac"), Vocabulary(tokenizer)).matcher()
    assert matcher.least() == 2
    matcher.advance(tokenizer.ids["a"])
    assert matcher.allowed(99).nonzero()[:, 0].tolist() == [tokenizer.ids["c"]]
    with pytest.raises(GlaswerkError, match="vocabulary cannot say"):
        grammar(tokenizer, SamplingOptions(regex="z+"))


def test_rows_side_by_side_and_streamed_say_what_they_would_alone() -> None:
    options = SamplingOptions(regex=r"[a-z ]{2,12}\.", max_tokens=20, temperature=1.0, seed=5)
    prompts = [[1], [7, 8, 9], [4, 4]]
    rows = batch(MODEL, BPE, prompts, options)
    assert len({row.text for row in rows}) == 3
    for place, (row, prompt) in enumerate(zip(rows, prompts, strict=True)):
        alone = SamplingOptions(regex=r"[a-z ]{2,12}\.", max_tokens=20, temperature=1.0, seed=5 + place)
        assert complete(MODEL, BPE, prompt, alone).ids == row.ids
        assert "".join(piece.text for piece in stream(MODEL, BPE, prompt, alone)) == row.text
        assert re.fullmatch(r"[a-z ]{2,12}\.", row.text)


def test_special_tokens_are_never_text() -> None:
    """Even where the pattern spells one out, its single id stays closed; it can be written letter by letter."""
    matcher = AutomatonGrammar(regex(r"<\|im_end\|>!"), Vocabulary(BPE)).matcher()
    allowed = set(matcher.allowed(99).nonzero()[:, 0].tolist())
    assert allowed and not allowed & set(BPE.special.values())
    result = complete(MODEL, BPE, [1], SamplingOptions(regex=r"<\|im_end\|>!", max_tokens=30), end_ids=())
    assert result.text == "<|im_end|>!" and not set(result.ids) & set(BPE.special.values())


@pytest.mark.parametrize(
    "options",
    [
        {"choices": []},
        {"choices": "yes"},
        {"choices": [1]},
        {"choices": ["a"], "regex": "b"},
        {"regex": "b", "json_schema": {"type": "string"}},
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(GlaswerkError, match="choices"):
        SamplingOptions(**options)


def test_what_was_compiled_is_kept() -> None:
    first = grammar(BPE, SamplingOptions(regex="a+b"))
    assert grammar(BPE, SamplingOptions(regex="a+b", temperature=1.0)) is first
    assert grammar(BPE, SamplingOptions(choices=["a+b"])) is not first
    assert grammar(BPE, SamplingOptions()) is None
    for number in range(40):
        grammar(BPE, SamplingOptions(choices=[str(number)]))
    assert grammar(BPE, SamplingOptions(regex="a+b")) is not first


def test_few_states_are_kept_of_a_large_automaton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glaswerk.generate.constrain.KEPT_TOKENS", 1)
    made = AutomatonGrammar(regex("[a-z ]{60}"), Vocabulary(BPE))
    matcher = made.matcher()
    for _ in range(40):
        matcher.advance(BPE.encode("a")[0])
    assert len(made._after) <= 8 and matcher.allowed(99).any()


# ---------------------------------------------------------------------------------------------- JSON
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 6},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "kind": {"enum": ["cat", "dog"]},
    },
    "required": ["name", "age", "kind"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("name", ["bpe", "bytes"])
def test_json_that_keeps_to_its_schema(name: str) -> None:
    pytest.importorskip("llguidance", reason="needs the extra json: pip install 'glaswerk[json]'")
    tokenizer = TOKENIZERS[name]
    model, found = random_model(tokenizer, 2, context=400), set()
    for seed in range(4):
        options = SamplingOptions(json_schema=SCHEMA, max_tokens=200, temperature=1.0, seed=seed, top_k=20)
        result = complete(model, tokenizer, [1, 2], options)
        if result.finish_reason != "stop":  # a schema knows nothing of max_tokens: spaces without end are JSON too
            continue
        value = json.loads(result.text)
        assert value.keys() == {"name", "age", "kind"} and value["kind"] in ("cat", "dog")
        assert type(value["age"]) is int and 0 <= value["age"] <= 120 and len(value["name"]) <= 6
        found.add(result.text)
    assert len(found) >= 2


def test_schemas_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llguidance", reason="needs the extra json: pip install 'glaswerk[json]'")
    for bad in ({"type": "nonsense"}, {"type": {1, 2}}, {"enum": []}):
        with pytest.raises(GlaswerkError, match="schema") as caught:
            grammar(BPE, SamplingOptions(json_schema=bad))
        assert "\n" not in str(caught.value)


def test_without_llguidance_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(GlaswerkError, match=r"glaswerk\[json\]"):
        grammar(TOKENIZERS["bytes"], SamplingOptions(json_schema={"type": "string"}))
