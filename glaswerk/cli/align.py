"""``glaswerk align``: from an assistant to one that prefers what was preferred, a single stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

METHODS_HELP = (
    "dpo, reward (a model that judges), reject (learn its favourites), ppo or grpo (from rewards), constitution (from "
    "written principles)."
)
JUDGES_HELP = (
    "constitution: self, a model's name or folder, or NAME@URL of an OpenAI-compatible API (its key: OPENAI_API_KEY)."
)

app = typer.Typer(add_completion=False)


@app.command()
def align(
    run: Annotated[str, typer.Argument(help="A run with a finished assistant.")],
    method: Annotated[str, typer.Option(help=METHODS_HELP)],
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="corpus, votes, or JSONL with prompt, chosen, rejected; can be given again. constitution: principles.",
            show_default="corpus, and votes if there are any",
        ),
    ] = None,
    stage: Annotated[str, typer.Option(help="The stage to begin with.")] = "sft",
    minutes: Annotated[float, typer.Option(help="The whole budget; the number of steps follows from it.")] = 3.0,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Exactly so many steps (rounds of ppo, grpo) instead; dpo learns the preferred answers before them.",
            show_default="none",
        ),
    ] = None,
    lora: Annotated[
        int | None, typer.Option(help="Train LoRA adapters of this rank, not the weights.", show_default="none")
    ] = None,
    beta: Annotated[
        float | None,
        typer.Option(help="How dear it is to leave the stage it begins with.", show_default="the method's own"),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="ppo, grpo: a task that grades replies.", show_default="the run's reward model"),
    ] = None,
    judge: Annotated[
        str,
        typer.Option(help=JUDGES_HELP),
    ] = "self",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Make one more stage of a run. dpo, reward and reject learn from pairs of answers, one of which is preferred: what
    the run's own texts say over what the model made up, "I do not know" over an answer about a title that they do not
    have, people's votes, files of yours. ppo and grpo learn from rewards: a task's grade, or a reward model.
    constitution learns from a judge's critiques and verdicts. The same command goes on where it was interrupted."""
    from glaswerk.cli.terminal import TerminalProgress, finish_stage
    from glaswerk.found import run_named
    from glaswerk.tuning import align as align_stage

    progress = TerminalProgress()
    then = "glaswerk align {run} --method reject   learns its favourites" if method == "reward" else (
        "glaswerk eval {run}   shows what each stage gained and lost"
    )  # fmt: skip
    finish_stage(
        lambda: align_stage(
            run_named(run) or Path(run), method=method, stage=stage, data=data or (), minutes=minutes, steps=steps,
            rank=lora, beta=beta, task=task, judge=judge, progress=progress,
        ),
        progress, json, then,
    )  # fmt: skip
