"""``glaswerk run``: the main job."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(add_completion=False)


@app.command()
def run(
    text: Annotated[
        list[str] | None, typer.Argument(help="Files, folders, globs or a corpus name.", show_default="wikipedia-en")
    ] = None,
    minutes: Annotated[float, typer.Option(help="The whole budget; everything else follows from it.")] = 5.0,
    out: Annotated[Path | None, typer.Option(help="The run's folder.", show_default="runs/<corpus>")] = None,
    ask: Annotated[list[str] | None, typer.Option(help="A question to answer at the end; can be given again.")] = None,
    chat: Annotated[
        list[Path] | None, typer.Option(help="Own chats to learn from (JSONL, OpenAI messages format).")
    ] = None,
    shape: Annotated[str, typer.Option(help="modern (Qwen3's) or classic (GPT-2's).")] = "modern",
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first broken line instead of skipping it.")
    ] = False,
    align: Annotated[
        str, typer.Option(help="Then dpo, none, or auto: dpo from 10 minutes on, kept where it helps.")
    ] = "auto",
    seed: Annotated[int, typer.Option(help="Decides weights, order and split.")] = 0,
    open_: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Open the lab at the end.", show_default="in a terminal")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Raw text in, a small assistant out: read, clean, drop duplicates, split, learn a tokenizer, train a base model
    and an assistant, evaluate, answer. The same command goes on where it was interrupted."""
    began = time.perf_counter()
    from glaswerk.cli.terminal import TerminalProgress, console, kept_on_interrupt, print_json
    from glaswerk.pipeline import DEFAULT_CORPUS, default_out
    from glaswerk.pipeline import run as run_pipeline

    progress = TerminalProgress()
    sources = list(text or [DEFAULT_CORPUS])
    folder = out or default_out(sources)
    by_hand = sys.stdin.isatty() and sys.stdout.isatty() and not os.environ.get("CI")
    if by_hand and not json:
        progress.note(f"watch it learn: glaswerk lab {folder}, in a second terminal")
    with kept_on_interrupt(progress, f"the same command goes on with {folder}"):
        report = run_pipeline(
            sources, minutes=minutes, out=folder, shape=shape, chats=chat or (), questions=ask or (), strict=strict,
            align=align, seed=seed, progress=progress, began=began,
        )  # fmt: skip
    if json:
        print_json(report)
        return
    screen = console()
    show_stages(screen, report)
    show_answers(screen, report["answers"])
    last = report["stages"][-1]["name"]
    screen.print(
        f"\n{report['seconds']:.0f} s in all. The model is in [bold]{folder}/{last}[/bold]; look inside: "
        f"[bold]glaswerk lab {folder}[/bold], talk to it: [bold]glaswerk chat {folder}[/bold]",
        soft_wrap=True,
    )
    if open_ or (open_ is None and by_hand):
        from glaswerk.cli.lab import offer

        offer(folder, screen)


def show_stages(screen: Any, report: dict[str, Any]) -> None:
    """The stages as a table."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 1), header_style="bold")
    for name in ("stage", "parameters", "tokens", "seconds", "tokens/s", "val loss", "bits/byte"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for stage in report["stages"]:
        counts = [f"{stage[key]:,}" for key in ("parameters", "tokens")]
        losses = [f"[loss]{stage[key]:.3f}[/loss]" for key in ("val_loss", "val_bits_per_byte")]
        table.add_row(stage["name"], *counts, f"{stage['seconds']:.0f}", f"{stage['tokens_per_second']:,}", *losses)
    screen.print()
    screen.print(table)


def show_answers(screen: Any, answers: list[dict[str, str]]) -> None:
    """Questions and answers, wrapped to the screen."""
    from rich.markup import escape
    from rich.padding import Padding

    for item in answers:
        screen.print(f"\n[query]?[/query] [bold]{escape(item['question'])}[/bold]")
        screen.print(Padding(escape(item["answer"]) or "[faint](nothing)[/faint]", (0, 0, 0, 2)))
