"""The automaton against Python's own ``re.fullmatch``, byte sequences against Python's UTF-8, and what is refused."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glaswerk.errors import GlaswerkError
from glaswerk.generate.automaton import DEAD, FAR, choices
from glaswerk.generate.automaton_regex import regex, utf8

# characters of one to four bytes, the ends of the lengths, neighbours of the surrogates, and what patterns are made of
LETTERS = "aAbz09_ \n\t-]^äßé€\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff🙂"
MARKS = "()[]{}|*+?.\\^$-"


def escaped(character: str) -> str:
    return "\\" + character if character in MARKS else character


members = st.one_of(
    st.sampled_from(LETTERS).map(escaped),
    st.sampled_from([r"\d", r"\w", r"\s", r"\D", r"\S", r"\W", r"\n", r"\x41", r"\u00e4"]),
    st.tuples(st.sampled_from(LETTERS), st.sampled_from(LETTERS)).map(
        lambda p: "-".join(escaped(c) for c in sorted(p))
    ),
)
atoms = st.one_of(
    st.sampled_from(LETTERS + MARKS).map(escaped),
    st.sampled_from([".", r"\d", r"\w", r"\S", r"\W", r"\t", r"\xe9", r"\u20ac", "[]a]", "[^]a]", "[a-]"]),
    st.tuples(st.sampled_from(["", "^"]), st.lists(members, min_size=1, max_size=4)).map(
        lambda both: f"[{both[0]}{''.join(both[1])}]"
    ),
)
repeats = st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,3}", "{2,}", "{,2}", "{0}"])


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    grouped = st.tuples(st.sampled_from(["(", "(?:"]), inner).map(lambda both: "".join((*both, ")")))
    return st.one_of(
        st.tuples(st.one_of(atoms, grouped), repeats).map("".join),
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(st.one_of(inner, st.just("")), min_size=2, max_size=3).map("|".join),
    )


patterns = st.recursive(st.tuples(atoms, repeats).map("".join), larger, max_leaves=8)


@settings(max_examples=400, deadline=None)
@given(patterns, st.lists(st.text(LETTERS + MARKS, max_size=6), max_size=8))
def test_what_fits_is_what_python_says(pattern: str, texts: list[str]) -> None:
    expected = re.compile(pattern, re.ASCII)
    try:
        automaton = regex(pattern)
    except GlaswerkError as error:
        assert "no text at all fits" in str(error)
        assert not any(expected.fullmatch(text) for text in texts)
        return
    for text in [*texts, "", *LETTERS, *(first + second for first in "a0é" for second in "a0é")]:
        assert automaton.accepts(text.encode()) == bool(expected.fullmatch(text)), (pattern, text)


@settings(max_examples=40, deadline=None)
@given(patterns, st.data())
def test_texts_drawn_from_the_pattern_fit(pattern: str, data: st.DataObject) -> None:
    """Random texts rarely fit a long pattern; hypothesis draws some that do, and near misses are made of them."""
    expected = re.compile(pattern, re.ASCII)
    try:
        automaton = regex(pattern)
    except GlaswerkError:
        return
    text = data.draw(st.from_regex(expected, fullmatch=True))
    assert automaton.accepts(text.encode())
    for near in (text[:-1], text[1:], text + "a", text + text, text.swapcase()):
        assert automaton.accepts(near.encode()) == bool(expected.fullmatch(near)), (pattern, near)


@settings(max_examples=200, deadline=None)
@given(patterns, st.text(LETTERS, max_size=4))
def test_the_distance_is_that_of_the_nearest_end(pattern: str, text: str) -> None:
    """Slowly: go on byte by byte, everywhere at once, until something is accepted."""
    try:
        automaton = regex(pattern)
    except GlaswerkError:
        return
    state = automaton.read(text.encode())
    distance, here = 0, {state} - {DEAD}
    while here and not any(automaton.accepts_here(one) for one in here):
        automaton.fill(here)
        here = {int(after) for one in here for after in automaton.table[one]} - {DEAD}
        distance += 1
    # a state that lives can always be completed
    assert automaton.distance[state] == (distance if here else FAR)
    assert (state == DEAD) == (automaton.distance[state] == FAR)


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 0x10FFFF), (0x7F, 0x80), (0xE4, 0xE4), (0x41, 0x5A), (0x7FE, 0x801), (0xD7F0, 0xE00F), (0xFFF0, 0x1000F)],
)
def test_ranges_of_characters_are_exactly_their_bytes(low: int, high: int) -> None:
    """All of Unicode: each sequence spells characters of the range only, none twice, none missing."""
    found = 0
    for spelt in utf8(low, high):
        sizes = [last - first + 1 for first, last in spelt]
        found += int(np.prod(sizes))
        for ends in itertools.product(*spelt):
            assert low <= ord(bytes(ends).decode()) <= high
    surrogates = len(range(max(low, 0xD800), min(high, 0xDFFF) + 1))
    assert found == high - low + 1 - surrogates


def test_bytes_that_are_no_utf8_never_fit() -> None:
    automaton = regex(r"(.|\n)*")
    for bad in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xc3("):
        assert automaton.read(bad) == DEAD
    assert automaton.accepts("é🙂\n".encode()) and not automaton.accepts("é".encode()[:1])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("abcäé", max_size=4), min_size=1, max_size=6), st.text("abcäé", max_size=5))
def test_a_list_of_choices_is_exactly_the_list(texts: list[str], other: str) -> None:
    automaton = choices(texts)
    assert all(automaton.accepts(text.encode()) for text in texts)
    assert automaton.accepts(other.encode()) == (other in texts)
    for end in range(len(other.encode())):
        beginning = other.encode()[:end]
        assert (automaton.read(beginning) != DEAD) == any(text.encode().startswith(beginning) for text in texts)


def test_choices_that_begin_alike_share_states() -> None:
    assert len(choices(["Paris", "Paris is", "Parma"]).nfa.edges) == 1 + len("Paris is") + len("ma")


@settings(max_examples=200, deadline=None)
@given(patterns, st.lists(st.binary(max_size=5), max_size=12))
def test_many_strings_side_by_side_are_read_like_one(pattern: str, strings: list[bytes]) -> None:
    try:
        automaton = regex(pattern)
    except GlaswerkError:
        return
    strings += [text.encode() for text in "aäz🙂"]
    lengths = np.array([len(one) for one in strings])
    flat = np.frombuffer(b"".join(strings), dtype=np.uint8)
    after = automaton.read_all(automaton.start, flat, np.cumsum(lengths) - lengths, lengths)
    assert after.tolist() == [automaton.read(one) for one in strings]


@pytest.mark.parametrize(
    ("pattern", "position", "what"),
    [
        ("a(b", 1, "without its )"),
        ("ab)", 2, "without its ("),
        ("[ab", 0, "without its ]"),
        ("a**", 2, "repeat of a repeat"),
        ("a+?", 2, "repeat of a repeat"),
        ("a|*", 2, "nothing to repeat"),
        ("x{", 1, "write \\{"),
        ("x{5,2}", 1, "from 5 down to 2"),
        ("x{12345678}", 1, "write \\{"),
        ("^a", 0, "whole text must fit"),
        ("a$", 1, "whole text must fit"),
        ("[z-a]", 1, "backwards"),
        (r"[a-\d]", 1, "on both sides"),
        ("[[:alpha:]]", 1, "named classes"),
        (r"a\b", 1, "not supported"),
        (r"(a)\1", 3, "not supported"),
        (r"\p{L}", 0, "not supported"),
        (r"\x4", 0, "2 hexadecimal digits"),
        ("ab\\", 3, "too early"),
        ("a(?=b)", 1, "(?=b is not supported"),
        ("(?P<n>a)", 0, "not supported"),
        ("(?i)a", 0, "not supported"),
        ("(" * 60 + ")" * 60, 50, "inside each other"),
    ],
)
def test_what_is_not_supported_is_refused_with_its_position(pattern: str, position: int, what: str) -> None:
    with pytest.raises(GlaswerkError) as caught:
        regex(pattern)
    said = str(caught.value)
    assert f"position {position}: " in said and what in said and "\n" not in said


@pytest.mark.parametrize(
    "pattern", ["(((a{999}){999}){999}){999}", "(){999999}", "(a|b)*a(a|b){30}", "((a?){100}){100}", "(a?){20000}"]
)
def test_patterns_that_would_eat_the_machine_are_refused(pattern: str) -> None:
    with pytest.raises(GlaswerkError, match="the pattern"):
        automaton = regex(pattern)
        automaton.read(b"a" * 20_000)
        for number in range(1 << 17):
            automaton.read(bytes(97 + (number >> bit & 1) for bit in range(17)))


def test_patterns_that_make_backtracking_explode_take_one_look_per_byte() -> None:
    automaton = regex("((a*)*)*b")
    assert not automaton.accepts(b"a" * 20_000) and automaton.accepts(b"a" * 20_000 + b"b")
    assert len(automaton.sets) == 3
    many = regex("(a|a?)+" * 8)
    assert many.accepts(b"a" * 20_000) and len(many.sets) < 20


def test_a_pattern_that_nothing_fits() -> None:
    with pytest.raises(GlaswerkError, match="no text at all"):
        regex(r"a[^\s\S]")
    assert regex(r"a[^\s\S]|b").accepts(b"b")
