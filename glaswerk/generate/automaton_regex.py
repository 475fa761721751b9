r"""Regular expressions, read into an automaton over bytes.

The subset: literals, ``.`` (any character but a newline), classes ``[a-zäöü]`` and ``[^...]``, ``\d \w \s`` and their
opposites (of ASCII, as in RE2), ``\n \t \r \f \v \xHH \uHHHH``, groups ``( )`` and ``(?: )``, ``|``, and the repeats
``* + ? {m} {m,} {m,n} {,n}``. The whole text must fit, so there are no anchors. What the subset lacks is refused with
its position: nothing is silently read as something else.

Characters are code points and models write bytes. A range of characters becomes a few sequences of byte ranges, the way
UTF-8 spells them, so that a character cut by a token border is no special case. Left out: look-around and references to
groups (no automaton can do them), lazy repeats (they match the same whole texts), flags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from glaswerk.errors import GlaswerkError
from glaswerk.generate.automaton import NFA, Automaton

Ranges = list[tuple[int, int]]
LAST = 0x10FFFF
#: code points that stand for no character and that UTF-8 cannot spell
SURROGATES = (0xD800, 0xDFFF)
CLASSES: dict[str, Ranges] = {
    "d": [(0x30, 0x39)],
    "w": [(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)],
    "s": [(0x09, 0x0D), (0x20, 0x20)],
}
CONTROLS = {"n": 0x0A, "t": 0x09, "r": 0x0D, "f": 0x0C, "v": 0x0B}
REPEAT = re.compile(r"\{(?:(\d{1,6})|(\d{0,6}),(\d{0,6}))\}", re.ASCII)
#: groups inside groups
DEEPEST = 50


# ---------------------------------------------------------------------------------------------- the tree
@dataclass(frozen=True, slots=True)
class One:
    """One character out of these ranges of code points."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other."""

    parts: list[Node]


@dataclass(frozen=True, slots=True)
class Either:
    """One of these."""

    parts: list[Node]


@dataclass(frozen=True, slots=True)
class Repeat:
    """From ``least`` to ``most`` times; None: without end."""

    part: Node
    least: int
    most: int | None


Node = One | Sequence | Either | Repeat


