"""The tree of texts against the slow, obvious way: one whole forward pass for every text."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest
import torch

from glaswerk.errors import GlaswerkError
from glaswerk.evaluate import likelihood
from glaswerk.evaluate.likelihood import Asked, Branches, Tree, asked, confidence, likelihoods, shared
from glaswerk.model import Decoder
from glaswerk.opened import OpenedModel, load


@torch.inference_mode()
def slowly(model: Decoder, text: Asked) -> tuple[list[float], bool]:
    """The whole text through the model, without a cache."""
    logits_TV = model(torch.tensor([text.ids[:-1]]))[0].float()
    logp_TV = logits_TV.log_softmax(-1)[text.start - 1 :]
    targets = text.ids[text.start :]
    return [float(row[target]) for row, target in zip(logp_TV, targets, strict=True)], all(
        int(row.argmax()) == target for row, target in zip(logp_TV, targets, strict=True)
    )


def some_texts(vocabulary: int, seed: int) -> list[Asked]:
    """Texts that share much, little and nothing; some are twice there, some are the beginning of others."""
    draw = random.Random(seed)
    trunk = [draw.randrange(vocabulary) for _ in range(40)]
    texts = []
    for _ in range(25):
        ids = [
            *trunk[: draw.choice([0, 1, 7, 39, 40])],
            *(draw.randrange(vocabulary) for _ in range(draw.randint(2, 9))),
        ]
        texts.append(Asked(ids, draw.randint(1, len(ids) - 1)))
    for text in texts[:5]:
        texts += [
            Asked([*text.ids[: text.start], draw.randrange(4)], text.start) for _ in range(4)
        ]  # one-token options
        texts.append(Asked(text.ids, text.start))
    draw.shuffle(texts)
    return texts


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("branches", [0, 12, 64, 512])
def test_each_text_gets_what_it_would_get_alone(
    opened: OpenedModel, other: OpenedModel, branches: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likelihood, "BRANCHES", branches)
    for model in (opened.model, other.model):
        texts = some_texts(model.config.vocabulary_size, seed)
        for text, found in zip(texts, likelihoods(model, texts), strict=True):
            nats, greedy = slowly(model, text)
            assert found.nats == pytest.approx(nats, abs=2e-4) and found.greedy == greedy


def test_quantized_models_go_along_one_path(folders: dict[str, Path]) -> None:
    model = load(folders["modern"], "int8").model
    texts = some_texts(model.config.vocabulary_size, 9)
    assert Tree(model, texts).branches == 0
    for text, found in zip(texts, likelihoods(model, texts), strict=True):
        assert found.nats == pytest.approx(slowly(model, text)[0], abs=0.15)  # activations are rounded to bytes


def test_bf16_models_too(folders: dict[str, Path]) -> None:
    model = load(folders["modern"], "bf16").model
    texts = some_texts(model.config.vocabulary_size, 5)
    for text, found in zip(texts, likelihoods(model, texts), strict=True):
        assert found.nats == pytest.approx(slowly(model, text)[0], abs=0.3)


def test_greedy_is_noticed(opened: OpenedModel) -> None:
    prompt = opened.prompt_ids("The river runs")
    said = opened.generate("The river runs", max_tokens=5).ids
    (right,) = likelihoods(opened.model, [Asked([*prompt, *said], len(prompt))])
    wrong = [*prompt, *said[:-1], (said[-1] + 1) % 300]
    assert right.greedy and not likelihoods(opened.model, [Asked(wrong, len(prompt))])[0].greedy


@pytest.mark.parametrize("branches", [0, 512])
def test_what_texts_share_is_read_once(opened: OpenedModel, branches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six questions after the same 100 tokens, four options of one token each: 100 + 6 x 10 tokens go through."""
    monkeypatch.setattr(likelihood, "BRANCHES", branches)
    read = 0
    hidden = opened.model.hidden

    def counting(ids: torch.Tensor, **how: object) -> torch.Tensor:
        nonlocal read
        read += ids.numel()
        return hidden(ids, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(opened.model, "hidden", counting)
    draw = random.Random(0)
    trunk = [draw.randrange(300) for _ in range(100)]
    contexts = [[*trunk, place, *(draw.randrange(300) for _ in range(9))] for place in range(6)]
    texts = [Asked([*context, option], 110) for context in contexts for option in (1, 2, 3, 4)]
    likelihoods(opened.model, texts)
    assert read == 160
    # options of several tokens: the last of each needs no pass of its own
    read = 0
    texts = [Asked([*contexts[0], option, 7, 8], 110) for option in (1, 2, 3, 4)]
    likelihoods(opened.model, texts)
    assert read <= 110 + 4 * 3 and read >= 110 + 4 * 2


def test_more_branches_than_the_context_is_long(opened: OpenedModel) -> None:
    """500 tokens side by side in a model with a context of 256: no single path is longer."""
    texts = [Asked([place % 300, *range(20)], 1) for place in range(40)]
    found = likelihoods(opened.model, texts)
    assert Tree(opened.model, sorted(texts, key=lambda text: text.ids)).together(0) > 13
    assert found[7].nats == pytest.approx(slowly(opened.model, texts[7])[0], abs=2e-4)


def test_branches_by_hand() -> None:
    """Texts 1 2 3 | 1 2 4 5 | 6 below a root of one token 0; the last token of each is only looked up."""
    texts = [Asked([0, 1, 2, 3, 9], 2), Asked([0, 1, 2, 4, 5, 9], 4), Asked([0, 6, 9], 2)]
    branches = Branches(1, texts)
    assert branches.ids == [1, 2, 3, 4, 5, 6] and branches.positions == [1, 2, 3, 3, 4, 1]
    assert branches.parents == [-1, 0, 1, 1, 3, -1] and not branches.single
    assert branches.rows == [[0, 1, 2], [3, 4], [5]]
    seen = [[0], [0, 1], [0, 1, 2], [0, 1, 3], [0, 1, 3, 4], [5]]
    mask = branches.mask()
    assert mask.shape == (6, 7) and mask[:, 0].all()
    assert [[int(place) for place in row[1:].nonzero()[0]] for row in mask] == seen


def test_shared() -> None:
    for one, two in itertools.product([[], [1], [1, 2, 3], [2]], [[], [1], [1, 2], [2, 1]]):
        slow = 0
        while slow < min(len(one), len(two)) and one[slow] == two[slow]:
            slow += 1
        assert shared(one, two) == slow


def test_context_and_continuation_are_tokenized_together(opened: OpenedModel) -> None:
    whole = opened.tokenizer.encode("The river runs through")
    found = asked(opened, "The river", " runs through")
    assert found.ids == whole and found.ids[: found.start] == opened.tokenizer.encode("The river")
    assert asked(opened, "The river ", "runs through") == found, "a space at the context's end goes with what follows"
    alone = asked(opened, "", "The river")
    assert (alone.ids[0], alone.start) == (opened.tokenizer.end_id, 1)
    with pytest.raises(GlaswerkError, match="the option is empty"):
        asked(opened, "The", "")


def test_a_context_that_is_too_long_loses_its_beginning(opened: OpenedModel) -> None:
    found = asked(opened, "The river runs. " * 200, "yes")
    assert len(found.ids) == opened.model.config.context + 1 and found.cut > 0
    assert found.ids[found.start :] == asked(opened, "The river runs. ", "yes").ids[-(len(found.ids) - found.start) :]
    (scored,) = likelihoods(opened.model, [found])
    assert scored.nats == pytest.approx(slowly(opened.model, found)[0], abs=2e-4)
    with pytest.raises(GlaswerkError, match="does not fit the model's context of 256"):
        asked(opened, "The", " river runs" * 200)


def test_confidence_is_the_mean_of_the_tokens(opened: OpenedModel) -> None:
    prompt = opened.prompt_ids("Question: What is older? Answer:")
    reply = " The town."
    nats, _ = slowly(opened.model, Asked([*prompt, *opened.tokenizer.encode(reply)], len(prompt)))
    product = 1.0
    for one in nats:
        product *= 2.718281828459045**one
    assert confidence(opened, [prompt, prompt], [reply, ""]) == pytest.approx([product ** (1 / len(nats)), 0], rel=1e-3)


def test_nothing_is_asked_of_nothing(opened: OpenedModel) -> None:
    assert likelihoods(opened.model, []) == []
    told: list[int] = []
    texts = some_texts(300, 0)
    likelihoods(opened.model, texts, told.append)
    assert sorted(told) == list(range(len(texts)))
