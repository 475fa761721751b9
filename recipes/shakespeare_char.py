"""The fastest way to the loss of nanoGPT's CPU run: characters, at most 0.81 M parameters, context 64, two cores.

Every choice is written out; docs/log.md says what was tried instead. Trains from process start to saved weights:

    python recipes/shakespeare_char.py --data input.txt --out runs/shakespeare-char
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.progress import Progress
from glaswerk.tokenizer.characters import CharacterTokenizer
from glaswerk.train import TrainPlan, Windows, next_token_loss, train

PLAN = TrainPlan(
    steps=170, batch=32, time=64, matrix_rate=0.025, other_rate=0.015, warmup=3, decay=0.7, compile_optimizer=True
)


class Lines(Progress):
    """Prints notes: the only thing worth a line in a run of seconds."""

    def note(self, line: str) -> None:
        print(line, flush=True)


def main() -> None:
    """Train on the first 90 % of the text, as nanoGPT splits it, and save a Hugging Face folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    text = arguments.data.read_text(encoding="utf-8")
    tokenizer = CharacterTokenizer.train([text])
    tokens = np.array(tokenizer.encode(text), dtype=np.uint16)
    torch.manual_seed(0)
    config = ModelConfig.modern(
        vocabulary_size=tokenizer.vocabulary_size, width=128, layers=4, heads=4, mlp_width=256, context=64
    )
    model = Decoder(config)
    data = Windows(tokens[: int(0.9 * len(tokens))], PLAN.time, PLAN.batch)
    result = train(model, data, next_token_loss, PLAN, progress=Lines())
    save_model(arguments.out, model, tokenizer)
    print(f"{model.parameters_count()['total']:,} parameters, {result.tokens:,} tokens in {result.seconds:.1f} s")


if __name__ == "__main__":
    main()
