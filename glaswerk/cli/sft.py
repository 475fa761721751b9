"""``glaswerk sft``: an assistant from a run's base model, or a stranger's model tuned on chats; a single stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def sft(
    model: Annotated[str, typer.Argument(help="A run with a finished base model, or any model that chats.")],
    chat: Annotated[
        list[Path] | None, typer.Option(help="Own chats to learn from (JSONL, OpenAI messages format).")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="How many steps.", show_default="the plan's, or two passes")] = None,
    lora: Annotated[
        int | None,
        typer.Option(help="Train LoRA adapters of this rank, not the weights.", show_default="8 where it is no run"),
    ] = None,
    nf4: Annotated[bool, typer.Option("--nf4", help="Keep the frozen weights in 4 bits while training.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Where a model that is no run goes.", show_default="runs/<name>-tuned")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Teach a base model to answer, on conversations made from its own corpus and on your chats; the loss counts on
    what the assistant says only. A model that is no run (`smollm2`, a folder) learns your chats by LoRA. The same
    command goes on where it was interrupted."""
    from glaswerk.cli.terminal import TerminalProgress, finish_stage
    from glaswerk.errors import GlaswerkError
    from glaswerk.found import run_named

    run = run_named(model)
    if run is not None and out is not None:
        raise GlaswerkError(f"{model} is a run: its assistant goes into {run / 'sft'}; leave --out away")
    progress = TerminalProgress()
    if run is not None:
        from glaswerk.pipeline import sft as train_assistant

        def work() -> dict[str, object]:
            return train_assistant(run, chats=chat or (), steps=steps, rank=lora, nf4=nf4, progress=progress)
    else:
        from glaswerk.tuning.chatting import RANK, tune

        def work() -> dict[str, object]:
            rank = RANK if lora is None else lora
            return tune(model, chats=chat or (), out=out, rank=rank, nf4=nf4, steps=steps, progress=progress)

    finish_stage(work, progress, json, "glaswerk chat {run}   talks to it")
