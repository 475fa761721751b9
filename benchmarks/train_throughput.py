"""Tokens per second of training one GPT-2 shape (6 layers, 6 heads, 384 wide, context 256, batch 16, 65
characters, 10.7 M parameters, no dropout): ours against nanoGPT's model and step, and against transformers'
Trainer.

Before anything is timed, the same weights must give the same loss in all three (fp32, 1e-3). Each peer runs
at the best of its settings, found here by trying them (fp32 or bf16 autocast, compiled or not). Compiling and
the first steps stand outside the clock for all. All three use AdamW; nanoGPT also clips gradients, as it always does.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.measure import ROOT, Clock, interleaved, machine, medians_of, nanogpt, nanogpt_model, peer, say, spread
from glaswerk import runtime
from glaswerk.errors import GlaswerkError
from glaswerk.model import Decoder, ModelConfig
from glaswerk.train import TrainPlan, Windows, next_token_loss, train

LAYERS, HEADS, WIDTH, CONTEXT, BATCH, VOCABULARY = 6, 6, 384, 256, 16, 65
#: steps that count, and steps before them that do not (compiling, caches)
STEPS, WARMUP, ROUNDS = 6, 2, 5
#: ours -> transformers' names of one block's matrices; transformers keeps them transposed
BLOCK = {
    "attention_norm": "ln_1",
    "attention.qkv": "attn.c_attn",
    "attention.output": "attn.c_proj",
    "mlp_norm": "ln_2",
    "mlp.up": "mlp.c_fc",
    "mlp.down": "mlp.c_proj",
}


def run() -> dict[str, Any]:
    """Check, choose each peer's best setting, then take turns."""
    peer("accelerate")
    transformers = peer("transformers")
    clone = nanogpt()
    module = nanogpt_model(clone)
    tokens = np.fromfile(clone / "data" / "shakespeare_char" / "train.bin", dtype=np.uint16)
    windows = Windows(tokens, CONTEXT, BATCH)
    torch.manual_seed(0)
    decoder = Decoder(config())
    losses = check(decoder, module, transformers, windows.batch(0))

    steps = {name: nanogpt_step(module, *setting) for name, setting in SETTINGS.items()}
    nano = best(steps, windows, "nanoGPT")
    trainer = best_trainer(transformers, windows)
    contestants = {
        "ours": ours_apart,
        nano[0]: lambda: paced(nano[1], windows),
        trainer[0]: lambda: trainer_speed(transformers, windows, *SETTINGS[trainer[1]]),
    }
    figures = interleaved(contestants, ROUNDS)
    medians = medians_of(figures)
    winner = max((name for name in medians if name != "ours"), key=lambda name: medians[name])
    here = machine()
    flops = medians["ours"] * decoder.flops_per_token(CONTEXT)
    return {
        "ours": medians["ours"],
        "peer": medians[winner],
        "peer_name": winner,
        "unit": "tokens/s",
        "ratio": medians["ours"] / medians[winner],
        "all": medians,
        "spread": {name: spread(values) for name, values in figures.items()},
        "share_of_bf16_peak": flops / (here["bf16_gflops"] * 1e9),
        "share_of_fp32_peak": flops / (here["fp32_gflops"] * 1e9),
        "parameters": sum(weight.numel() for weight in decoder.parameters()),
        "first_loss": losses,
        "machine": here,
    }


def config() -> ModelConfig:
    """The shape that all three train."""
    return ModelConfig.classic(vocabulary_size=VOCABULARY, width=WIDTH, layers=LAYERS, heads=HEADS, context=CONTEXT)


