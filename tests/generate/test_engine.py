"""The engine: what it says is what plain generation says, whoever else is there; and nothing is lost, shared or starved
that should not be."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import pytest
import torch

from glaswerk.errors import GlaswerkError
from glaswerk.generate import SamplingOptions, complete
from glaswerk.generate.engine import Engine, Request
from glaswerk.model import Decoder, ModelConfig, lora
from glaswerk.model.native import ops
from glaswerk.model.quantize import QuantizedLinear, quantize
from glaswerk.tokenizer import ByteTokenizer

TOKENIZER = ByteTokenizer()
CONTEXT = 64
#: the last one is quantized: its pages are read where they lie
SHAPES = ["modern", "classic", "bytes"]
GREEDY = SamplingOptions(max_tokens=12)


@cache
def decoder(shape: str = "modern") -> Decoder:
    """A random model whose greedy text is not one token for ever."""
    make = ModelConfig.classic if shape == "classic" else ModelConfig.modern
    width = 64 if shape == "bytes" else 48
    model = Decoder(
        make(vocabulary_size=TOKENIZER.vocabulary_size, width=width, layers=2, heads=4, context=CONTEXT, tied=False)
    )
    generator = torch.Generator().manual_seed(4)
    model.reset_parameters(generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.25)
    if shape == "bytes":
        quantize(model, 8)
        model.set_embedding(QuantizedLinear.from_weight(model.embedding, 8))
    return model.eval()


def page_sizes(shape: str) -> list[int]:
    """Sizes of pages to try."""
    return [16, 32, 48] if shape == "bytes" else [1, 3, 4, 8, 16]


@dataclass(frozen=True)
class Case:
    """A prompt, and as much of its greedy continuation as rounding cannot change."""

    prompt: tuple[int, ...]
    ids: tuple[int, ...]


@cache
def cases(shape: str) -> tuple[Case, ...]:
    """Prompts of all lengths, many of which begin alike. Where the two likeliest tokens are within 0.001 of each other,
    plain generation itself may say one or the other, depending on how it adds up: what is compared ends there.

    A quantized model's numbers are rounded more in company than alone, but always alike: there the plain way is the
    engine with one request and invariant (:func:`test_a_quantized_model_is_near_itself_alone` compares that)."""
    model, rng = decoder(shape), random.Random(3)
    beginnings = [[rng.randrange(256) for _ in range(length)] for length in (0, 7, 16, 33)]
    found = []
    for number in range(48):
        prompt = [*beginnings[number % 4], *(rng.randrange(256) for _ in range(rng.choice([1, 2, 5, 9, 24])))]
        if shape == "bytes":
            engine = Engine(model, TOKENIZER, invariant=True)
            request = engine.submit(prompt, replace(GREEDY, max_tokens=CONTEXT), end_ids=())
            drain(engine)
            found.append(Case(tuple(prompt), tuple(request.row.ids)))
            continue
        ids = complete(model, TOKENIZER, prompt, replace(GREEDY, max_tokens=CONTEXT), end_ids=()).ids
        with torch.inference_mode():
            logits = model(torch.tensor([[*prompt, *ids[:-1]]]))[0, len(prompt) - 1 :, : TOKENIZER.vocabulary_size]
        best = logits.topk(2).values
        narrow = (best[:, 0] - best[:, 1] < 1e-3).nonzero().flatten().tolist()
        ids = ids[: narrow[0]] if narrow else ids
        if len(ids) >= 4:
            found.append(Case(tuple(prompt), tuple(ids)))
    assert len(found) > 30
    return tuple(found)


def check(engine: Engine) -> None:
    """Every page is used as often as requests hold it, by one key only, and the rest can be taken."""
    holders: dict[int, list[str]] = {}
    for request in engine.running:
        assert request.read <= len(request.pages) * engine.pages.size
        for page in request.pages:
            holders.setdefault(page, []).append(request.key)
    pages = engine.pages
    assert all(pages.uses[page] == len(holders.get(page, [])) for page in range(pages.count + 1))
    assert all(len(set(keys)) == 1 for keys in holders.values())
    assert 0 not in holders and len(pages.free) + len(pages.idle) + len(holders) == pages.count
    assert len({*pages.free, *pages.idle, *holders}) == pages.count
    assert set(pages.idle) <= set(pages.names) and {v: k for k, v in pages.names.items()} == pages.pages
    assert not engine.store.kv_L2NGD[:, :, : pages.size].any()


def check_empty(engine: Engine) -> None:
    """Nothing is left of anybody."""
    check(engine)
    assert not engine.busy and not engine.running and not engine.queue.here and not engine.queue.tokens
    assert engine.pages.available == engine.pages.count and not any(engine.pages.uses)
    assert engine.step() == []


def drain(engine: Engine, then: Callable[[], None] = lambda: None) -> dict[Request, str]:
    """Step until nobody is there; the texts that came."""
    texts: dict[Request, str] = {}
    for _ in range(20_000):
        if not engine.busy:
            return texts
        for request, piece in engine.step():
            texts[request] = texts.get(request, "") + piece.text
        check(engine)
        then()
    raise AssertionError("the engine is stuck")


# ---------------------------------------------------------------------------------------------- against the plain way
@dataclass
class Seen:
    """What happened in the schedules, so that they are known to have tried it."""

    finished: int = 0
    preempted: int = 0
    shared: int = 0
    cancelled_waiting: int = 0
    cancelled_reading: int = 0
    cancelled_writing: int = 0
    stopped: int = 0


def schedule(shape: str, seed: int, seen: Seen) -> None:
    """One random life of an engine: requests of several keys come, some go, and pages are few."""
    rng = random.Random(seed)
    page = rng.choice(page_sizes(shape))
    least = -(-CONTEXT // page)
    engine = Engine(
        decoder(shape),
        TOKENIZER,
        page=page,
        pages=least + rng.choice([0, 1, least // 2, 3 * least]),
        rows=rng.choice([1, 2, 4, 8]),
        round_tokens=rng.choice([1, 6, 40, 512]),
        share=rng.random() < 0.8,
        invariant=rng.random() < 0.25 or shape == "bytes",
    )
    keys = ["a", "b", "c"][: rng.choice([1, 2, 3])]
    chosen = rng.sample(cases(shape), rng.choice([2, 5, 12]))  # few cases: the same prompt comes more than once
    coming = []
    for _ in range(rng.randrange(3, 12)):
        case = rng.choice(chosen)
        length = rng.randrange(1, len(case.ids) + 1)
        ends = [case.ids[rng.randrange(length)]] if rng.random() < 0.2 else []
        cancel = rng.choice([0, 1, 3, 8, 20]) if rng.random() < 0.3 else None
        coming.append((rng.choice([0, 0, 1, 4, 15]), case, length, ends, cancel, rng.choice(keys)))
    coming.sort(key=lambda one: one[0])
    here: list[tuple[Request, Case, int, list[int], int | None]] = []
    texts: dict[Request, str] = {}
    last: dict[Request, str | None] = {}
    for now in range(20_000):
        while coming and coming[0][0] <= now:
            _, case, length, ends, cancel, key = coming.pop(0)
            options = replace(GREEDY, max_tokens=length)
            request = engine.submit(case.prompt, options, key=key, end_ids=ends)
            here.append((request, case, length, ends, None if cancel is None else now + cancel))
        for request, _, _, _, cancel in here:
            if cancel == now and request.state != "finished":
                seen.cancelled_waiting += request.state == "waiting"
                seen.cancelled_reading += request.state == "running" and not request.row.ids
                seen.cancelled_writing += request.state == "running" and bool(request.row.ids)
                engine.cancel(request)
                assert request.finish_reason == "cancelled"
                check(engine)
        if not coming and not engine.busy:
            break
        for request, piece in engine.step():
            assert last.get(request) is None and request.finish_reason in (piece.finish_reason, None)
            texts[request] = texts.get(request, "") + piece.text
            last[request] = piece.finish_reason
        check(engine)
    else:
        raise AssertionError("the engine is stuck")
    for request, case, length, ends, _ in here:
        said, expected = request.row.ids, list(case.ids[:length])
        if ends and ends[0] in expected:
            expected = expected[: expected.index(ends[0])]
        if request.finish_reason == "cancelled":
            assert said == expected[: len(said)], (shape, seed)
            continue
        assert said == expected, (shape, seed)
        assert texts[request] == TOKENIZER.decode(expected)
        assert request.finish_reason == last[request] == ("length" if len(said) == length else "stop")
        seen.finished += 1
        seen.stopped += request.finish_reason == "stop"
    seen.preempted += engine.counts.preemptions
    seen.shared += engine.counts.shared_tokens
    check_empty(engine)


def schedules(shape: str, seeds: range) -> None:
    seen = Seen()
    for seed in seeds:
        schedule(shape, seed, seen)
    # with large pages these prompts are read in a round or two: hardly anybody leaves in between
    tried = {what: count for what, count in vars(seen).items() if shape != "bytes" or what != "cancelled_reading"}
    assert min(tried.values()) > 0, seen
    print(shape, seen)


@pytest.mark.parametrize("shape", SHAPES)
def test_random_schedules_say_what_plain_generation_says(shape: str) -> None:
    schedules(shape, range(20))


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_five_hundred_random_schedules(shape: str) -> None:
    schedules(shape, range(20, 270))


def both_ways(shape: str, asked: Sequence[tuple[Sequence[int], SamplingOptions]], **settings: int) -> Engine:
    """All of these at once in an engine, each compared with the plain way."""
    model = decoder(shape)
    engine = Engine(model, TOKENIZER, **settings)
    requests = [engine.submit(prompt, options, key=str(place % 2)) for place, (prompt, options) in enumerate(asked)]
    texts = drain(engine)
    for request, (prompt, options) in zip(requests, asked, strict=True):
        plain = complete(model, TOKENIZER, prompt, options)
        assert (request.row.ids, texts[request], request.finish_reason) == (plain.ids, plain.text, plain.finish_reason)
    check_empty(engine)
    return engine


@pytest.mark.parametrize("shape", ["modern", "classic"])
def test_seeded_sampling_penalties_and_stop_texts(shape: str) -> None:
    rng = random.Random(5)
    asked: list[tuple[Sequence[int], SamplingOptions]] = []
    for seed in range(24):
        options = SamplingOptions(max_tokens=rng.randrange(1, 24), temperature=1.0, seed=seed)
        extra = [{}, {"top_k": 9}, {"top_p": 0.8}, {"min_p": 0.02}, {"repetition_penalty": 1.5}, {"stop": ("a", "é")}]
        asked.append((rng.choice(cases(shape)).prompt, replace(options, **extra[seed % 6])))
    engine = both_ways(shape, asked, page=4, pages=22, rows=6, round_tokens=20)
    assert engine.counts.preemptions > 0
    state = torch.random.get_rng_state()
    both_ways(shape, asked[:2])
    assert torch.equal(state, torch.random.get_rng_state())


def test_constrained_output_in_the_batch() -> None:
    asked = [
        (TOKENIZER.encode("Is it?"), replace(GREEDY, choices=["yes", "no", "perhaps"])),
        (TOKENIZER.encode("The year is"), replace(GREEDY, regex=r"\d{4}-\d\d")),
        (TOKENIZER.encode("The year is"), replace(GREEDY, max_tokens=30)),
        (TOKENIZER.encode("x"), SamplingOptions(max_tokens=20, temperature=1.0, seed=3, regex="[a-f]{3,9}!")),
    ]
    engine = both_ways("modern", asked, page=2, pages=20)
    assert engine.counts.preemptions > 0


# ---------------------------------------------------------------------------------------------- pages
@pytest.mark.parametrize("invariant", [False, True])
def test_a_prefix_is_read_once_for_each_key(invariant: bool) -> None:
    """40 tokens in pages of 8: the last token must be read anew, so 4 pages of 5 are saved."""
    engine = Engine(decoder(), TOKENIZER, page=8, invariant=invariant)
    prompt, one = list(range(40)), replace(GREEDY, max_tokens=1)

    def cost(key: str, ids: list[int], times: int = 1) -> tuple[int, int]:
        before = (engine.counts.computed_tokens, engine.counts.shared_tokens)
        for _ in range(times):
            engine.submit(ids, one, key=key)
        drain(engine)
        return engine.counts.computed_tokens - before[0], engine.counts.shared_tokens - before[1]

    assert cost("a", prompt) == (40, 0)
    assert cost("a", prompt) == (8, 32)
    assert cost("b", prompt) == (40, 0)
    assert cost("", prompt) == (40, 0)
    assert cost("a", [*prompt[:20], 99, *prompt[21:]]) == (24, 16)  # the third page is another from its fifth token on
    assert cost("a", [99, *prompt[1:]]) == (40, 0)  # the same tokens later do not help: what is before them is another
    assert cost("c", prompt, times=8) == (40 + 7 * 8, 7 * 32)  # all at once: one reads, the others wait for it
    check_empty(engine)


def test_a_conversation_finds_its_own_reply() -> None:
    engine = Engine(decoder(), TOKENIZER, page=4)
    first = engine.submit(list(range(10)), GREEDY, end_ids=())
    drain(engine)
    second = engine.submit([*range(10), *first.row.ids, 1, 2, 3], GREEDY, end_ids=())
    drain(engine)
    assert first.shared_tokens == 0 and second.shared_tokens == 20  # 21 tokens were read: the 22nd only written


def test_two_engines_name_the_same_page_differently() -> None:
    names = {Engine(decoder(), TOKENIZER, pages=8).submit([1] * 20, GREEDY, key="k").name(0, 16) for _ in range(2)}
    assert len(names) == 2


@pytest.mark.parametrize("shape", ["modern", "bytes"])
def test_what_lies_in_memory_reaches_nobody(shape: str) -> None:
    """All pages full of NaN: any number read that was not written would be seen."""
    size = 16 if shape == "bytes" else 4
    engine = Engine(decoder(shape), TOKENIZER, page=size, pages=60, invariant=shape == "bytes")
    engine.store.kv_L2NGD[:, :, engine.pages.size :] = float("nan")
    requests = [(engine.submit(case.prompt, GREEDY, end_ids=()), case) for case in cases(shape)[:12]]
    drain(engine)
    for request, case in requests:
        together = min(12, len(case.ids))
        assert request.error is None and request.row.ids[:together] == list(case.ids[:together])


def test_the_end_of_a_text_is_forgotten_before_its_beginning() -> None:
    engine = Engine(decoder(), TOKENIZER, page=4, pages=8)
    engine.submit(range(24), replace(GREEDY, max_tokens=1), end_ids=())
    drain(engine)
    engine.submit([99] * 12, replace(GREEDY, max_tokens=1), end_ids=())  # 2 pages were never used: one must go
    drain(engine)
    again = engine.submit(range(24), replace(GREEDY, max_tokens=1), end_ids=())
    drain(engine)
    assert again.shared_tokens == 20


def test_idle_pages_are_forgotten_when_memory_is_needed() -> None:
    engine = Engine(decoder(), TOKENIZER, page=4, pages=16)
    for start in range(10):
        request = engine.submit(range(start, start + 30), replace(GREEDY, max_tokens=8), end_ids=())
        drain(engine)
        assert request.finish_reason == "length" and request.shared_tokens == 0
    assert len(engine.pages.idle) > 8  # kept as long as there is room, and then the oldest go
    again = engine.submit(range(9, 39), replace(GREEDY, max_tokens=8), end_ids=())
    drain(engine)
    assert again.shared_tokens == 28
    check_empty(engine)


# ---------------------------------------------------------------------------------------------- quantized models
@pytest.mark.parametrize("invariant", [False, True])
def test_a_quantized_model_is_near_itself_alone(invariant: bool) -> None:
    """Every logit of every reply, in mixed company, against the plain pass: what rounding activations to a byte changes
    is little beside the logits' own spread."""
    model, pool = decoder("bytes"), cases("bytes")[:8]
    engine = Engine(model, TOKENIZER, page=16, rows=3, round_tokens=24, invariant=invariant)
    assert engine.passes is not None
    requests = [engine.submit(case.prompt, replace(GREEDY, max_tokens=9), end_ids=()) for case in pool]
    logits: dict[Request, list[torch.Tensor]] = {request: [] for request in requests}
    while engine.busy:
        for request, _ in engine.step():
            assert request.logits is not None
            logits[request].append(request.logits)
    for request, found in logits.items():
        ids = [*request.row.prompt, *request.row.ids[:-1]]
        with torch.inference_mode(), ops.plain_only():
            plain = model(torch.tensor([ids]))[0, len(request.row.prompt) - 1 :, : TOKENIZER.vocabulary_size]
        assert (torch.stack(found) - plain).square().mean().sqrt() < 0.1 * plain.std()
    check_empty(engine)


