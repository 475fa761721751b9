"""A training process to be killed: a checkpoint after every step, for thousands of steps."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from glaswerk.model import Decoder, ModelConfig
from glaswerk.train import Checkpoints, TrainPlan, Windows, next_token_loss, train

folder = Path(sys.argv[1])
torch.set_num_threads(1)
model = Decoder(ModelConfig.modern(vocabulary_size=48, width=32, layers=2, heads=2, context=16, mlp_width=64))
model.reset_parameters(torch.Generator().manual_seed(7))
tokens = np.random.default_rng(0).integers(0, 48, 2000).astype(np.uint16)
plan = TrainPlan(steps=4000, batch=4, time=16, dtype="fp32", compile=False, checkpoint_every=1)
print("go", flush=True)
train(model, Windows(tokens, 16, 4, 5), next_token_loss, plan, checkpoints=Checkpoints(folder / "resume"))
