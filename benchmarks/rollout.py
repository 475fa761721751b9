"""Tokens per second of rollouts, what GRPO learns from: ours against TRL's GRPO trainer with transformers, 8 replies to
each prompt, drawn at temperature 1 with nothing cut off.

Timed on both sides is what a round does before it learns: prompts as tokens become replies, these become text, and the
log-probabilities of every token of a reply are computed under the policy and under the reference, 32 replies at a time.
Ours: ``align.rollout.roll_out`` and ``log_probs``, fp32 weights computing in bf16, as ``glaswerk align`` does. TRL's:
its trainer's ``_generate_and_score_completions``, which also tokenizes the prompts and asks a reward function that
counts letters. (``num_iterations=2`` makes it compute the policy's log-probabilities there; with one pass its trainer
leaves them to the step.) It takes the quickest of its settings, measured first on a quarter of the first case.

Cases: a 10 M model of ours with random weights, 128 replies of 64 tokens; the same where one id in 24 ends a reply, so
that lengths differ; SmolLM2-135M, 16 replies of 32 tokens. Before anything is timed, both sides must write the
same greedy tokens and give one rollout the same log-probabilities: in fp32 to 1e-3, in bf16 to 0.05 in the mean.
"""

from __future__ import annotations

import copy
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import smollm2
from benchmarks.bpe_train import real_texts
from benchmarks.measure import Worker, interleaved, machine, peer, say, spread
from benchmarks.own_model_decode import made
from glaswerk import generate, runtime
from glaswerk.align.rollout import Rollouts, log_probs, roll_out
from glaswerk.errors import GlaswerkError
from glaswerk.generate import SamplingOptions
from glaswerk.model.weights import save_model
from glaswerk.opened import OpenedModel, load
from glaswerk.tokenizer import train_bpe

GROUP, TOGETHER, ROUNDS, LETTERS = 8, 32, 3, 400
#: every so many ids one that ends a reply, where replies end on their own
ENDS_EVERY = 24
#: tokens, prompts and replies of the check
SAME, CHECKED = 24, (3, 4)


@dataclass(frozen=True)
class Case:
    """Which model's folder, how many prompts, the longest reply, and whether end tokens end one."""

    model: str
    prompts: int
    tokens: int
    ends: bool = False


CASES = {
    "own 10 M": Case("own", 16, 64),
    "own 10 M, replies end": Case("ending", 16, 64, True),
    "SmolLM2-135M": Case("smollm2", 2, 32),
}
#: what TRL's settings are chosen by
TRY = "a try"
ALL = {**CASES, TRY: Case("own", 4, 64)}
BF16 = "bf16 weights"
#: TRL's settings: dtype of the weights, mixed precision in bf16, cache, whether the allocator keeps what is freed
SETTINGS: dict[str, tuple[str, bool, str | None, bool]] = {
    "as it is installed: fp32 weights, computing in bf16": ("float32", True, None, False),
    "fp32": ("float32", False, None, False),
    BF16: ("bfloat16", True, None, False),
    f"{BF16}, static cache": ("bfloat16", True, "static", False),
    f"{BF16}, memory kept": ("bfloat16", True, None, True),
}


def run() -> dict[str, Any]:
    """Check, choose TRL's setting, take turns."""
    for name in ("transformers", "trl"):
        peer(name)
    with tempfile.TemporaryDirectory(prefix="glaswerk-rollout-") as scratch:
        folder = Path(scratch)
        write_models(folder)
        # where replies end, the weights are those of the first case
        checked = {name: check(folder, case) for name, case in CASES.items() if not case.ends}
        first = next(iter(CASES))
        tries = {setting: tried(folder, f"{TRY} | {setting}") for setting in SETTINGS}
        best = max(tries, key=tries.__getitem__)
        say(f"TRL's quickest setting: {best}")
        figures = {}
        for case in CASES:
            workers = {side: Worker("benchmarks.rollout", f"{case} | {side}", folder) for side in ("ours", best)}
            try:
                for worker in workers.values():
                    worker.ask()  # the first round is not counted
                figures[case] = interleaved({name: worker.ask for name, worker in workers.items()}, ROUNDS)
            finally:
                for worker in workers.values():
                    worker.close()
    spreads = {case: {side: spread(values) for side, values in found.items()} for case, found in figures.items()}
    medians = {case: {side: float(found["median"]) for side, found in each.items()} for case, each in spreads.items()}
    return {
        "ours": medians[first]["ours"],
        "peer": medians[first][best],
        "peer_name": f"TRL's GRPO trainer, {best}",
        "unit": "tokens/s",
        "ratio": medians[first]["ours"] / medians[first][best],
        "ratios": {case: each["ours"] / each[best] for case, each in medians.items()},
        "tries": tries,
        "checked": checked,
        "all": spreads,
        "machine": machine(),
    }