# ---------------------------------------------------------------------------------------------- the same bits
@pytest.mark.parametrize(
    ("shape", "adapters"),
    [*((shape, ()) for shape in SHAPES), *((shape, ("red", "blue", None)) for shape in ("modern", "bytes")),
     ("bytes", (None, "red", "blue"))],
)  # fmt: skip
def test_invariant_means_every_bit_of_every_logit(shape: str, adapters: tuple[str | None, ...]) -> None:
    """One request, alone and in the company of others that share its beginning, push it out and come and go; and where
    there are adapters, with the first of them, in the company of all."""
    pool = cases(shape)
    model, own = (adapted(shape), adapters[0]) if adapters else (decoder(shape), None)
    watched = max(pool, key=lambda case: min(len(case.prompt), len(case.ids)))
    options = SamplingOptions(max_tokens=min(20, len(watched.ids)), temperature=0.7, seed=9)
    preempted = shared = 0
    page = 16 if shape == "bytes" else 4
    recorded: list[torch.Tensor] = []
    recorded_ids: list[int] = []
    for seed in range(10):
        rng = random.Random(seed)
        engine = Engine(
            model,
            TOKENIZER,
            page=page,
            pages=[200, 19, 24][seed % 3] * 4 // page,
            rows=rng.choice([3, 6]),
            round_tokens=rng.choice([3, 17, 512]),
            invariant=True,
        )
        if seed:
            if rng.random() < 0.5:  # its prompt was there before, or its reply as somebody's prompt
                engine.submit([*watched.prompt, *recorded_ids[:9]], GREEDY, key="k", adapter=own)
                for _ in range(rng.randrange(12)):
                    engine.step()
            for case in rng.sample(pool, 6):
                how = replace(GREEDY, max_tokens=rng.randrange(1, 25))
                engine.submit(case.prompt, how, key=rng.choice("kl"), adapter=rng.choice(adapters or (None,)))
        request = engine.submit(watched.prompt, options, key="k", end_ids=(), adapter=own)
        logits = []
        while engine.busy:
            if rng.random() < 0.2 and seed:
                engine.submit(rng.choice(pool).prompt, replace(GREEDY, max_tokens=3), key="l")
            if any(one is request for one, _ in engine.step()):
                assert request.logits is not None
                logits.append(request.logits.clone())
            if request.state == "finished":
                break
        if not seed:
            recorded, recorded_ids = logits, request.row.ids
        assert len(logits) == len(recorded) == options.max_tokens
        assert all(torch.equal(one, other) for one, other in zip(logits, recorded, strict=True)), seed
        preempted += request.preemptions
        shared += request.shared_tokens
    assert preempted > 0 and shared > 0


