"""``glaswerk eval MODEL [TASK...]``: how good is a model, and how sure is that?"""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="A run, a stage, a Hugging Face folder, a GGUF file, or a pulled name.")],
    tasks: Annotated[list[str] | None, typer.Argument(help="Names of tasks, or JSONL files of your own.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many items of each task.")] = None,
    shots: Annotated[int, typer.Option(help="So many worked examples before each question.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Measure a model on tasks."""
    from glaswerk.cli.terminal import TerminalProgress, console, print_json
    from glaswerk.evaluate import open_task, score
    from glaswerk.opened import load

    progress = TerminalProgress()
    opened = load(model)
    scores = [
        score(opened, open_task(name, opened.origin.run), limit=limit, shots=shots, progress=progress)
        for name in tasks or ["arithmetic"]
    ]
    rows = [row for found in scores for row in found.rows()]
    if json:
        print_json({"model": opened.origin.name, "results": rows})
        return
    for row in rows:
        console().print(f"{row['task']:<18} {row['metric']:<24} {row['value']:.3f} ± {row['stderr']:.3f}")
