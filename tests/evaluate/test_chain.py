"""Chains of steps, line by line, and the shell game against one that is played with real cups."""

from __future__ import annotations

import pytest

from glaswerk.evaluate.chain import check
from glaswerk.evaluate.tasks.arithmetic import Arithmetic
from glaswerk.evaluate.tasks.cups import Cups, last_place


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_ball_is_where_real_cups_have_it(language: str) -> None:
    """Three cups in a row, one of them with the ball, that are really moved."""
    for game in Cups(60, language=language).games:
        cups = {place: place == game.ball for place in "ABC"}
        for swap, said in zip(game.swaps, game.places, strict=True):
            cups[swap[0]], cups[swap[1]] = cups[swap[1]], cups[swap[0]]
            assert [place for place, ball in cups.items() if ball] == [said]
        assert game.result == said


def test_no_test_game_is_learned_with_its_letters_turned_round() -> None:
    def moves(task: Cups) -> set[tuple[str, ...]]:
        return {(game.ball, *("".join(sorted(swap)) for swap in game.swaps)) for game in task.games}

    task = Cups(200)
    assert len(moves(task.practice())) > 1000 and not moves(task) & moves(task.practice())


def test_a_right_chain_and_a_wrong_one() -> None:
    task = Cups(20, steps=True)
    thinking, _, answer = task.answer(3).rpartition("\nAnswer:")
    good = check(task, 3, thinking, answer)
    assert good.whole and good.answered and good.first_wrong is None and good.right == len(good.lines)
    lines = thinking.splitlines()
    lines[2] = lines[2][:-1] + next(place for place in "ABC" if place != lines[2][-1])
    bad = check(task, 3, "\n".join(lines), answer)
    assert bad.first_wrong == 2 and not bad.whole and bad.answered, "a right answer after a wrong step"
    again = check(task, 3, "\n".join([*lines[:3], "Wait", *thinking.splitlines()]), answer)
    assert again.whole and again.start == 4 and again.first_wrong is None, "what was taken back does not count"
    wrong = check(task, 3, "\n".join([*thinking.splitlines(), "Wait", *lines]), answer)
    assert wrong.first_wrong == len(lines) + 1 + 2 and not wrong.whole
    cut = check(task, 3, "\n".join(lines[:2]), "")
    assert cut.first_wrong is None and not cut.whole and not cut.answered and cut.right == 2


def test_sums_have_chains_too() -> None:
    task = Arithmetic(20, steps=True, digits=3, sums=True)
    thinking, _, answer = task.answer(0).rpartition("\nAnswer:")
    assert check(task, 0, thinking, answer).whole and not check(task, 0, thinking, "0.5").answered


def test_the_last_place_counts() -> None:
    assert last_place("C\n\nA ball is under cup") == "C" and last_place("cup A") == "A"
    assert last_place("A, then B") == "B" and last_place("CAB") is None and last_place("") is None