def test_where_every_bit_counts_only_prompts_are_shared() -> None:
    """A reply is computed token by token, a prompt page by page; neither may stand in for the other."""
    prompt, options = list(range(10)), replace(GREEDY, max_tokens=16)

    def logits(engine: Engine, ids: Sequence[int], pushed_out: bool = False) -> tuple[list[torch.Tensor], Request]:
        request, found = engine.submit(ids, options, end_ids=()), []
        while engine.busy:
            for one, _ in engine.step():
                assert request.logits is not None
                if one is request:
                    found.append(request.logits.clone())
            if pushed_out and len(found) == 12 and not request.preemptions:
                engine._preempt(request)
        return found, request

    def new() -> Engine:
        return Engine(decoder(), TOKENIZER, page=4, invariant=True)

    alone, request = logits(new(), prompt)
    longer = [*prompt, *request.row.ids[:13]]
    longer_alone, _ = logits(new(), longer)
    after_a_reply = new()
    logits(after_a_reply, prompt)
    found, other = logits(after_a_reply, longer)
    assert other.shared_tokens == 8 and all(map(torch.equal, found, longer_alone))
    after_a_prompt = new()
    logits(after_a_prompt, longer)
    found, other = logits(after_a_prompt, prompt, pushed_out=True)
    assert other.shared_tokens == 2 * 8 and all(map(torch.equal, found, alone)) and len(found) == len(alone)


