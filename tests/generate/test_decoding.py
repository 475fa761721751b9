"""Generation: cached = recomputed from scratch, batched = alone, stop texts, streaming, ends and the context's end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glaswerk.errors import GlaswerkError
from glaswerk.generate import SamplingOptions, batch, complete, decoding, stream
from glaswerk.generate.writing import Writer
from glaswerk.model import Decoder, ModelConfig
from glaswerk.tokenizer import ByteTokenizer

TOKENIZER = ByteTokenizer()
CONTEXT = 64
SEED = 4


def decoder(shape: str = "modern") -> Decoder:
    """A random model whose greedy text is not one token for ever: what the tests compare must vary."""
    make = ModelConfig.modern if shape == "modern" else ModelConfig.classic
    model = Decoder(
        make(vocabulary_size=TOKENIZER.vocabulary_size, width=48, layers=2, heads=4, context=CONTEXT, tied=False)
    )
    generator = torch.Generator().manual_seed(SEED)
    model.reset_parameters(generator)  # not torch's global seed, which other tests set
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.25)
    return model.eval()


def from_scratch(model: Decoder, prompt: list[int], count: int) -> list[int]:
    """Greedy the slow way: the whole text again for every token."""
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(count):
            ids.append(int(model(torch.tensor([ids]))[0, -1, : TOKENIZER.vocabulary_size].argmax()))
    return ids[len(prompt) :]


PROMPTS = [TOKENIZER.encode(text) for text in ("Paris is", "a", "The capital of France is a city", "xyz", "ab")]
GREEDY = SamplingOptions(max_tokens=24)


@pytest.mark.parametrize("shape", ["modern", "classic"])
def test_cached_batched_and_streamed_equal_the_slow_way(shape: str) -> None:
    model = decoder(shape)
    slow = [from_scratch(model, prompt, 24) for prompt in PROMPTS]
    assert all(len(set(ids)) > 4 for ids in slow)
    together = batch(model, TOKENIZER, PROMPTS, GREEDY, end_ids=())
    for prompt, expected, row in zip(PROMPTS, slow, together, strict=True):
        alone = complete(model, TOKENIZER, prompt, GREEDY, end_ids=())
        pieces = list(stream(model, TOKENIZER, prompt, GREEDY, end_ids=()))
        assert expected == alone.ids == row.ids == [piece.id for piece in pieces]
        assert TOKENIZER.decode(expected) == alone.text == row.text == "".join(piece.text for piece in pieces)
        assert alone.finish_reason == row.finish_reason == pieces[-1].finish_reason == "length"
        assert alone.prompt_tokens == len(prompt) and alone.seconds >= alone.first_seconds > 0


def test_greedy_is_that_of_transformers(tmp_path: Any) -> None:
    transformers = pytest.importorskip("transformers")
    from glaswerk.model.weights import save_model

    model = decoder()
    save_model(tmp_path, model)
    other = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    for prompt in PROMPTS:
        ids = other.generate(torch.tensor([prompt]), max_new_tokens=24, do_sample=False, pad_token_id=0)[0]
        assert ids[len(prompt) :].tolist() == complete(model, TOKENIZER, prompt, GREEDY, end_ids=()).ids


def test_each_row_ends_on_its_own() -> None:
    """Rows that end early leave the batch; the others get the text they would get alone, up to the context's end."""
    model = decoder()
    alone = [complete(model, TOKENIZER, prompt, replace(GREEDY, max_tokens=500), end_ids=()) for prompt in PROMPTS]
    for row, prompt in zip(alone, PROMPTS, strict=True):
        assert len(row.ids) == CONTEXT - len(prompt) and row.finish_reason == "length"
    ends = {alone[0].ids[3], alone[2].ids[1]}
    for row, prompt in zip(
        batch(model, TOKENIZER, PROMPTS, replace(GREEDY, max_tokens=500), end_ids=ends), PROMPTS, strict=True
    ):
        single = complete(model, TOKENIZER, prompt, replace(GREEDY, max_tokens=500), end_ids=ends)
        assert (row.ids, row.text, row.finish_reason) == (single.ids, single.text, single.finish_reason)
        assert not ends & set(row.ids)
    assert batch(model, TOKENIZER, [], GREEDY) == []


