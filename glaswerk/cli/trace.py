"""``glaswerk trace MODEL PROMPT``: every value that a prompt causes, from the token ids to the next token."""

from __future__ import annotations

import sys

import typer

app = typer.Typer(add_completion=False)


@app.command()
def trace(
    model: str = typer.Argument(help="A run, a stage, or a Hugging Face folder."),
    prompt: str = typer.Argument(help="The text to follow; - reads it from standard input."),
    only: str | None = typer.Option(None, help="With --json: these steps, with values; a glob: 'blocks.3.*,logits'."),
    compact: bool = typer.Option(False, "--compact", help="With --only: what lies between 0 and 1 as bytes."),
    layer: int | None = typer.Option(None, help="Show the attention of this layer, from 0."),
    head: int | None = typer.Option(None, help="Show the attention of this head, from 0."),
    dtype: str = typer.Option("fp32", help="fp32, bf16, int8 or int4."),
    json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Follow a prompt through the model, step by step."""
    from glaswerk.cli.terminal import console, print_json
    from glaswerk.opened import load

    if prompt == "-":
        prompt = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    traced = load(model, dtype).trace(prompt)
    if json:
        print_json(traced.json(only, compact))
        return
    screen = console()
    for candidate in traced.top():
        screen.print(f"{candidate['probability']:6.1%} {candidate['token']}", markup=False)