# ---------------------------------------------------------------------------------------------- adapters
@cache
def adapted(shape: str) -> Decoder:
    """A model with two adapters, none in use."""
    model = copy.deepcopy(decoder(shape))
    for seed, name in enumerate(("red", "blue")):
        lora.attach(model, lora.LoRAConfig(rank=3, targets=("q_proj", "down_proj") if seed else ("all-linear",)), name)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for pair in lora.pairs(model, name):
                pair.b.copy_(torch.randn(pair.b.shape, generator=generator) * 0.3)
    lora.use(model)
    return model.eval()


@pytest.mark.parametrize("shape", ["modern", "bytes"])
@pytest.mark.parametrize("invariant", [False, True])
def test_each_request_with_an_adapter_of_its_own(shape: str, invariant: bool) -> None:
    """Mixed in one batch, with the same beginning, each has the logits of the model with that adapter alone."""
    model, prompt = adapted(shape), list(range(40))
    engine = Engine(model, TOKENIZER, page=16, invariant=invariant)
    names = (None, "blue", "red", "blue", None, "red")
    for _ in range(2):  # the second time each finds its pages, and only its own
        requests = [
            engine.submit(prompt, replace(GREEDY, max_tokens=6), end_ids=(), adapter=name, key="k") for name in names
        ]
        logits: dict[Request, list[torch.Tensor]] = {request: [] for request in requests}
        while engine.busy:
            for request, _ in engine.step():
                assert request.logits is not None
                logits[request].append(request.logits)
            check(engine)
        firsts = {request.adapter: logits[request][0] for request in requests}
        for request, found in logits.items():
            lora.use(model, *([request.adapter] if request.adapter else []))
            with torch.inference_mode(), ops.plain_only():
                plain = model(torch.tensor([[*prompt, *request.row.ids[:-1]]]))[0, len(prompt) - 1 :, : engine.known]
            lora.use(model)
            far = (torch.stack(found) - plain).square().mean().sqrt() / plain.std()
            assert far < (0.1 if shape == "bytes" else 1e-4), request.adapter
            others = [first for name, first in firsts.items() if name != request.adapter]
            assert all((plain[0] - other).square().mean().sqrt() > 0.3 * plain.std() for other in others)
    assert engine.counts.shared_tokens == 3 * 32 + 6 * 32
    with pytest.raises(GlaswerkError, match="no adapter 'green': there are blue, red"):
        engine.submit(prompt, GREEDY, adapter="green")
    check_empty(engine)