def tried(folder: Path, name: str) -> float:
    """A setting's second round; 0 where it cannot run here."""
    worker = Worker("benchmarks.rollout", name, folder)
    try:
        worker.ask()
        rate = worker.ask()
        say(f"{name}: {rate:,.0f} tokens/s")
        return rate
    except GlaswerkError:
        say(f"{name}: cannot run here")
        return 0.0
    finally:
        worker.close()


def write_models(folder: Path) -> None:
    """The models as folders that transformers opens, and the prompts: beginnings of real texts."""
    tokenizer = train_bpe(real_texts(), 4096)
    model = made(tokenizer.vocabulary_size)
    save_model(folder / "own", model, tokenizer)
    save_model(folder / "ending", model, tokenizer)
    told = folder / "ending" / "generation_config.json"
    said = json.loads(told.read_text(encoding="utf-8"))
    ends = sorted({tokenizer.end_id, *range(0, tokenizer.vocabulary_size, ENDS_EVERY)})
    told.write_text(json.dumps({**said, "eos_token_id": ends}), encoding="utf-8")
    opened = smollm2.opened("fp32")
    save_model(folder / "smollm2", opened.model, opened.tokenizer)
    texts = islice((text for text in real_texts() if len(text) > 2 * LETTERS), max(c.prompts for c in CASES.values()))
    (folder / "prompts.json").write_text(json.dumps([text[:LETTERS] for text in texts]), encoding="utf-8")


def prompts(folder: Path, count: int) -> list[str]:
    """The first of the prompts."""
    return list(json.loads((folder / "prompts.json").read_text(encoding="utf-8"))[:count])


# ---------------------------------------------------------------------------------------------- the two sides
def ours(folder: Path, case: Case) -> Callable[[], float]:
    """A round of ours."""
    runtime.keep_memory()  # as learning does
    opened = load(folder / case.model, "fp32")
    reference = copy.deepcopy(opened.model)
    opened.model.compute_dtype = reference.compute_dtype = torch.bfloat16
    ends = end_ids(folder, case)
    asked = [opened.tokenizer.encode(text) for text in prompts(folder, case.prompts)]
    seeds = iter(range(0, 10**9, case.prompts * GROUP))

    def a_round() -> float:
        began = time.perf_counter()
        rollouts = rolled(opened, asked, case, ends, next(seeds))
        log_probs(reference, rollouts.ids_BT, rollouts.columns_BN, rollouts.targets_BN)
        return int(rollouts.mask_BN.sum()) / (time.perf_counter() - began)

    return a_round


def end_ids(folder: Path, case: Case) -> tuple[int, ...]:
    """What ends a reply, as the model's folder says it to both sides."""
    told = json.loads((folder / case.model / "generation_config.json").read_text(encoding="utf-8"))
    return tuple(told["eos_token_id"]) if case.ends else ()


def rolled(
    opened: OpenedModel, asked: list[list[int]], case: Case, ends: tuple[int, ...], seed: int, group: int = GROUP
) -> Rollouts:
    """Rollouts of a case."""
    return roll_out(opened.model, opened.tokenizer, asked, group, max_tokens=case.tokens, seed=seed, end_ids=ends)


