"""A machine that reads bytes and says which texts are still possible: the heart of constrained output.

A *non-deterministic* automaton (NFA) is easy to build from a pattern: states, edges that read one byte, and free
moves that read none (Thompson 1968). A *deterministic* one (DFA) is easy to run: one state, one table, one look-up
per byte. Each of its states is a set of NFA states, all the places where the reader may be (Rabin and Scott 1959). It
is made row by row, only where somebody looks, so that a pattern whose whole table would be huge costs what is used.
Nothing is ever tried and taken back: the time is linear in the bytes.

Left out: reading patterns (``automaton_regex.py``), tokens and models (``constrain.py``), making the table smallest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from glaswerk.errors import GlaswerkError

#: the state from which no text can be completed; row 0 of every table leads only to itself
DEAD = 0
#: a distance that no text has
FAR = np.iinfo(np.int32).max
#: more states than this are refused, and more steps to find them: patterns come from strangers too
MOST_NFA, MOST_DFA, MOST_STEPS = 100_000, 20_000, 3_000_000


class NFA:
    """``edges[state]`` are (lowest byte, highest byte, next state), ``free[state]`` next states without reading."""

    def __init__(self) -> None:
        self.edges: list[list[tuple[int, int, int]]] = []
        self.free: list[list[int]] = []
        self.accepting: set[int] = set()
        self.start = self.new()

    def new(self) -> int:
        """A new state. Raises :class:`GlaswerkError` when there are too many."""
        if len(self.edges) >= MOST_NFA:
            raise GlaswerkError(f"the pattern needs more than {MOST_NFA:,} states: make it shorter or repeat less")
        self.edges.append([])
        self.free.append([])
        return len(self.edges) - 1

    def distances(self) -> list[int]:
        """How many bytes it takes from each state to the nearest accepting one; FAR: there is no way.

        Backwards from the end, nearest first: free moves cost nothing, edges one byte.
        """
        into: list[list[tuple[int, int]]] = [[] for _ in self.edges]
        for state, (edges, free) in enumerate(zip(self.edges, self.free, strict=True)):
            for _, _, target in edges:
                into[target].append((state, 1))
            for target in free:
                into[target].append((state, 0))
        far: list[int] = [FAR] * len(self.edges)
        queue = deque((state, 0) for state in self.accepting)
        while queue:
            state, distance = queue.popleft()
            if distance >= far[state]:
                continue
            far[state] = distance
            for before, cost in into[state]:
                (queue.append if cost else queue.appendleft)((before, distance + cost))
        return far


class Automaton:
    """An NFA run as a DFA. States are numbers; :data:`DEAD` is the one without hope, ``start`` the first.

    ``table[state, byte]`` is the next state, once ``fill`` has made the row; ``distance[state]`` the fewest bytes to an
    accepting state (0: it is one). Raises :class:`GlaswerkError` where no text at all fits.
    """

    def __init__(self, nfa: NFA) -> None:
        self.nfa = nfa
        self._far = nfa.distances()
        self._steps = 0
        self.sets: list[frozenset[int]] = [frozenset()]
        self._numbers = {self.sets[0]: DEAD}
        self.table = np.zeros((64, 256), dtype=np.int32)
        self.filled = np.zeros(64, dtype=bool)
        self.filled[DEAD] = True
        self.distance = np.full(64, FAR, dtype=np.int32)
        self.start = self._number(self.closure([nfa.start]))
        if self.start == DEAD:
            raise GlaswerkError("no text at all fits the pattern")

    def closure(self, states: Iterable[int]) -> frozenset[int]:
        """Where one may be without reading a byte; states from which nothing can be completed are left out."""
        seen, open_ = set(), list(states)
        while open_:
            here = open_.pop()
            if here not in seen and self._far[here] < FAR:
                seen.add(here)
                open_ += self.nfa.free[here]
        self._count(len(seen))
        # only a state that reads or accepts matters later
        return frozenset(here for here in seen if self.nfa.edges[here] or here in self.nfa.accepting)

    def _count(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MOST_STEPS:
            raise GlaswerkError("the pattern is too complicated: too many ways to read the same text; make it simpler")

    def _number(self, states: frozenset[int]) -> int:
        """The DFA state of a set of NFA states; a new one if it was not met before."""
        number = self._numbers.get(states)
        if number is None:
            number = len(self.sets)
            if number > MOST_DFA:
                raise GlaswerkError(f"the pattern branches into more than {MOST_DFA:,} states: make it simpler")
            if number == len(self.table):  # twice the room, so that growing stays cheap on average
                self.table = np.concatenate((self.table, np.zeros_like(self.table)))
                self.filled = np.concatenate((self.filled, np.zeros_like(self.filled)))
                self.distance = np.concatenate((self.distance, np.full_like(self.distance, FAR)))
            self.sets.append(states)
            self._numbers[states] = number
            self.distance[number] = min(self._far[state] for state in states)
        return number

    def fill(self, states: Iterable[int]) -> None:
        """Make the table's rows of these states."""
        for state in states:
            if self.filled[state]:
                continue
            edges = [edge for place in self.sets[state] for edge in self.nfa.edges[place]]
            # between two borders every byte leads to the same places
            borders = sorted({border for low, high, _ in edges for border in (low, high + 1)})
            self._count(len(borders) * len(edges))
            for first, end in pairwise(borders):
                number = self._number(self.closure(target for low, high, target in edges if low <= first <= high))
                self.table[state, first:end] = number  # after _number, which may have made the table anew
            self.filled[state] = True

    def read(self, data: bytes, state: int | None = None) -> int:
        """The state after ``data``, from ``state`` on (default: the start)."""
        state = self.start if state is None else state
        for byte in data:
            self.fill((state,))
            state = int(self.table[state, byte])
        return state

    def accepts_here(self, state: int) -> bool:
        """Whether a text that led to ``state`` fits as it stands."""
        return bool(self.distance[state] == 0)

    def accepts(self, data: bytes) -> bool:
        """Whether ``data`` fits as a whole."""
        return self.accepts_here(self.read(data))

    def read_all(self, state: int, flat: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The states after many byte strings at once, each read from ``state``: int32 ``[N]``.

        String ``n`` is ``flat[starts[n] : starts[n] + lengths[n]]``. All are read side by side, first bytes first; a
        string is dropped where it dies, so that a narrow pattern costs little.
        """
        after = np.full(len(starts), state, dtype=np.int32)
        alive = np.flatnonzero(lengths > 0)
        place = 0
        while len(alive):
            here = after[alive]
            met = np.zeros(len(self.table), dtype=bool)
            met[here] = True
            self.fill(np.flatnonzero(met).tolist())
            here = self.table[here, flat[starts[alive] + place]]
            after[alive] = here
            place += 1
            alive = alive[(here != DEAD) & (lengths[alive] > place)]
        return after


def choices(texts: Iterable[str]) -> Automaton:
    """The automaton of a list of texts: a tree of bytes (a trie), in which texts that begin alike share a way."""
    nfa = NFA()
    ways: dict[tuple[int, int], int] = {}
    for text in texts:
        state = nfa.start
        for byte in text.encode():
            if (state, byte) not in ways:
                ways[state, byte] = nfa.new()
                nfa.edges[state].append((byte, byte, ways[state, byte]))
            state = ways[state, byte]
        nfa.accepting.add(state)
    return Automaton(nfa)
