"""Word vectors, word2vec, one Parquet column: against plain arithmetic, numerical gradients, pyarrow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from glaswerk.errors import GlaswerkError
from glaswerk.formats.parquet import read_texts
from glaswerk.zoo import word2vec
from glaswerk.zoo.vectors import WordVectors, pca

Pulled = Callable[[str], Path]


def test_nearest_and_analogy_are_the_largest_cosines() -> None:
    random = np.random.default_rng(0)
    words = [f"w{number}" for number in range(50)]
    known = WordVectors(words, random.normal(size=(50, 8)))
    found = known.nearest(known["w3"], 5, ["w3"])
    cosines = {word: known.cosine("w3", word) for word in words if word != "w3"}
    assert [word for word, _ in found] == sorted(cosines, key=lambda word: -cosines[word])[:5]
    wanted = known.unit[1] - known.unit[0] + known.unit[2]
    best = max(
        (word for word in words if word not in ("w0", "w1", "w2")),
        key=lambda word: known.unit[known.places[word]] @ wanted,
    )
    assert known.analogy("w0", "w1", "w2", 1)[0][0] == best
    assert known.analogy("w0", "w1", "w0", 1, inputs=True)[0][0] == "w1"


def test_pca_keeps_what_it_says() -> None:
    random = np.random.default_rng(1)
    flat = random.normal(size=(30, 2)) * [3, 1]
    turned = flat @ np.linalg.qr(random.normal(size=(5, 5)))[0][:2]
    places, shares = pca(turned)
    assert sum(shares) == pytest.approx(1) and shares[0] > shares[1]
    distances = lambda points: np.linalg.norm(points[:, None] - points[None], axis=-1)  # noqa: E731
    assert np.allclose(distances(places), distances(flat))


def test_a_step_is_the_gradient_of_the_loss() -> None:
    random = np.random.default_rng(2)
    centre, near = random.normal(size=(9, 4)), random.normal(size=(9, 4))
    one, other, drawn = np.array([0, 0, 3]), np.array([1, 2, 1]), np.array([4, 5, 4, 1])
    moved_centre, moved_near = centre.copy(), near.copy()
    rate = 1e-3
    word2vec.learn(moved_centre, moved_near, one, other, drawn, rate)
    for table, moved in ((centre, moved_centre), (near, moved_near)):
        for place in np.ndindex(table.shape):
            kept = table[place]
            sides = []
            for change in (1e-5, -1e-5):
                table[place] = kept + change
                sides.append(word2vec.loss(centre, near, one, other, drawn) * len(one))  # learn sums over the pairs
            table[place] = kept
            assert moved[place] - kept == pytest.approx(-rate * (sides[0] - sides[1]) / 2e-5, abs=2e-7)


def test_word2vec_finds_who_shares_neighbours() -> None:
    random = np.random.default_rng(3)
    pets, cars = ["cat", "dog", "hamster"], ["truck", "bus", "tram"]
    around = {"pet": ["eats", "sleeps", "purrs", "food"], "car": ["drives", "stops", "wheels", "road"]}
    texts = []
    for _ in range(1500):
        kind, names = ("pet", pets) if random.random() < 0.5 else ("car", cars)
        texts.append(" ".join([str(random.choice(names)), *map(str, random.permutation(around[kind])[:3])]))
    found = word2vec.train(texts, width=8, window=3, epochs=3, rate=0.1, seed=1)
    assert found.losses[-1] < found.losses[0]
    for name in pets:
        assert np.mean([found.vectors.cosine(name, other) for other in pets]) > np.mean(
            [found.vectors.cosine(name, other) for other in cars]
        )
    again = word2vec.train(texts, width=8, window=3, epochs=3, rate=0.1, seed=1)
    assert np.array_equal(again.vectors.matrix, found.vectors.matrix)
    with pytest.raises(GlaswerkError, match="two different words"):
        word2vec.train(["one one"])


def test_word2vec_tells_of_each_tenth_and_ends_where_it_ends_in_one_go() -> None:
    random = np.random.default_rng(4)
    words = ["".join(chr(97 + place // 20**at % 20) for at in range(3)) for place in range(400)]
    texts = [" ".join(random.choice(words, 40)) for _ in range(3000)]
    how = {"vocabulary": 300, "width": 6, "window": 2, "epochs": 2, "rate": 0.1, "seed": 2}
    told = list(word2vec.course(texts, **how))
    assert len(told) == word2vec.PARTS
    assert [len(each.losses) for each in told] == list(range(1, word2vec.PARTS + 1))
    assert [each.pairs for each in told] == sorted(each.pairs for each in told) and told[-1].losses[:3] == told[
        2
    ].losses
    assert not np.array_equal(told[0].vectors.matrix, told[1].vectors.matrix)  # kept as they were then
    whole = word2vec.train(texts, **how)
    assert np.array_equal(whole.vectors.matrix, told[-1].vectors.matrix) and whole.losses == told[-1].losses


def test_one_column_of_texts(tmp_path: Path, pulled: Pulled) -> None:
    words = read_texts(pulled("glove") / "glove_6B_index.parquet")
    assert len(words) == len(set(words)) == 400_000 and words[:3] == ["the", ",", "."]
    content = (pulled("glove") / "glove_6B_index.parquet").read_bytes()
    random = np.random.default_rng(4)
    for number in range(20):
        broken = bytearray(content[: len(content) // 40] + content[-1600:])
        for place in random.integers(4, 400, 6):
            broken[place] = random.integers(256)
        file = tmp_path / f"{number}.parquet"
        file.write_bytes(broken)
        with pytest.raises(GlaswerkError, match="pull it again"):
            read_texts(file)


@pytest.mark.parametrize("compression", ["snappy", "none"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_as_pyarrow_writes_it(tmp_path: Path, compression: str, dictionary: bool) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    texts = [f"word {number % 37}" + "ab" * (number % 50) for number in range(3000)]
    file = tmp_path / "x.parquet"
    parquet.write_table(arrow.table({"w": texts}), file, compression=compression, use_dictionary=dictionary)
    assert read_texts(file) == texts