def trainer(folder: Path, case: Case, setting: str) -> Any:
    """TRL's trainer as its documentation makes one, for rollouts of this case."""
    trl, datasets, transformers = peer("trl"), peer("datasets"), peer("transformers")
    dtype, mixed, cache, _ = SETTINGS[setting]
    words = transformers.AutoTokenizer.from_pretrained(folder / case.model)
    words.pad_token = words.pad_token or words.eos_token
    config = trl.GRPOConfig(
        output_dir=str(folder / "trl"), use_cpu=True, bf16=mixed, report_to="none", save_strategy="no",
        per_device_train_batch_size=TOGETHER, steps_per_generation=max(1, case.prompts * GROUP // TOGETHER),
        num_generations=GROUP, num_iterations=2, max_completion_length=case.tokens, beta=0.04, temperature=1.0,
        gradient_checkpointing=False, model_init_kwargs={"dtype": dtype}, cache_implementation=cache,
        generation_kwargs=None if case.ends else {"eos_token_id": None},
    )  # fmt: skip
    return trl.GRPOTrainer(
        model=str(folder / case.model),
        reward_funcs=letters,
        args=config,
        train_dataset=datasets.Dataset.from_list([{"prompt": text} for text in prompts(folder, case.prompts)]),
        processing_class=words,
    )


def letters(completions: list[str], **_: Any) -> list[float]:
    """A reward that costs nothing."""
    return [float(len(text)) for text in completions]


def theirs(folder: Path, case: Case, setting: str) -> Callable[[], float]:
    """A round of TRL's."""
    if SETTINGS[setting][3]:
        runtime.keep_memory()
    made = trainer(folder, case, setting)
    made.model.train()
    asked = [{"prompt": text} for text in prompts(folder, case.prompts) for _ in range(GROUP)]

    def a_round() -> float:
        began = time.perf_counter()
        found = made._generate_and_score_completions(asked)
        seconds = time.perf_counter() - began
        if not {"old_per_token_logps", "ref_per_token_logps"} <= found.keys():
            raise GlaswerkError("TRL's trainer computed no log-probabilities: it is not what is to be timed")
        # without an end token every reply is written and computed to its full length, whatever is masked afterwards
        tokens = int(found["completion_mask"].sum()) if case.ends else len(asked) * case.tokens
        return tokens / seconds

    return a_round


def check(folder: Path, case: Case) -> dict[str, float]:
    """How far the two sides' log-probabilities of one rollout are apart; raises :class:`GlaswerkError` where that is
    too far, or where they read prompts or write greedily in different ways."""
    apart = {}
    texts = prompts(folder, CHECKED[0])
    for dtype, setting in (("fp32", "fp32"), ("bf16", BF16)):
        opened, other = load(folder / case.model, "fp32"), trainer(folder, case, setting)
        asked = [opened.tokenizer.encode(text) for text in texts]
        if other._tokenize_prompts(texts)[0] != asked:
            raise GlaswerkError(f"{case.model}: the prompts are different tokens on the two sides: nothing is timed")
        if dtype == "fp32":
            same(opened, other.model, asked)
        opened.model.compute_dtype = torch.bfloat16 if dtype == "bf16" else None
        rollouts = rolled(opened, asked, case, end_ids(folder, case), seed=0, group=CHECKED[1])
        far = (their_log_probs(other, rollouts) - rollouts.log_probs_BN).abs()[rollouts.mask_BN]
        value, most = (float(far.max()), 1e-3) if dtype == "fp32" else (float(far.mean()), 0.05)
        say(f"{case.model}, {dtype}: log-probabilities are {value:.1e} apart")
        if not value <= most:
            raise GlaswerkError(f"{case.model}, {dtype}: log-probabilities are {value:.1e} apart: nothing is timed")
        apart[dtype] = value
    return apart


def same(opened: OpenedModel, network: Any, asked: list[list[int]]) -> None:
    """Raise unless both write the same greedy tokens in fp32."""
    mine = generate.batch(opened.model, opened.tokenizer, asked, SamplingOptions(max_tokens=SAME), end_ids=())
    for ids, found in zip(asked, mine, strict=True):
        given = torch.tensor([ids])
        made = network.generate(
            given, attention_mask=torch.ones_like(given), max_new_tokens=SAME, do_sample=False, eos_token_id=None,
            pad_token_id=0,
        )  # fmt: skip
        if made[0, len(ids) :].tolist() != found.ids:
            raise GlaswerkError("our model and transformers write different tokens in fp32: nothing is timed")


@torch.no_grad()
def their_log_probs(other: Any, rollouts: Rollouts) -> Tensor:
    """TRL's log-probabilities of our rollouts ``[B, N]``, with prompts on the left and replies on the right as it has
    them."""
    mask_BN, begin_B = rollouts.mask_BN, rollouts.columns_BN[:, 0] + 1
    longest = int(begin_B.max())
    ids_BT = torch.zeros(len(begin_B), longest + mask_BN.shape[1], dtype=torch.long)
    seen_BT = torch.zeros_like(ids_BT)
    for row, begin in enumerate(begin_B.tolist()):
        ids_BT[row, longest - begin : longest] = rollouts.ids_BT[row, :begin]
        seen_BT[row, longest - begin : longest] = 1
    ids_BT[:, longest:], seen_BT[:, longest:] = rollouts.targets_BN.clamp_min(0), mask_BN
    found: Tensor = other._get_per_token_logps_and_entropies(other.model, ids_BT, seen_BT, mask_BN.shape[1])[0]
    return found


def main(name: str, folder: Path) -> None:
    """What a worker does: a round for every line it is sent. Only figures go to its stdout."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    case, side = name.split(" | ")
    a_round = partial(ours, folder) if side == "ours" else partial(theirs, folder, setting=side)
    call = a_round(ALL[case])
    for _ in sys.stdin:
        print(call(), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