def test_more_prompts_than_fit_side_by_side() -> None:
    model = decoder()
    prompts = [TOKENIZER.encode("abcdefgh"[: 1 + n % 8]) for n in range(70)]
    rows = batch(model, TOKENIZER, prompts, SamplingOptions(max_tokens=4), end_ids=())
    assert [row.ids for row in rows] == [from_scratch(model, prompt, 4) for prompt in prompts]


def test_a_seed_gives_the_same_text() -> None:
    model = decoder()
    options = SamplingOptions(max_tokens=20, temperature=1.0, seed=11)
    first, again = (complete(model, TOKENIZER, PROMPTS[0], options, end_ids=()) for _ in range(2))
    other = complete(model, TOKENIZER, PROMPTS[0], replace(options, seed=12), end_ids=())
    assert first.ids == again.ids != other.ids
    # row i of a batch draws with seed + i, whatever else is in the batch
    pair = batch(model, TOKENIZER, [PROMPTS[2], PROMPTS[0]], replace(options, seed=10), end_ids=())
    assert pair[1].ids == first.ids
    # and the global generator is neither used nor moved
    state = torch.random.get_rng_state()
    complete(model, TOKENIZER, PROMPTS[0], options, end_ids=())
    assert torch.equal(state, torch.random.get_rng_state())


def test_repetition_penalty_counts_prompt_and_reply_but_never_the_end() -> None:
    model, options = decoder(), SamplingOptions(max_tokens=24, repetition_penalty=1.7)
    end = complete(model, TOKENIZER, PROMPTS[2], GREEDY, end_ids=()).ids[2]
    prompts = [[end, *PROMPTS[2]], PROMPTS[0]]
    for prompt, row in zip(prompts, batch(model, TOKENIZER, prompts, options, end_ids={end}), strict=True):
        ids = list(prompt)
        while len(ids) < len(prompt) + 24:
            with torch.no_grad():
                logits = model(torch.tensor([ids]))[0, -1]
            for number in set(ids) - {end}:
                logits[number] = logits[number] / 1.7 if logits[number] > 0 else logits[number] * 1.7
            ids.append(int(logits.argmax()))
            if ids[-1] == end:
                ids.pop()
                break
        assert row.ids == ids[len(prompt) :]
    free = complete(model, TOKENIZER, PROMPTS[0], options, end_ids=())
    assert free.ids != complete(model, TOKENIZER, PROMPTS[0], GREEDY, end_ids=()).ids


def test_prompts_that_cannot_be_continued() -> None:
    model = decoder()
    for prompt, what in (([], "empty"), ([1] * CONTEXT, "context is 64"), ([10**6], "tokenizer")):
        with pytest.raises(GlaswerkError, match=what):
            complete(model, TOKENIZER, prompt, GREEDY)


def test_a_stream_that_is_left_early_leaves_the_model_as_it_was() -> None:
    model = decoder().train()
    pieces = stream(model, TOKENIZER, PROMPTS[0], GREEDY, end_ids=())
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert model.training and all(parameter.requires_grad for parameter in model.parameters())


# ---------------------------------------------------------------------------------------------- text
def written(tokenizer: Any, ids: list[int], stop: tuple[str, ...]) -> tuple[list[str], bool]:
    writer = Writer(tokenizer, stop)
    shown = []
    for number in ids:
        shown.append(writer.push(number))
        if writer.stopped:
            return shown, True
    return [*shown, writer.flush()], writer.stopped


@settings(max_examples=300, deadline=None)
@given(st.text("abcé🙂\n", max_size=24), st.lists(st.text("abcé🙂\n", min_size=1, max_size=4), max_size=3))
def test_stop_texts_across_token_borders(text: str, stop: list[str]) -> None:
    """One token per byte is the worst case: every stop text and every character spans several tokens."""
    shown, stopped = written(TOKENIZER, TOKENIZER.encode(text), tuple(stop))
    places = [text.find(word) for word in stop if word in text]
    assert stopped == bool(places)
    if not places:
        assert "".join(shown) == text
    else:
        # what ends first stops first; nothing of any stop text that is complete by then is shown
        first_end = min(text.find(word) + len(word) for word in stop if word in text)
        begun = min(text.find(word) for word in stop if word in text[:first_end])
        assert "".join(shown) == text[:begun]