# ---------------------------------------------------------------------------------------------- turns
def test_a_crowd_of_one_key_does_not_keep_out_another() -> None:
    """64 long texts of one client; another's short one comes last and is through as if it were alone, nearly."""
    engine = Engine(decoder(), TOKENIZER, rows=4)
    for _ in range(64):
        engine.submit([1, 2, 3], replace(GREEDY, max_tokens=60), key="crowd", end_ids=())
    for _ in range(10):
        engine.step()
    single = engine.submit([4, 5, 6], replace(GREEDY, max_tokens=8), key="single", end_ids=())
    rounds = 0
    while single.state != "finished":
        engine.step()
        rounds += 1
    assert rounds <= 8 + 2


def test_two_clients_get_the_same_number_of_tokens() -> None:
    """However many requests each has waiting, and however long they are: apart by no more than what runs at once."""
    engine = Engine(decoder(), TOKENIZER, rows=4, share=False)
    for _ in range(300):
        engine.submit([1, 2, 3], replace(GREEDY, max_tokens=4), key="small", end_ids=())
    for _ in range(30):
        engine.submit(list(range(30)), replace(GREEDY, max_tokens=30), key="large", end_ids=())
    for _ in range(250):
        engine.step()
        assert {"small", "large"} == set(engine.queue.here)
        assert abs(engine.queue.tokens["small"] - engine.queue.tokens["large"]) <= 4 * 60
    assert min(engine.queue.tokens.values()) > 400


