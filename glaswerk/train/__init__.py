"""Training: one loop, one optimizer, schedules, data order, checkpoints that survive a crash."""

from glaswerk.train.checkpoint import Checkpoints
from glaswerk.train.data import Conversations, Windows
from glaswerk.train.gradient import GradientStep
from glaswerk.train.loop import Diverged, train
from glaswerk.train.objective import Objective, next_token_loss
from glaswerk.train.optimizer import MuonAdamW
from glaswerk.train.plan import TrainPlan, TrainResult
from glaswerk.train.schedule import cosine, warmup_stable_decay

__all__ = [
    "Checkpoints",
    "Conversations",
    "Diverged",
    "GradientStep",
    "MuonAdamW",
    "Objective",
    "TrainPlan",
    "TrainResult",
    "Windows",
    "cosine",
    "next_token_loss",
    "train",
    "warmup_stable_decay",
]