def test_text_is_held_back_only_while_it_may_become_a_stop() -> None:
    shown, stopped = written(TOKENIZER, TOKENIZER.encode("one\nUse User"), ("\nUser:",))
    assert shown[:3] == ["o", "n", "e"] and shown[3:7] == [""] * 4 and shown[7] == "\nUse " and not stopped
    shown, stopped = written(TOKENIZER, TOKENIZER.encode("one\nUser: two"), ("\nUser:",))
    assert "".join(shown) == "one" and stopped


def test_characters_come_whole_and_broken_bytes_are_marked() -> None:
    ids = TOKENIZER.encode("é🙂")
    assert written(TOKENIZER, ids, ())[0] == ["", "é", "", "", "", "🙂", ""]
    assert "".join(written(TOKENIZER, ids[:-1], ())[0]) == "é\ufffd"


def test_generation_stops_at_a_stop_text() -> None:
    model = decoder()
    plain = complete(model, TOKENIZER, PROMPTS[0], GREEDY, end_ids=())
    word = next(plain.text[i : i + 2] for i in range(2, 20) if "\ufffd" not in plain.text[i : i + 2])
    stopped = complete(model, TOKENIZER, PROMPTS[0], replace(GREEDY, stop=word), end_ids=())
    assert stopped.finish_reason == "stop" and stopped.text == plain.text[: plain.text.find(word)]
    assert stopped.ids == plain.ids[: len(stopped.ids)]


def test_biases_and_penalties_shift_logits_the_same_way_everywhere() -> None:
    """Against the definition, the whole text again for every token; plain, in a batch, with guesses, in the engine."""
    from glaswerk.generate.engine import Engine

    model = decoder()
    options = replace(
        GREEDY, presence_penalty=0.7, frequency_penalty=0.3, logit_bias={101: 1.5, 32: -100.0}, max_tokens=20
    )
    expected = []
    for prompt in PROMPTS[:3]:
        ids: list[int] = []
        for _ in range(options.max_tokens):
            with torch.no_grad():
                logits = model(torch.tensor([[*prompt, *ids]]))[0, -1, : TOKENIZER.vocabulary_size].tolist()
            logits[101] += 1.5
            logits[32] -= 100
            shifted = [value - 0.7 * (n in ids) - 0.3 * ids.count(n) for n, value in enumerate(logits)]
            ids.append(max(range(len(shifted)), key=shifted.__getitem__))
        expected.append(ids)
    assert expected[0] != complete(model, TOKENIZER, PROMPTS[0], replace(GREEDY, max_tokens=20), end_ids=()).ids
    assert [row.ids for row in batch(model, TOKENIZER, PROMPTS[:3], options, end_ids=())] == expected
    assert complete(model, TOKENIZER, PROMPTS[0], options, end_ids=()).ids == expected[0]
    assert complete(model, TOKENIZER, PROMPTS[0], options, end_ids=(), draft="lookup").ids == expected[0]
    engine = Engine(model, TOKENIZER)
    requests = [engine.submit(prompt, options, end_ids=()) for prompt in PROMPTS[:3]]
    while engine.busy:
        engine.step()
    assert [request.row.ids for request in requests] == expected
    with pytest.raises(GlaswerkError, match="logit_bias names the token 9999"):
        complete(model, TOKENIZER, PROMPTS[0], replace(GREEDY, logit_bias={9999: 1.0}))


def test_prompts_that_are_the_same_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three prompts for nine texts; each text is that of its prompt alone, with its own draws."""
    model = decoder()
    read: list[tuple[int, ...]] = []
    plain = decoding.read_prompt

    def counted(model: Decoder, ids_BT: torch.Tensor, *rest: Any) -> torch.Tensor:
        read.append(tuple(ids_BT.shape))
        return plain(model, ids_BT, *rest)

    monkeypatch.setattr(decoding, "read_prompt", counted)
    prompts = [PROMPTS[place] for place in (0, 2, 0, 1, 0, 2, 1, 0, 2)]
    for options in (GREEDY, replace(GREEDY, temperature=1.0, seed=5)):
        read.clear()
        together = batch(model, TOKENIZER, prompts, options, end_ids=())
        assert read == [(3, len(PROMPTS[2]))]
        for place, (prompt, row) in enumerate(zip(prompts, together, strict=True)):
            shifted = options if options.seed is None else replace(options, seed=options.seed + place)
            assert row.ids == complete(model, TOKENIZER, prompt, shifted, end_ids=()).ids