def test_inside_a_key_who_came_first_is_first() -> None:
    """Also after having been sent back."""
    engine = Engine(decoder(), TOKENIZER, page=4, pages=16, rows=2)
    requests = [engine.submit([number] * 9, replace(GREEDY, max_tokens=40), end_ids=()) for number in range(6)]
    done: list[Request] = []
    while engine.busy:
        done += [request for request, piece in engine.step() if piece.finish_reason]
    assert done == requests and engine.counts.preemptions > 0


def test_nobody_saves_up_turns() -> None:
    """A key that comes late starts level with those that are here; one that returns keeps what it had more."""
    engine = Engine(decoder(), TOKENIZER, rows=2)
    for _ in range(9):
        engine.submit([1], replace(GREEDY, max_tokens=60), key="early", end_ids=())
    greedy = engine.submit(list(range(60)), replace(GREEDY, max_tokens=4), key="greedy", end_ids=())
    for _ in range(30):
        engine.step()
    had = engine.queue.tokens["early"]
    assert greedy.state == "finished" and had >= 30
    engine.submit([1], GREEDY, key="late", end_ids=())
    engine.submit([1], GREEDY, key="greedy", end_ids=())
    assert engine.queue.tokens["late"] == had and engine.queue.tokens["greedy"] == max(had, 63)
    drain(engine)
    check_empty(engine)


