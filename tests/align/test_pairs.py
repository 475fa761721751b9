"""Pairs from files and as tokens: TRL's columns, what is refused in one line, what is too long."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from glaswerk.align.batches import Answers, Pairs
from glaswerk.align.chats import render
from glaswerk.align.pairs import Pair, all_tokens, load_pairs, save_pairs, tokens_of
from glaswerk.errors import GlaswerkError
from glaswerk.tokenizer import train_bpe
from glaswerk.tokenizer.speech import Speech
from glaswerk.train.data import IGNORE, Conversations

TOKENIZER = train_bpe(["a small text for a small vocabulary, with user and assistant in it"] * 3, 300)
SPEECH = Speech(TOKENIZER, None, None, frozenset([TOKENIZER.special["<|im_end|>"]]))


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def reply(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def written(tmp_path: Path, *lines: Any) -> Path:
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return file


def test_every_form_of_trls_columns(tmp_path: Path) -> None:
    forms = [
        {"prompt": "why?", "chosen": "so", "rejected": "no"},
        {"prompt": [user("why?")], "chosen": [reply("so")], "rejected": [reply("no")]},
        {"chosen": [user("why?"), reply("so")], "rejected": [user("why?"), reply("no")]},
        {"prompt": "why?", "chosen": "so", "rejected": "no", "model_a": "x", "kind": "vote"},
        {"prompt": "why?", "chosen": "a", "rejected": "b", "tie": True},
    ]
    pairs = load_pairs(written(tmp_path, *forms))
    assert [(p.messages, p.chosen, p.rejected) for p in pairs] == [([user("why?")], "so", "no")] * 4
    assert [p.kind for p in pairs] == ["given", "given", "given", "vote"]
    save_pairs(tmp_path / "again.jsonl", pairs)
    assert load_pairs(tmp_path / "again.jsonl") == pairs


def test_trl_reads_what_we_write(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    data_utils = pytest.importorskip("trl.data_utils")
    pairs = [Pair.of([user("one"), reply("two"), user("why?")], "so", "no")]
    save_pairs(tmp_path / "pairs.jsonl", pairs)
    (row,) = datasets.Dataset.from_json(str(tmp_path / "pairs.jsonl"), cache_dir=str(tmp_path / "cache"))
    assert data_utils.is_conversational(row) and row["chosen"] == [reply("so")] and row["prompt"] == pairs[0].messages


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ([], "needs"),
        ({"prompt": "x", "chosen": "a"}, "has no 'rejected'"),
        ({"chosen": "a", "rejected": "b"}, "has no 'prompt'"),
        ({"prompt": "x", "chosen": "same ", "rejected": " same"}, "are equal: nothing is preferred"),
        ({"prompt": "x", "chosen": "a", "rejected": "  "}, "rejected must be a text, and not an empty one"),
        ({"prompt": "x", "chosen": 3, "rejected": "b"}, "chosen must be a text"),
        ({"prompt": "", "chosen": "a", "rejected": "b"}, "of the user, is empty"),
        ({"prompt": [reply("x")], "chosen": "a", "rejected": "b"}, "the assistant speaks first"),
        ({"prompt": [user("x"), reply("y")], "chosen": "a", "rejected": "b"}, "the prompt ends with the assistant"),
        ({"prompt": [user("x")], "chosen": [user("a")], "rejected": [reply("b")]}, "one message of the assistant"),
        (
            {"chosen": [user("x"), reply("a")], "rejected": [user("y"), reply("b")]},
            "answer different conversations",
        ),
    ],
)
def test_lines_that_are_no_pair(line: Any, said: str, tmp_path: Path) -> None:
    good = {"prompt": "x", "chosen": "a", "rejected": "b"}
    with pytest.raises(GlaswerkError, match=r"pairs\.jsonl:2: ") as caught:
        load_pairs(written(tmp_path, good, line))
    assert said in str(caught.value)


def test_a_file_that_prefers_nothing(tmp_path: Path) -> None:
    with pytest.raises(GlaswerkError, match="prefers nothing"):
        load_pairs(written(tmp_path, {"tie": True}))
    with pytest.raises(GlaswerkError, match=r"cannot read the preferences .*none\.jsonl"):
        load_pairs(tmp_path / "none.jsonl")


def test_only_the_last_answer_is_compared() -> None:
    pair = Pair.of([user("one"), reply("two"), user("three")], "good one", "bad")
    found = tokens_of(SPEECH, pair, 1000)
    assert found is not None
    end = TOKENIZER.special["<|im_end|>"]
    for (ids, mask), text in ((found.chosen, "good one"), (found.rejected, "bad")):
        assert [i for i, learn in zip(ids, mask, strict=True) if learn] == [*TOKENIZER.encode(text), end]
        assert ids == render(SPEECH, [*pair.messages, reply(text)])[0]


def test_too_long_pairs_lose_their_oldest_turns_then_their_answers_ends() -> None:
    system = {"role": "system", "content": "be brief"}
    pair = Pair.of([system, user("an old question"), reply("its answer"), user("why?")], "so it is", "no")
    whole = tokens_of(SPEECH, pair, 1000)
    assert whole is not None
    room = len(whole.chosen[0]) - 1
    found = tokens_of(SPEECH, pair, room)
    assert found is not None and found.chosen[0] == render(SPEECH, [system, user("why?"), reply("so it is")])[0]
    assert tokens_of(SPEECH, pair, 5) is None
    kept, said = all_tokens(SPEECH, [pair, Pair.of("x" * 400, "a", "b")], room)
    assert len(kept) == 1 and said.startswith("1 of 2 pairs have no answers that differ within")
    with pytest.raises(GlaswerkError, match="no pair fits into 5 tokens"):
        all_tokens(SPEECH, [pair], 5)


def test_batches_of_pairs() -> None:
    """Row by row the same as each conversation alone; every pair once an epoch; shapes that never change."""
    pairs = [Pair.of(f"question {'x' * n}?", "a good answer " * (1 + n % 3), "bad") for n in range(6)]
    answered, said = all_tokens(SPEECH, pairs, 200)
    batches = Pairs(answered, 2, seed=1, pad=0)
    batches.reference_P2 = torch.arange(12.0).view(6, 2)
    assert said == "" and batches.per_epoch == 3
    shapes = {tuple(part.shape for part in batches.batch(step)) for step in range(9)}
    assert len(shapes) == 1
    for epoch in range(2):
        seen = [member for step in range(3 * epoch, 3 * epoch + 3) for member in batches.members(step)]
        assert sorted(seen) == list(range(6))
    ids, places, targets, reference = batches.batch(4)
    members = batches.members(4)
    assert reference.tolist() == [2.0 * members[0], 2.0 * members[1], 2.0 * members[0] + 1, 2.0 * members[1] + 1]
    rows = [answered[i].chosen for i in members] + [answered[i].rejected for i in members]
    for row, (tokens, mask) in enumerate(rows):
        inside = places[(places // batches.time == row) & (targets != IGNORE)] % batches.time
        spoken = [at for at in range(len(tokens)) if mask[at]]
        assert (inside + 1).tolist() == spoken
        assert ids[row, : len(tokens) - 1].tolist() == tokens[:-1]
        assert targets[(places // batches.time == row) & (targets != IGNORE)].tolist() == [tokens[at] for at in spoken]


def test_batches_of_answers_are_those_of_the_packed_rows() -> None:
    talks = [render(SPEECH, [user("q" * n), reply("an answer " * n)]) for n in range(1, 9)]
    packed = Conversations(talks, 64, 2, seed=3, pad=0)
    answers = Answers(packed, 5)
    for step in range(5):
        ids, places, targets = answers.batch(step)
        wanted_ids, wanted = packed.batch(step)
        dense = torch.full((2 * 64,), IGNORE)
        dense[places[targets != IGNORE]] = targets[targets != IGNORE]
        assert torch.equal(ids, wanted_ids) and torch.equal(dense.view(2, 64), wanted)
        assert len(places) == answers.most