def ours_apart() -> float:
    """:func:`ours` in a process of its own: how it sets up memory must not help the peers, nor theirs hinder it."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.train_throughput"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise GlaswerkError(f"our side failed: {(done.stderr.strip() or 'it said nothing').splitlines()[-1]}")
    return float(done.stdout)


def ours() -> float:
    """Tokens/s of the library's own loop, as every verb uses it: bf16 where it is faster, compiled where it
    can be.
    """
    tokens = np.fromfile(nanogpt() / "data" / "shakespeare_char" / "train.bin", dtype=np.uint16)
    torch.manual_seed(0)
    dtype = "bf16" if runtime.fast_dtype() == torch.bfloat16 else "fp32"
    plan = TrainPlan(
        steps=STEPS + WARMUP,
        batch=BATCH,
        time=CONTEXT,
        dtype=dtype,
        muon=False,
        weight_decay=0.1,
        compile_optimizer=True,
    )
    clock = Clock()
    train(Decoder(config()), Windows(tokens, CONTEXT, BATCH), next_token_loss, plan, progress=clock)
    return clock.rate(WARMUP, BATCH * CONTEXT)


# ---------------------------------------------------------------------------------------------- the peers

#: name -> (bf16 autocast, torch.compile)
SETTINGS = {
    "fp32": (False, False),
    "bf16": (True, False),
    "fp32, compiled": (False, True),
    "bf16, compiled": (True, True),
}


def nanogpt_model_of_this_shape(module: Any) -> Any:
    """nanoGPT's GPT with biases, as GPT-2 has them."""
    with contextlib.redirect_stdout(io.StringIO()):
        shape = module.GPTConfig(CONTEXT, VOCABULARY, LAYERS, HEADS, WIDTH, 0.0, True)
        return module.GPT(shape)


def nanogpt_step(module: Any, bf16: bool, compiled: bool) -> Callable[[tuple[Tensor, Tensor]], None]:
    """nanoGPT's training step with its optimizer and its clipping, at one setting."""
    model = nanogpt_model_of_this_shape(module)
    with contextlib.redirect_stdout(io.StringIO()):
        optimizer = model.configure_optimizers(0.1, 1e-3, (0.9, 0.99), "cpu")
    model.train()
    forward = torch.compile(model) if compiled else model

    def step(batch: tuple[Tensor, Tensor]) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            _, loss = forward(*batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()

    return step


def paced(step: Callable[[tuple[Tensor, Tensor]], None], windows: Windows) -> float:
    """Tokens/s of a step function."""
    clock = Clock()
    for number in range(STEPS + WARMUP):
        step(windows.batch(number))
        clock.advance(1)
    return clock.rate(WARMUP, BATCH * CONTEXT)


def best(
    steps: dict[str, Callable[[tuple[Tensor, Tensor]], None]], windows: Windows, who: str
) -> tuple[str, Callable[[tuple[Tensor, Tensor]], None]]:
    """The fastest of several settings; one that cannot run here is named and left out."""
    speeds: dict[str, float] = {}
    for name, step in steps.items():
        try:
            speeds[name] = paced(step, windows)
        except Exception as error:  # a peer's setting may fail in any way; the others still count
            say(f"{who} ({name}) cannot run here: {type(error).__name__}")
            continue
        say(f"trying {who} ({name}): {speeds[name]:,.0f} tokens/s")
    if not speeds:
        raise GlaswerkError(f"{who} runs at no setting here: nothing to compare with")
    name = max(speeds, key=lambda setting: speeds[setting])
    return f"{who} ({name})", steps[name]


def trainer_model(transformers: Any) -> Any:
    """transformers' GPT-2 of the same shape; ``gelu_pytorch_tanh`` is gelu_new, only faster."""
    shape = transformers.GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=CONTEXT,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        use_cache=False,
        bos_token_id=0,
        eos_token_id=0,
    )
    return transformers.GPT2LMHeadModel(shape)