def test_a_key_does_not_pay_for_being_sent_back() -> None:
    """Every token is paid for once, however often it had to be read."""
    engine = Engine(decoder(), TOKENIZER, page=4, pages=16, share=False)
    late = engine.submit([1], replace(GREEDY, max_tokens=60), key="stays")  # keeps the counters alive
    for _ in range(3):
        engine.submit(list(range(20)), replace(GREEDY, max_tokens=20), key="k", end_ids=())
    most = 0

    def look() -> None:
        nonlocal most
        most = max(most, engine.queue.tokens.get("k", 0))

    drain(engine, look)
    assert late.state == "finished" and engine.counts.preemptions > 0
    assert engine.counts.computed_tokens > 3 * 39 + 60 >= most >= 3 * 39 - 1


def test_more_keys_than_places() -> None:
    """One key on all places, four others: none waits for the long texts' end."""
    engine = Engine(decoder(), TOKENIZER, rows=4)
    long = [engine.submit([1], replace(GREEDY, max_tokens=63), key="long", end_ids=()) for _ in range(4)]
    engine.step()
    short = [engine.submit([2], replace(GREEDY, max_tokens=5), key=str(number), end_ids=()) for number in range(4)]
    for _ in range(15):
        engine.step()
    assert all(request.state == "finished" for request in short)
    assert all(request.state != "finished" for request in long)


def test_a_large_request_gets_its_turn_among_small_ones() -> None:
    """Small ones that keep coming would always fit; who waits first holds them up."""
    engine = Engine(decoder(), TOKENIZER, page=4, pages=16, rows=8)
    large = engine.submit(list(range(50)), replace(GREEDY, max_tokens=10), key="large", end_ids=())
    engine.cancel(large)
    for _ in range(3):
        engine.submit([1, 2, 3], replace(GREEDY, max_tokens=20), key="small", end_ids=())
    engine.step()
    large = engine.submit(list(range(50)), replace(GREEDY, max_tokens=10), key="large", end_ids=())
    for _ in range(300):
        if large.state == "finished":
            break
        engine.submit([1, 2, 3], replace(GREEDY, max_tokens=20), key="small", end_ids=())
        engine.step()
    assert large.finish_reason == "length"


