"""``glaswerk pretrain``: one base model, a single stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def pretrain(
    text: Annotated[
        list[str] | None, typer.Argument(help="Files, folders, globs or a corpus name.", show_default="wikipedia-en")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Exactly so many steps; then no clock decides anything.")] = None,
    minutes: Annotated[float, typer.Option(help="Without --steps: the budget everything follows from.")] = 5.0,
    out: Annotated[Path | None, typer.Option(help="The run's folder.", show_default="runs/<corpus>")] = None,
    shape: Annotated[str, typer.Option(help="modern (Qwen3's) or classic (GPT-2's).")] = "modern",
    layers: Annotated[int | None, typer.Option(help="With --steps: how many layers.", show_default="4")] = None,
    width: Annotated[int | None, typer.Option(help="With --steps: how wide.", show_default="192")] = None,
    seed: Annotated[int, typer.Option(help="Decides weights and order.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Train a base model: it continues text. The same command goes on where it was interrupted; with --steps, equal
    calls end with equal weights (compare the sha256), interrupted or not."""
    from glaswerk.cli.terminal import TerminalProgress, finish_stage
    from glaswerk.errors import GlaswerkError
    from glaswerk.pipeline import DEFAULT_CORPUS
    from glaswerk.pipeline import pretrain as train_base

    if steps is None and (layers is not None or width is not None):
        raise GlaswerkError("--layers and --width need --steps: without it, the sizes follow from --minutes")
    progress = TerminalProgress()
    finish_stage(
        lambda: train_base(
            list(text or [DEFAULT_CORPUS]), steps=steps, minutes=minutes, out=out, shape=shape,
            layers=4 if layers is None else layers, width=192 if width is None else width, seed=seed,
            progress=progress,
        ),
        progress, json, "glaswerk sft {run}   makes an assistant of it",
    )  # fmt: skip
