"""Run by test_ahead.py in a fresh process: a compiled step gives the plain step's loss and gradients."""

from __future__ import annotations

import numpy as np
import torch

from glaswerk.home import subfolder
from glaswerk.model import Decoder, ModelConfig
from glaswerk.progress import Progress
from glaswerk.train import GradientStep, Windows, next_token_loss

CONFIG = ModelConfig.modern(vocabulary_size=48, width=32, layers=1, heads=2, context=16, mlp_width=64)


class Notes(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


def batch(rows: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    return Windows(np.arange(500, dtype=np.uint16) % 48, 16, rows).batch(0)


def main() -> None:
    model = Decoder(CONFIG)
    model.reset_parameters(torch.Generator().manual_seed(1))
    # as drawn, what writes into the residual stream is zero and half of the gradients with it
    for p in model.parameters():
        p.data.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    notes = Notes()
    step = GradientStep(model, next_token_loss, True, notes)
    assert not step.is_compiled(*batch())
    loss, gradients = step(*batch())
    logs = [file.read_text() for file in subfolder("compiled").glob("*-failed.txt")]
    assert any("compiled gradient" in line for line in notes.lines), "\n".join([*notes.lines, *logs])
    assert step.is_compiled(*batch())
    plain_loss, plain = GradientStep(model, next_token_loss, False, notes)(*batch())
    torch.testing.assert_close(loss, plain_loss)
    for name, ours, expected in zip(step.names, gradients, plain, strict=True):
        assert expected.abs().max() > 0, name
        torch.testing.assert_close(ours, expected, atol=2e-5 * float(expected.abs().max()) + 1e-6, rtol=1e-4)
    # another shape is computed, not refused
    torch.testing.assert_close(step(*batch(2))[0], GradientStep(model, next_token_loss, False, notes)(*batch(2))[0])
    print("equal")


if __name__ == "__main__":
    main()