def trainer_speed(transformers: Any, windows: Windows, bf16: bool, compiled: bool) -> float:
    """Tokens/s of transformers' Trainer, from step to step as its own callback sees them."""
    clock = Clock()

    class Watch(transformers.TrainerCallback):  # type: ignore[misc, name-defined]
        def on_step_end(self, *arguments: Any, **more: Any) -> None:
            clock.advance(1)

    count = STEPS + WARMUP
    rows = [{"input_ids": row, "labels": row} for n in range(count) for row in windows.batch(n)[0]]
    with tempfile.TemporaryDirectory(prefix="glaswerk-trainer-") as scratch, quiet(transformers):
        arguments = transformers.TrainingArguments(
            output_dir=scratch,
            use_cpu=True,
            bf16=bf16,
            torch_compile=compiled,
            per_device_train_batch_size=BATCH,
            max_steps=count,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            dataloader_num_workers=0,
            dataloader_pin_memory=False,
        )
        trainer = transformers.Trainer(
            model=trainer_model(transformers), args=arguments, train_dataset=rows, callbacks=[Watch()]
        )
        trainer.train()
    return clock.rate(WARMUP, BATCH * CONTEXT)


def best_trainer(transformers: Any, windows: Windows) -> tuple[str, str]:
    """The Trainer's fastest setting: its name in the result, its key in SETTINGS."""
    speeds: dict[str, float] = {}
    for name, setting in SETTINGS.items():
        try:
            speeds[name] = trainer_speed(transformers, windows, *setting)
        except Exception as error:  # a peer's setting may fail in any way; the others still count
            say(f"transformers' Trainer ({name}) cannot run here: {type(error).__name__}: {str(error)[:80]}")
            continue
        say(f"trying transformers' Trainer ({name}): {speeds[name]:,.0f} tokens/s")
    if not speeds:
        raise GlaswerkError("transformers' Trainer runs at no setting here: nothing to compare with")
    name = max(speeds, key=lambda setting: speeds[setting])
    return f"transformers' Trainer ({name})", name


@contextlib.contextmanager
def quiet(transformers: Any) -> Any:
    """Without the Trainer's own report on stdout."""
    transformers.logging.set_verbosity_error()
    with contextlib.redirect_stdout(io.StringIO()):
        yield


# ---------------------------------------------------------------------------------------------- the check


def check(decoder: Decoder, module: Any, transformers: Any, batch: tuple[Tensor, Tensor]) -> dict[str, float]:
    """Each one's loss on a batch with the same weights; raises :class:`GlaswerkError` where they differ."""
    nano, other = nanogpt_model_of_this_shape(module).eval(), trainer_model(transformers).eval()
    names = {"embedding": "transformer.wte.weight", "position": "transformer.wpe.weight"}
    names |= {f"norm.{part}": f"transformer.ln_f.{part}" for part in ("weight", "bias")}
    for layer in range(LAYERS):
        for mine, theirs in BLOCK.items():
            for part in ("weight", "bias"):
                names[f"blocks.{layer}.{mine}.{part}"] = f"transformer.h.{layer}.{theirs}.{part}"
    weights = decoder.state_dict()
    if set(weights) != set(names):
        raise GlaswerkError(f"the shapes differ: {sorted(set(weights) ^ set(names))[:4]}")
    with torch.no_grad():
        for mine, theirs in names.items():
            nano.get_parameter(theirs).copy_(weights[mine])
            turned = weights[mine].T if ".c_" in theirs and theirs.endswith("weight") else weights[mine]
            other.get_parameter(theirs).copy_(turned)
        ids_BT, targets_BT = batch
        losses = {
            "ours": float(next_token_loss(decoder, ids_BT, targets_BT)),
            "nanoGPT": float(nano(ids_BT, targets_BT)[1]),
            "transformers": float(
                torch.nn.functional.cross_entropy(other(ids_BT).logits.flatten(0, 1), targets_BT.flatten())
            ),
        }
    if max(losses.values()) - min(losses.values()) > 1e-3:
        raise GlaswerkError(f"the same weights do not give the same loss ({losses}): nothing is timed")
    return losses


if __name__ == "__main__":
    print(ours())
