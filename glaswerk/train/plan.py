"""What decides how a stage is trained, and what came of it; plain values, kept as JSON in ``run.json``."""

from __future__ import annotations

from dataclasses import dataclass

from glaswerk.train.schedule import cosine, warmup_stable_decay


@dataclass(frozen=True)
class TrainPlan:
    """Everything that decides how a stage is trained, fixed before its first step. ``batch`` rows of ``time`` tokens
    make a micro-batch, ``accumulate`` of those one step."""

    steps: int
    batch: int
    time: int
    accumulate: int = 1
    matrix_rate: float = 0.02
    other_rate: float = 0.005
    weight_decay: float = 0.0
    muon: bool = True  # False: AdamW for everything
    schedule: str = "wsd"  # or "cosine"
    warmup: int = 10
    decay: float = 0.6
    dtype: str = "bf16"  # or "fp32"
    compile: bool = True
    compile_optimizer: bool = False  # pays only where a step takes few milliseconds
    checkpoint_every: int = 0  # steps; 0: only when interrupted
    evaluate_every: int = 0  # steps; 0: only at the end, by the caller
    sample_every: int = 0
    log_every: int = 10

    def factor(self, step: int) -> float:
        """The learning-rate factor of a step."""
        if self.schedule == "cosine":
            return cosine(step, self.steps, self.warmup)
        return warmup_stable_decay(step, self.steps, self.warmup, self.decay)

    @property
    def tokens_per_step(self) -> int:
        """Tokens that one optimizer step sees."""
        return self.batch * self.time * self.accumulate


@dataclass(frozen=True)
class TrainResult:
    """What training did. ``seconds``: all sittings, without compiling and evaluation; ``loss`` is a running mean;
    ``compiled``: whether steps ran as compiled code."""

    steps: int
    tokens: int
    seconds: float
    tokens_per_second: float
    loss: float
    compiled: bool