# ---------------------------------------------------------------------------------------------- text to tree
class Parser:
    """Recursive descent: one method for each thing that a pattern is made of, loosest binding first."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0

    def refuse(self, what: str, at: int | None = None) -> GlaswerkError:
        """The error for something at a position."""
        return GlaswerkError(f"the pattern {self.text[:60]!r}, position {self.at if at is None else at}: {what}")

    @property
    def next(self) -> str:
        """The character that comes, empty at the end."""
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        """Go past one character."""
        if not self.next:
            raise self.refuse("the pattern ends too early")
        self.at += 1
        return self.text[self.at - 1]

    def whole(self) -> Node:
        """The whole pattern."""
        tree = self.either()
        if self.next:
            raise self.refuse(r"a ) without its (; write \) for the character")
        return tree

    def either(self) -> Node:
        """``a|b|c``"""
        parts = [self.sequence()]
        while self.next == "|":
            self.take()
            parts.append(self.sequence())
        return parts[0] if len(parts) == 1 else Either(parts)

    def sequence(self) -> Node:
        """``abc``"""
        parts = []
        while self.next not in ("", "|", ")"):
            parts.append(self.repeated())
        return parts[0] if len(parts) == 1 else Sequence(parts)

    def repeated(self) -> Node:
        """``a*``"""
        part = self.atom()
        if self.next not in ("*", "+", "?", "{"):
            return part
        if self.next == "{":
            found = REPEAT.match(self.text, self.at)
            if not found or found[0] == "{,}":
                raise self.refuse(r"{ begins a repeat like {3} or {2,5}; write \{ for the character")
            exactly, low, high = found.groups()
            least = int(exactly or low or 0)
            most = int(exactly or high) if exactly or high else None
            if most is not None and most < least:
                raise self.refuse(f"a repeat from {least} down to {most}")
            self.at = found.end()
        else:
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[self.take()]
        if self.next in ("*", "+", "?", "{") and self.next:
            raise self.refuse("a repeat of a repeat (also lazy *? and possessive *+) is not supported; use a group")
        return Repeat(part, least, most)

    def atom(self) -> Node:
        """A character, a class or a group."""
        at, character = self.at, self.take()
        if character == "(":
            return self.group(at)
        if character == "[":
            return One(self.members(at))
        if character == ".":
            return One(opposite([(0x0A, 0x0A)]))
        if character == "\\":
            return One(self.escape())
        if character in "^$":
            raise self.refuse(rf"{character} is not needed, the whole text must fit; write \{character} for it", at)
        if character in "*+?{":
            raise self.refuse(rf"nothing to repeat before {character}; write \{character} for the character", at)
        return One([(ord(character), ord(character))])

    def group(self, at: int) -> Node:
        """``(a|b)``, after its parenthesis."""
        if self.next == "?":
            if self.text[self.at : self.at + 2] != "?:":
                raise self.refuse(f"{self.text[at : at + 4]} is not supported, only ( ) and (?: )", at)
            self.at += 2
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.refuse(f"more than {DEEPEST} groups inside each other", at)
        tree = self.either()
        self.depth -= 1
        if self.next != ")":
            raise self.refuse(r"a ( without its ); write \( for the character", at)
        self.take()
        return tree

    def members(self, at: int) -> Ranges:
        """``[^a-z_]``, after its bracket."""
        negated = self.next == "^"
        if negated:
            self.take()
        found: Ranges = []
        first = True
        while self.next != "]" or first:
            if not self.next:
                raise self.refuse(r"a [ without its ]; write \[ for the character", at)
            if self.text[self.at : self.at + 2] in ("[:", "[.", "[="):
                raise self.refuse(r"named classes like [:alpha:] are not supported")
            here = self.at
            low, first = self.member(), False
            if self.next == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.take()
                high = self.member()
                if len(low) != 1 or len(high) != 1 or low[0][0] != low[0][1] or high[0][0] != high[0][1]:
                    raise self.refuse("a range needs a character on both sides", here)
                if low[0][0] > high[0][0]:
                    raise self.refuse(f"the range {self.text[here : self.at]} runs backwards", here)
                found.append((low[0][0], high[0][0]))
            else:
                found += low
        self.take()
        return opposite(found) if negated else found

    def member(self) -> Ranges:
        """One character of a class, or a class inside it."""
        character = self.take()
        return self.escape() if character == "\\" else [(ord(character), ord(character))]

    def escape(self) -> Ranges:
        r"""``\d``, after its backslash."""
        at, character = self.at - 1, self.take()
        if character in CLASSES:
            return CLASSES[character]
        if character.lower() in CLASSES:
            return opposite(CLASSES[character.lower()])
        if character in CONTROLS:
            return [(CONTROLS[character], CONTROLS[character])]
        if character in "xu":
            digits = self.text[self.at : self.at + (2 if character == "x" else 4)]
            if not re.fullmatch("[0-9a-fA-F]{2}" if character == "x" else "[0-9a-fA-F]{4}", digits):
                raise self.refuse(rf"\{character} needs {2 if character == 'x' else 4} hexadecimal digits", at)
            self.at += len(digits)
            return [(int(digits, 16), int(digits, 16))]
        if character.isascii() and character.isalnum():
            raise self.refuse(rf"\{character} is not supported", at)
        return [(ord(character), ord(character))]


def opposite(ranges: Ranges) -> Ranges:
    """All code points that are in none of the ranges."""
    found, free = [], 0
    for low, high in sorted(ranges):
        if low > free:
            found.append((free, low - 1))
        free = max(free, high + 1)
    return [*found, (free, LAST)] if free <= LAST else found


# ---------------------------------------------------------------------------------------------- tree to automaton
def utf8(low: int, high: int) -> Iterator[list[tuple[int, int]]]:
    """The characters ``low`` to ``high`` as sequences of byte ranges that together spell exactly these.

    A range is cut until its two ends have equally many bytes and all bytes after the first that differs run over
    everything they can be.
    """
    if low > high:
        return
    first, last = SURROGATES
    if low <= last and high >= first:
        yield from utf8(low, first - 1)
        yield from utf8(last + 1, high)
        return
    for border in (0x7F, 0x7FF, 0xFFFF):  # the last characters of one, two and three bytes
        if low <= border < high:
            yield from utf8(low, border)
            yield from utf8(border + 1, high)
            return
    if high > 0x7F:
        for bits in (6, 12, 18):  # what the last byte, the last two, the last three hold
            below = (1 << bits) - 1
            if low | below >= high | below:
                break  # the ends agree in everything above
            if low & below:
                yield from utf8(low, low | below)
                yield from utf8((low | below) + 1, high)
                return
            if high & below != below:
                yield from utf8(low, (high & ~below) - 1)
                yield from utf8(high & ~below, high)
                return
    yield list(zip(chr(low).encode(), chr(high).encode(), strict=True))


def add(nfa: NFA, node: Node, start: int) -> int:
    """Build ``node`` into ``nfa`` from the state ``start``; returns the state where it ends (Thompson 1968)."""
    if isinstance(node, One):
        end = nfa.new()
        for low, high in node.ranges:
            for spelt in utf8(low, high):
                state = start
                for place, (first, last) in enumerate(spelt):
                    target = end if place == len(spelt) - 1 else nfa.new()
                    nfa.edges[state].append((first, last, target))
                    state = target
        return end
    if isinstance(node, Sequence):
        for part in node.parts:
            start = add(nfa, part, start)
        return start
    if isinstance(node, Either):
        end = nfa.new()
        for part in node.parts:
            branch = nfa.new()
            nfa.free[start].append(branch)
            nfa.free[add(nfa, part, branch)].append(end)
        return end
    for _ in range(node.least):
        start = add(nfa, node.part, again(nfa, start))
    if node.most is None:
        loop = again(nfa, start)
        nfa.free[add(nfa, node.part, loop)].append(loop)
        return loop
    end = nfa.new()
    for _ in range(node.most - node.least):
        nfa.free[start].append(end)  # may stop here: one who has stopped never passes the other copies
        start = add(nfa, node.part, again(nfa, start))
    nfa.free[start].append(end)
    return end


def again(nfa: NFA, start: int) -> int:
    """A new state that ``start`` leads to. Each copy of a repeat has its own, so that even repeating nothing a million
    times counts towards the limit."""
    state = nfa.new()
    nfa.free[start].append(state)
    return state


def regex(pattern: str) -> Automaton:
    """The automaton of a pattern. Raises :class:`GlaswerkError` that names the position of what is not supported."""
    nfa = NFA()
    nfa.accepting.add(add(nfa, Parser(pattern).whole(), nfa.start))
    return Automaton(nfa)
