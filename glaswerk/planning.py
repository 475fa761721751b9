"""One dial: from ``--minutes``, this machine's measured speed and the size of the corpus to every other number.

Each choice is said aloud with its reason, kept in ``run.json`` before the first step, and never measured again.
The size of the model follows the parametric scaling law of Hoffmann et al. 2022 (Chinchilla, its third approach), with
repeated data discounted after Muennighoff et al. 2023.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from glaswerk import runtime
from glaswerk.errors import GlaswerkError
from glaswerk.home import home, read_json, subfolder, write_json
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.count import flops_per_token, parameters_count
from glaswerk.progress import Progress
from glaswerk.train import GradientStep, TrainPlan, Windows, next_token_loss, train

#: (layers, width) to choose from; heads are 64 wide from 256 on, 32 below
LADDER = (
    (2, 96), (2, 128), (3, 160), (3, 192), (4, 192), (4, 256), (5, 256), (5, 320), (6, 384), (7, 448), (8, 512),
    (10, 640), (12, 768), (16, 1024), (20, 1280), (24, 1536),
)  # fmt: skip
#: share of the budget that is never planned away: evaluation, answers, a machine that slows down
RESERVE = 0.15
#: seconds that are trained whatever getting ready took
LEAST_SECONDS = 10.0
#: of the time left for training, this share goes into the assistant: a base this small hardly looks at a question, and
#: what turns it into one that does is practice with questions (docs/log.md)
SFT_SHARE = 0.5
#: how wide the model is whose training speed is measured
PROBE_WIDTH = 256
#: bounds where the scaling law's constants were not fitted: a model larger, or passes more, only memorise
PARAMETERS_PER_TOKEN, MOST_PASSES = 8, 20
#: seconds that compiling is taken to cost where this machine has not measured it yet
COMPILE_COLD = 30.0
#: what compiling gains over eager training on a CPU, as measured on the ladder's small models (docs/log.md)
COMPILE_GAIN = 1.6
#: the share of numbers among a text's words from which each digit is a token: prose has about 2 %
DIGITS_ALONE = 0.1


@dataclass(frozen=True)
class Machine:
    """What was measured: peaks in FLOP/s, and FLOP/s that eager training of a small decoder reaches."""

    device: str
    threads: int
    peak_fp32: float
    peak_bf16: float
    eager_flops: float

    @property
    def dtype(self) -> str:
        """bf16 where the processor has it; where that cannot be asked, where its products are at least half as fast
        again. A measurement beside other work could say otherwise, and equal calls would not give equal weights."""
        known = runtime.fast_bf16() if self.device == "cpu" else None
        return "bf16" if (self.peak_bf16 > 1.5 * self.peak_fp32 if known is None else known) else "fp32"

    @property
    def peak(self) -> float:
        """The peak of the dtype that training uses."""
        return self.peak_bf16 if self.dtype == "bf16" else self.peak_fp32


def measure_machine(training: bool = True) -> Machine:
    """Two matrix-product peaks and, with ``training``, a few eager steps: about two seconds on two cores."""
    fp32, bf16 = runtime.gemm_peak(torch.float32, 0.15), runtime.gemm_peak(torch.bfloat16, 0.15)
    if not training:
        return Machine(runtime.device().type, runtime.threads(), fp32, bf16, 0.0)
    config = ModelConfig.modern(vocabulary_size=2048, width=PROBE_WIDTH, layers=2, context=256)
    model = Decoder(config)
    tokens = np.arange(20_000, dtype=np.uint16) % 2048
    dtype = Machine(runtime.device().type, runtime.threads(), fp32, bf16, 0.0).dtype
    plan = TrainPlan(steps=5, batch=8, time=256, dtype=dtype, compile=False)
    where = runtime.device()
    result = train(model.to(where), Windows(tokens, 256, 8), next_token_loss, plan)
    flops = result.tokens_per_second * model.flops_per_token(256)
    return Machine(where.type, runtime.threads(), fp32, bf16, flops)


def vocabulary_for(characters: int) -> tuple[int, str]:
    """Vocabulary size and why: every token must be seen often enough to be learned."""
    for limit, size in ((400_000, 512), (1_500_000, 1024), (3_500_000, 2048), (50_000_000, 4096), (400_000_000, 8192)):
        if characters < limit:
            return (
                size,
                f"{characters:,} characters show each of {size:,} tokens about {characters // (4 * size):,} times",
            )
    return 16_384, "a large corpus can fill a large vocabulary"


def pattern_for(texts: Iterable[str]) -> tuple[str, str]:
    """Where the tokenizer cuts, and why: digits stand alone where texts are full of numbers, since sums are learned
    place by place (Singh & Strouse 2024); else up to three stay together."""
    numbers = words = 0
    for text in texts:
        found = re.findall(r"(\d+)|[^\W\d_]+", text)
        words, numbers = words + len(found), numbers + sum(map(bool, found))
    share = numbers / max(1, words)
    if share >= DIGITS_ALONE:
        return "digits", f"{share:.0%} of the words are numbers: each digit is a token of its own"
    return "gpt4", ""


def predicted_loss(parameters: float, tokens: float, unique: float) -> float:
    """Hoffmann et al. 2022: E + A/N^0.34 + B/D^0.28, where D counts repeated tokens less and less (Muennighoff et al.
    2023, R* = 15.4). Used to compare sizes, not as a forecast: the constants were fitted on far larger models."""
    epochs = tokens / unique
    seen = tokens if epochs <= 1 else unique * (1 + 15.4 * (1 - math.exp(-(epochs - 1) / 15.4)))
    return 1.69 + 406.4 / parameters**0.34 + 410.7 / seen**0.28


def shape_of(shape: str, vocabulary: int, layers: int, width: int, context: int) -> ModelConfig:
    """The configuration of one rung of the ladder."""
    heads = width // (64 if width >= 256 else 32)
    if shape == "classic":
        return ModelConfig.classic(vocabulary_size=vocabulary, width=width, layers=layers, context=context, heads=heads)
    return ModelConfig.modern(vocabulary_size=vocabulary, width=width, layers=layers, context=context, heads=heads)


def utilisation(width: int) -> float:
    """How much of the FLOP/s that a 256-wide model reaches a model of another width does: small matrices keep a
    processor waiting. Fitted to widths 192 to 320 on two cores (docs/log.md)."""
    return float(min(1.4, (width / PROBE_WIDTH) ** 0.6))


def choose_model(
    shape: str, vocabulary: int, unique_tokens: int, seconds: float, flops: float, context: int
) -> tuple[ModelConfig, str]:
    """The rung whose predicted loss after ``seconds`` at ``flops`` FLOP/s is lowest, and why."""
    best: tuple[float, ModelConfig, float] | None = None
    for layers, width in LADDER:
        config = shape_of(shape, vocabulary, layers, width, context)
        counts = parameters_count(config)
        inside = counts["total"] - counts["embedding"] - counts["position"] - counts["head"]
        if best is not None and inside > PARAMETERS_PER_TOKEN * unique_tokens:
            break  # it would learn the corpus by heart
        speed = flops * utilisation(width) / flops_per_token(config, context)
        tokens = min(MOST_PASSES * unique_tokens, seconds * speed)
        loss = predicted_loss(inside, tokens, unique_tokens)
        if best is None or loss < best[0]:
            best = (loss, config, tokens)
    assert best is not None
    _, config, tokens = best
    return config, (
        f"{config.layers} layers of {config.width}: of {len(LADDER)} sizes the lowest predicted loss for about "
        f"{tokens / 1e6:.1f} M tokens in {seconds:.0f} s ({tokens / unique_tokens:.1f} times the corpus)"
    )


def compile_seconds(config: ModelConfig, plan: TrainPlan) -> float:
    """What compiling this step will cost: nothing if the library is on disk, else what the last one took here."""
    model = Decoder(config)
    model.compute_dtype = torch.bfloat16 if plan.dtype == "bf16" else None
    ids_BT = torch.zeros(plan.batch, plan.time, dtype=torch.int64)
    if GradientStep(model, next_token_loss, True, Progress()).is_compiled(ids_BT, ids_BT):
        return 0.0
    file = home() / "compiled" / "seconds.json"
    return float(read_json(file).get("last", COMPILE_COLD)) if file.is_file() else COMPILE_COLD


def measure_training(config: ModelConfig, plan: TrainPlan, seed: int) -> tuple[float, float, bool]:
    """Tokens/s of this very step, the seconds its compiling took, and whether it is compiled: from a few steps on a
    throw-away model."""
    began = time.perf_counter()
    model = Decoder(config).to(runtime.device())
    tokens = (
        np.random.default_rng(seed).integers(0, config.vocabulary_size, 4 * plan.batch * plan.time).astype(np.uint32)
    )
    trial = TrainPlan(**{**asdict(plan), "steps": 5, "checkpoint_every": 0, "evaluate_every": 0, "sample_every": 0})
    result = train(model, Windows(tokens, plan.time, plan.batch), next_token_loss, trial)
    compiling = max(0.0, time.perf_counter() - began - result.seconds)
    if result.compiled and compiling > 5:
        write_json(subfolder("compiled") / "seconds.json", {"last": round(compiling, 1)})
    return result.tokens_per_second, compiling, result.compiled


def tokens_per_step(total: float, context: int) -> int:
    """Tokens in one optimizer step: about 2,500 steps in all, in powers of two between 2,048 and 65,536."""
    ideal = 2 ** round(math.log2(max(1.0, total / 2500)))
    return max(4 * context, min(65_536, max(2048, ideal)))


def plan_run(
    *, minutes: float, elapsed: float, shape: str, vocabulary: int, unique_tokens: int, machine: Machine, seed: int,
    note: Callable[[str], None], sft_share: float = SFT_SHARE,
) -> dict[str, Any]:  # fmt: skip
    """Everything about both stages, as plain JSON: ``model``, ``base``, ``sft``, ``machine``, ``reasons``.

    ``elapsed`` seconds of the budget are gone already. Raises :class:`GlaswerkError` if nothing is left to train in.
    """
    reasons: list[str] = []

    def say(line: str) -> None:
        reasons.append(line)
        note(line)

    left = minutes * 60 * (1 - RESERVE) - elapsed
    say(
        f"machine: {machine.device}, {machine.threads} threads, {machine.peak_bf16 / 1e9:,.0f} GFLOP/s bf16, "
        f"{machine.peak_fp32 / 1e9:,.0f} fp32, so training computes in {machine.dtype}"
    )
    if left < 5:
        needed = math.ceil((elapsed + 12) / (60 * (1 - RESERVE)) * 10) / 10
        raise GlaswerkError(
            f"--minutes {minutes:g} is too little: getting ready took {elapsed:.0f} s; "
            f"--minutes {needed:g} would leave time to train"
        )
    context = 256 if machine.device == "cpu" else 512
    context = min(context, context_for(unique_tokens))
    can_compile = runtime.can_compile()
    # compile, or spend its seconds training: decided with the measured eager speed
    guess, _ = choose_model(shape, vocabulary, unique_tokens, left, machine.eager_flops, context)
    guessed = left * machine.eager_flops * utilisation(guess.width) / flops_per_token(guess, context)
    step = tokens_per_step(guessed, context)
    cost = compile_seconds(guess, TrainPlan(steps=1, batch=step // context, time=context, dtype=machine.dtype))
    use_compile = can_compile and (left - cost) * COMPILE_GAIN > left
    flops = machine.eager_flops * (COMPILE_GAIN if use_compile else 1.0)
    training = left - (cost if use_compile else 0.0)
    config, why = choose_model(shape, vocabulary, unique_tokens, training * (1 - sft_share), flops, context)
    if use_compile:  # decided for a guess; the model that was chosen may be another, with a library there or not
        trial = TrainPlan(steps=1, batch=step // context, time=context, dtype=machine.dtype)
        cost = compile_seconds(config, trial)
        use_compile = (left - cost) * COMPILE_GAIN > left
    say(why)
    cost_of_token = flops_per_token(config, context)
    step = tokens_per_step(training * flops * utilisation(config.width) / cost_of_token, context)
    draft = TrainPlan(
        steps=1, batch=step // context, time=context, dtype=machine.dtype, compile=use_compile, warmup=10, decay=0.6
    )
    began = time.perf_counter()
    speed, compiling, compiled = measure_training(config, draft, seed)
    training = left - (time.perf_counter() - began)
    if training < LEAST_SECONDS:  # a busy machine: whoever waited so long shall have a model
        say(f"getting ready took nearly all of it; training takes {LEAST_SECONDS:.0f} s all the same")
        training = LEAST_SECONDS
    if compiled:
        gain = speed * cost_of_token / (machine.eager_flops * utilisation(config.width))
        say(f"compiled, which took {compiling:.0f} s: {gain:.1f} times the speed expected uncompiled")
    elif use_compile:  # and failed: the stages need not try again
        draft = replace(draft, compile=False)
        say(f"not compiled: compiling failed here, see {subfolder('compiled')}")
    else:
        say("not compiled: " + ("the seconds are better spent training" if can_compile else runtime.why_not_compiled()))
    say(f"measured {speed:,.0f} tokens/s, {speed * cost_of_token / machine.peak:.0%} of the measured peak")
    base = base_plan(
        draft, max(4, int(training * (1 - sft_share) * speed / step)), checkpoint_every=int(20 * speed / step)
    )
    stages = {"base": asdict(base)}
    if sft_share:
        stages["sft"] = sft_plan(stages["base"], max(4, int(training * sft_share * speed / step)))
    for name, plan in stages.items():
        say(
            f"{name}: {plan['steps']:,} steps of {plan['batch']} x {plan['time']}, {plan['steps'] * step / 1e6:.2f} M "
            f"tokens; rates {plan['matrix_rate']:g} (Muon) and {plan['other_rate']:g} (AdamW)"
        )
    return {
        "model": asdict(config),
        "machine": asdict(machine),
        "tokens_per_second": speed,
        "reasons": reasons,
        **stages,
    }


def base_plan(draft: TrainPlan, steps: int, checkpoint_every: int) -> TrainPlan:
    """The base stage: everything that follows from its number of steps."""
    return replace(
        draft, steps=steps, warmup=max(1, min(10, steps // 20)), checkpoint_every=max(1, checkpoint_every),
        sample_every=max(1, steps // 3),
    )  # fmt: skip


def sft_plan(base: dict[str, Any], steps: int) -> dict[str, Any]:
    """The assistant stage after a base stage: the same step (and so the same compiled graph), at rates higher than the
    base's. Small models trained briefly are far from any optimum that lower rates would protect (docs/log.md)."""
    rates = {"matrix_rate": 1.5 * base["matrix_rate"], "other_rate": 2 * base["other_rate"], "decay": 0.8}
    return {**base, **rates, "steps": steps, "warmup": max(1, min(10, steps // 20)), "sample_every": 0}


def two_passes(base: dict[str, Any], packed: dict[str, Any]) -> int:
    """Steps for about two passes over the conversations, which hold about as many tokens as the training split."""
    return max(4, 2 * packed["train"]["tokens"] // (base["batch"] * base["time"] * base["accumulate"]))


def fixed_plan(
    *, steps: int, shape: str, vocabulary: int, layers: int, width: int, unique_tokens: int, machine: Machine
) -> dict[str, Any]:
    """A plan that depends on no clock: the sizes are given, compiling is chosen where there is a compiler."""
    context = min(256, context_for(unique_tokens))
    config = shape_of(shape, vocabulary, layers, width, context)
    draft = TrainPlan(
        steps=1, batch=max(1, 4096 // context), time=context, dtype=machine.dtype, compile=runtime.can_compile()
    )
    base = base_plan(draft, steps, checkpoint_every=100)
    return {
        "model": asdict(config),
        "machine": asdict(machine),
        "reasons": ["sizes and steps were given"],
        "base": asdict(base),
    }


def context_for(unique_tokens: int) -> int:
    """The longest power of two of which the training split holds at least 40 windows, 32 at least."""
    return 2 ** int(math.log2(max(32, unique_tokens // 40)))
