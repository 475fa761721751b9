"""Titles that a corpus does not have: kept back and never said, or made up in its manner."""

from __future__ import annotations

from glaswerk.align.unknown import END, ORDER, kept_back, made_up

TITLES = [
    *("Ambergate", "Ambleside", "Castleton", "Castleford", "Bradford"),
    *("Bridgewater", "Bridgeton", "Waterford", "Watergate", "Millford"),
]


def test_kept_back_are_held_out_titles_that_no_training_text_says(run_of) -> None:  # type: ignore[no-untyped-def]
    run = run_of(
        [("Castleton", "A town on the way to MILLFORD."), ("Watergate", "A gate by the water.")],
        [("Bradford", "x"), ("Millford", "x"), ("", "x"), ("Ambleside", "x"), ("Bradford", "y"), ("watergate", "x")],
    )
    # Millford stands in a text, in other letters; watergate is the title of one
    assert kept_back(run) == ["Bradford", "Ambleside"]


def test_names_are_made_of_what_follows_three_letters() -> None:
    made = made_up(TITLES, 12, seed=4)
    assert len(made) == len(set(made)) == 12
    assert not {name.lower() for name in made} & {title.lower() for title in TITLES}
    pieces = set()
    for title in TITLES:
        text = " " * ORDER + title + END
        pieces |= {text[at : at + ORDER + 1] for at in range(len(title) + 1)}
    for name in made:
        text = " " * ORDER + name + END
        assert {text[at : at + ORDER + 1] for at in range(len(name) + 1)} <= pieces, name
        assert 4 <= len(name) <= 60


def test_made_up_names_depend_on_the_seed_and_on_nothing_else() -> None:
    assert made_up(TITLES, 8, seed=1) == made_up([*reversed(TITLES), ""], 8, seed=1) != made_up(TITLES, 8, seed=2)


def test_few_titles_give_few_names() -> None:
    assert made_up(["Castleton"], 5, seed=0) == []  # all that follows its letters is itself
    assert made_up([], 5, seed=0) == [] and made_up(["", ""], 5, seed=0) == []
    assert sorted(made_up(["Abcde", "Xbcdf"], 50, seed=0)) == ["Abcdf", "Xbcde"]
