"""``glaswerk sft``: an assistant from a run's base model, a single stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def sft(
    run: Annotated[Path, typer.Argument(help="A run with a finished base model.")],
    chat: Annotated[
        list[Path] | None, typer.Option(help="Own chats to learn from (JSONL, OpenAI messages format).")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="How many steps.", show_default="the plan's, or two passes")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Teach a base model to answer, on conversations made from its own corpus and on your chats; the loss counts on
    what the assistant says only. The same command goes on where it was interrupted."""
    from glaswerk.cli.terminal import TerminalProgress, finish_stage
    from glaswerk.pipeline import sft as train_assistant

    progress = TerminalProgress()
    finish_stage(
        lambda: train_assistant(run, chats=chat or (), steps=steps, progress=progress), progress, json,
        "glaswerk chat {run}   talks to it",
    )  # fmt: skip
