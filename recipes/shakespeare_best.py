"""The lowest validation loss on tinyshakespeare's characters that a time budget reaches on two cores.

The sizes are written out; the number of steps follows from the speed that a few steps on a throw-away model show. The
clock starts with the process and counts compiling. Trains to saved weights:

    python recipes/shakespeare_best.py --data input.txt --minutes 10 --out runs/shakespeare-best
"""

from __future__ import annotations

import time

BEGAN = time.perf_counter()

import argparse  # noqa: E402 the clock starts before the imports
from dataclasses import replace  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402

from glaswerk.model import Decoder, ModelConfig  # noqa: E402
from glaswerk.model.weights import save_model  # noqa: E402
from glaswerk.progress import Progress  # noqa: E402
from glaswerk.tokenizer.characters import CharacterTokenizer  # noqa: E402
from glaswerk.train import TrainPlan, Windows, next_token_loss, train  # noqa: E402

PLAN = TrainPlan(
    steps=60, batch=8, time=256, matrix_rate=0.02, other_rate=0.01, weight_decay=0.1, warmup=20, decay=0.7
)  # fmt: skip
#: share of the budget kept for a machine that slows down
RESERVE = 0.06


class Lines(Progress):
    """Prints notes."""

    def note(self, line: str) -> None:
        print(line, flush=True)


def main() -> None:
    """Train on the first 90 % of the text and save a Hugging Face folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    arguments = parser.parse_args()
    text = arguments.data.read_text(encoding="utf-8")
    tokenizer = CharacterTokenizer.train([text])
    tokens = np.array(tokenizer.encode(text), dtype=np.uint16)
    torch.manual_seed(0)
    config = ModelConfig.modern(
        vocabulary_size=tokenizer.vocabulary_size, width=256, layers=4, heads=4, context=PLAN.time
    )
    data = Windows(tokens[: int(0.9 * len(tokens))], PLAN.time, PLAN.batch)
    trial = train(Decoder(config), data, next_token_loss, PLAN, progress=Lines())
    left = arguments.minutes * 60 * (1 - RESERVE) - (time.perf_counter() - BEGAN)
    plan = replace(PLAN, steps=max(50, int(left * trial.tokens_per_second / PLAN.tokens_per_step)))
    model = Decoder(config)
    print(f"{model.parameters_count()['total']:,} parameters, {plan.steps:,} steps planned", flush=True)
    result = train(model, data, next_token_loss, plan, progress=Lines())
    save_model(arguments.out, model, tokenizer)
    print(f"{result.tokens:,} tokens in {result.seconds:.0f} s; {time.perf_counter() - BEGAN:.0f} s in all")


if __name__ == "__main__":
    main()