def test_a_long_prompt_does_not_stop_who_is_writing() -> None:
    engine = Engine(decoder(), TOKENIZER, page=4, round_tokens=8)
    writing = engine.submit([1], replace(GREEDY, max_tokens=30), end_ids=())
    engine.step()
    reading = engine.submit(list(range(60)), replace(GREEDY, max_tokens=1), key="other", end_ids=())
    rounds = 0
    while reading.state != "finished":
        assert any(request is writing for request, _ in engine.step())
        rounds += 1
    assert rounds >= 60 // 8


# ---------------------------------------------------------------------------------------------- what goes wrong
def test_what_cannot_be_asked() -> None:
    engine = Engine(decoder(), TOKENIZER, page=4, pages=8)
    for prompt, options, what in (
        ([], GREEDY, "empty"),
        ([1] * CONTEXT, GREEDY, "context is 64"),
        ([10**6], GREEDY, "tokenizer"),
        ([-1], GREEDY, "tokenizer"),
        ([1] * 30, GREEDY, "the engine holds 32"),
    ):
        with pytest.raises(GlaswerkError, match=what):
            engine.submit(prompt, options)
    with pytest.raises(GlaswerkError, match="max_tokens must be at least 1"):
        engine.submit([1], replace(GREEDY, max_tokens=0))
    with pytest.raises(GlaswerkError, match="at least 1"):
        Engine(decoder(), TOKENIZER, rows=0)
    check_empty(engine)
    request = engine.submit([1] * 30, replace(GREEDY, max_tokens=3))  # 32 are read, the last one only written
    drain(engine)
    assert len(request.row.ids) == 3


def test_cancelling_twice_or_too_late_does_nothing() -> None:
    engine = Engine(decoder(), TOKENIZER, rows=1)
    requests = [engine.submit([1, 2], GREEDY, end_ids=()) for _ in range(3)]
    engine.step()
    for _ in range(2):
        engine.cancel(requests[0])
        engine.cancel(requests[2])
    assert set(drain(engine)) == {requests[1]}
    engine.cancel(requests[1])
    assert [request.finish_reason for request in requests] == ["cancelled", "length", "cancelled"]
    check_empty(engine)


def test_who_fails_fails_alone() -> None:
    """A token whose vector is no number: whoever uses it ends with an error, the others never notice."""
    model = Decoder(decoder().config)
    model.load_state_dict(decoder().state_dict())
    with torch.no_grad():
        model.embedding[255] = float("nan")  # type: ignore[index]
    case = next(case for case in cases("modern") if 255 not in (*case.prompt, *case.ids))
    engine = Engine(model.train(), TOKENIZER, page=4, pages=40)
    bad = engine.submit([1, 255, 2], GREEDY, end_ids=())
    good = [engine.submit(case.prompt, replace(GREEDY, max_tokens=4), end_ids=()) for _ in range(2)]
    drain(engine)
    assert bad.finish_reason == "error" and "not finite" in str(bad.error) and bad.row.ids == []
    assert [request.row.ids for request in good] == [list(case.ids[:4])] * 2
    assert model.training
    check_empty(engine)


def test_a_round_that_breaks_off_loses_nothing() -> None:
    """The second pass of a round fails, as when memory ends; what the first one said comes later."""
    engine = Engine(decoder(), TOKENIZER, invariant=True)  # one pass for each text
    cases_ = [case for case in cases("modern") if len(case.ids) >= 6][:2]
    requests = [engine.submit(case.prompt, replace(GREEDY, max_tokens=6), end_ids=()) for case in cases_]
    for _ in range(3):
        engine.step()
    passes = 0

    def fail(*_: object) -> None:
        nonlocal passes
        passes += 1
        if passes == 2:
            raise MemoryError

    hook = decoder().blocks[1].register_forward_pre_hook(fail)
    with pytest.raises(MemoryError):
        engine.step()
    hook.remove()
    check(engine)
    pieces: dict[Request, list[int]] = {request: request.row.ids[:3] for request in requests}
    while engine.busy:
        for request, piece in engine.step():
            pieces[request].append(piece.id)
    assert [pieces[request] for request in requests] == [list(case.ids[:6]) for case in cases_]
    check_empty(engine)
