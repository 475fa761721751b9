"""Run by test_lora_training.py in a fresh process: adapters trained by compiled steps become what plain steps make of
them, over a plain base or (with the word nf4) over one in four bits.

Both runs are four steps of AdamW in fp32. Adapters begin with B = 0, where AdamW's first step is as large as any
however small the gradient: so they begin with something to say.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import torch

from glaswerk.align.batches import Answers
from glaswerk.align.losses import answer_loss
from glaswerk.home import subfolder
from glaswerk.model import Decoder, ModelConfig, lora, nf4
from glaswerk.train import TrainPlan, train
from glaswerk.train.data import Conversations

CONFIG = ModelConfig.modern(vocabulary_size=48, width=32, layers=1, heads=2, context=16, mlp_width=64)
PLAN = TrainPlan(steps=4, batch=4, time=16, muon=False, other_rate=1e-3, dtype="fp32", compile=False, warmup=1)


def adapted(quantized: bool = False) -> Decoder:
    """A random base, the same each time, with an adapter at every matrix."""
    model, generator = Decoder(CONFIG), torch.Generator().manual_seed(7)
    for value in model.parameters():
        value.data.normal_(0.0, 0.2, generator=generator)
    lora.attach(model, lora.LoRAConfig(4, 8.0))
    for pair in lora.pairs(model, "default"):
        pair.b.data.normal_(0.0, 0.2, generator=generator)
    if quantized:
        nf4.quantize_frozen(model)
    return model


def talks(steps: int) -> Answers:
    """Conversations of random tokens; of each, the second half is learned."""
    drawn = torch.randint(0, 48, (40, 11), generator=torch.Generator().manual_seed(1)).tolist()
    rows = [(ids[: 5 + n % 7], [0] * 3 + [1] * (2 + n % 7)) for n, ids in enumerate(drawn)]
    return Answers(Conversations(rows, 16, 4, 0, 0), steps)


def tuned(plan: TrainPlan, quantized: bool = False) -> tuple[Decoder, bool]:
    """The model after its training, and whether that was compiled."""
    model = adapted(quantized)
    result = train(model, talks(plan.steps), answer_loss, plan)
    return model, result.compiled


def main(quantized: bool) -> None:
    plain, _ = tuned(PLAN, quantized)
    ours, compiled = tuned(replace(PLAN, compile=True), quantized)
    assert compiled, [file.read_text() for file in subfolder("compiled").glob("*-failed.txt")]
    every = (lora.pairs(model, "default") for model in (ours, plain, adapted(quantized)))
    for a, b, before in zip(*every, strict=True):
        for letter in ("a", "b"):
            found, wanted = getattr(a, letter), getattr(b, letter)
            moved = (wanted - getattr(before, letter)).abs().max()
            assert moved > 1e-3, "nothing was trained"
            torch.testing.assert_close(found, wanted, atol=0.01 * float(moved), rtol=0)
    print("equal")


if __name__ == "__main__":
    main("nf4" in sys.argv)
