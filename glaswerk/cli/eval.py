"""``glaswerk eval MODEL [TASK...]``: how good is a model, how sure is that, and what did it get wrong?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glaswerk.evaluate.tasks import TASKS

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from glaswerk.evaluate.kept import Change
    from glaswerk.evaluate.scoring import Score
    from glaswerk.opened import OpenedModel, Origin
    from glaswerk.progress import Progress

app = typer.Typer(add_completion=False)

#: what is asked when no task is named: of a run's stages, of any other model
OF_RUN = ("held-out", "corpus-facts", "corpus-titles", "arithmetic")
OF_OTHERS = ("mmlu-en", "mmlu-de", "hellaswag", "truthfulqa", "gsm8k")
#: measures of which less is better
LESS_IS_BETTER = ("bits per byte", "perplexity")
#: samples that went wrong, per task: in JSON, and on the screen
TOLD, SHOWN = 20, 2


@dataclass(frozen=True)
class Result:
    """A model and what it scored."""

    origin: Origin
    score: Score


@app.command(
    help="Measure a model on tasks: values with 95 % intervals, what guessing gets, and what went wrong. What a run's "
    "stages get is kept in the run and shown side by side.\n\n"
    f"Tasks: {', '.join(TASKS)}; held-out: the text that a run kept back, in bits per byte."
)
def evaluate(
    model: Annotated[str, typer.Argument(help="A run (then all its stages), a stage, a model, or a pulled name.")],
    tasks: Annotated[list[str] | None, typer.Argument(help="Names, JSONL files of your own, or text files.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many items of each task.", show_default="all")] = None,
    shots: Annotated[int, typer.Option(help="So many worked examples before each question.")] = 0,
    write: Annotated[bool, typer.Option("--write", help="Multiple choice is answered in writing too.")] = False,
    samples: Annotated[int, typer.Option(help="Draw so many replies to each written question: pass@1, pass@N.")] = 1,
    seed: Annotated[int | None, typer.Option(help="The same seed draws the same replies.")] = None,
    dtype: Annotated[
        str, typer.Option(help="auto, fp32, bf16, int8 or int4; auto: a GGUF file as it is, else fp32.")
    ] = "auto",
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """See ``help`` above."""
    from glaswerk.cli.terminal import TerminalProgress, console, print_json
    from glaswerk.errors import GlaswerkError
    from glaswerk.found import find

    if limit is not None and limit < 1:
        raise GlaswerkError(f"--limit {limit} asks nothing: give at least 1")
    if shots < 0 or samples < 1:
        raise GlaswerkError("--shots must be 0 or more, --samples at least 1")
    find(model)  # a name that is none is said before torch is loaded
    progress = TerminalProgress()
    options = {"limit": limit, "shots": shots, "written": write, "samples": samples, "seed": seed or 0}
    results: list[Result] = []
    try:
        measure(model, tasks or [], dtype, options, progress, results)
    except (KeyboardInterrupt, GlaswerkError):  # what was measured is shown all the same
        progress.close()
        if results and not json:
            show(console(), results)
        raise
    finally:
        progress.close()
    if json:
        print_json(report(model, results))
        return
    show(console(), results)
    last = results[-1].origin
    then = (
        f"chat {model}   talks to it" if last.run else f"eval {model} {(tasks or [results[0].score.task])[0]} --shots 3"
    )
    console().print(f"next: [bold]glaswerk {then}[/bold]", soft_wrap=True)


def measure(
    model: str, tasks: list[str], dtype: str, options: dict[str, Any], progress: Progress, results: list[Result]
) -> None:
    """Add to ``results`` as they come, and keep in a run what belongs to it. Of tasks that nobody named, those that
    cannot be asked here are left out with a note. Raises :class:`GlaswerkError` where nothing is left."""
    from glaswerk.errors import GlaswerkError
    from glaswerk.evaluate import kept
    from glaswerk.opened import load

    places = stages_of(model)
    for place in places:
        opened = load(place, dtype)
        if len(places) > 1:
            progress.note(opened.origin.name)
        own = opened.origin.run is not None and (opened.origin.run / "corpus").is_dir()
        for name in tasks or (OF_RUN if own else OF_OTHERS):
            try:
                score = one(opened, name, options, progress)
            except GlaswerkError as error:
                if tasks:
                    raise
                progress.note(f"{name} is left out: {error}")
                continue
            results.append(Result(opened.origin, score))
            for note in score.notes:
                progress.note(note)
            if opened.origin.run and dtype == "auto":
                kept.keep(opened.origin.folder, score)
    if not results:
        raise GlaswerkError("none of the usual tasks can be asked of this model: name one, see `glaswerk eval --help`")


def stages_of(model: str) -> list[str]:
    """A run's finished stages, the earliest first; anything else is itself."""
    from glaswerk.found import run_named
    from glaswerk.run import Run

    place = run_named(model)
    if place is None:
        return [model]
    run = Run(place)
    run.latest_stage()  # says what to do where none is finished
    return [str(run.stage(name)) for name in run.writers()]


def one(opened: OpenedModel, name: str, options: dict[str, Any], progress: Progress) -> Score:
    """One task's score."""
    from glaswerk.evaluate import open_task, score
    from glaswerk.evaluate.text import held_out, text_file

    if name != "held-out" and not name.endswith((".txt", ".md")):
        return score(opened, open_task(name, opened.origin.run), progress=progress, **options)
    if name == "held-out":
        found = held_out(opened, progress, options["limit"])
    else:
        found = text_file(opened, Path(name), progress, options["limit"])
    if options["samples"] > 1:
        found.notes.append("a text is read, so no replies were drawn")
    return found


# ---------------------------------------------------------------------------------------------- what is told
def report(model: str, results: list[Result]) -> dict[str, Any]:
    """``results``: a row per model, task and measure. ``wrong``: the first samples that went wrong. ``changes``: what
    a run's later stages gained over the one before, item by item."""
    return {
        "model": model,
        "results": [{"model": it.origin.name, **row} for it in results for row in it.score.rows()],
        "wrong": [
            {"model": it.origin.name, "task": it.score.task, "item": sample.item, "asked": sample.asked,
             "expected": sample.expected, "reply": sample.reply, "grade": sample.grade}
            for it in results for sample in it.score.wrong[:TOLD]
        ],
        "changes": [
            {key: round(value, 6) if isinstance(value, float) else value for key, value in asdict(change).items()}
            for table in side_by_side(results) for change in table.changes
        ],
        "notes": [f"{it.origin.name}, {it.score.task}: {note}" for it in results for note in it.score.notes],
        "seconds": round(sum(it.score.seconds for it in results), 1),
    }  # fmt: skip


@dataclass(frozen=True)
class SideBySide:
    """One task of a run: its stages' kept results, the earliest first, and each one's change over the one before."""

    score: Score
    stages: dict[str, dict[str, Any]]
    changes: list[Change]


def side_by_side(results: list[Result]) -> list[SideBySide]:
    """A table for each task that a run's stages were asked, with what was kept of the other stages."""
    from glaswerk.evaluate import kept
    from glaswerk.run import Run

    tables: dict[tuple[Any, ...], SideBySide] = {}
    for it in results:
        if it.origin.run is None:
            continue
        found = kept.beside(Run(it.origin.run), it.score)
        names = list(found)
        changes = [kept.change(found, one, other) for one, other in pairwise(names)]
        tables[it.score.task, it.score.how, it.score.shots] = SideBySide(it.score, found, changes)
    return list(tables.values())


# ---------------------------------------------------------------------------------------------- how it looks
def show(screen: Console, results: list[Result]) -> None:
    """Tables, then what went wrong."""
    alone = [it.score for it in results if it.origin.run is None]
    if alone:
        table = empty_table(screen, results[0].origin.name, ("chance", "n"))
        for score in alone:
            for place, row in enumerate(score.rows()):
                label = (
                    f"[bold]{score.task}[/bold] {row['metric']}" if place == 0 else f"  [faint]{row['metric']}[/faint]"
                )
                chance = row["chance"]
                add(table, screen, label, row, chance, "" if chance is None else number(chance), f"{row['n']}")
        screen.print(table)
    for compared in side_by_side(results):
        score, change = compared.score, {change.after: change for change in compared.changes}
        screen.print(
            f"[bold]{score.task}[/bold] {score.measures[0].metric}{', replies drawn' * (score.how == 'drawn')} "
            f"[faint]({counted(len(score.items), 'item')}, guessing gets {number(score.chance)})[/faint]",
            soft_wrap=True,
        )
        table = empty_table(screen, "", ("change",))
        for stage, row in compared.stages.items():
            add(table, screen, f"  {stage}", row, score.chance, said(change.get(stage)))
            for more in row["others"]:
                if not more["metric"].startswith("accuracy"):
                    add(table, screen, f"    [faint]{more['metric']}[/faint]", more, None, "")
        screen.print(table)
    for it in results:
        lowest = sorted(it.score.wrong, key=lambda sample: sample.grade)
        if lowest:
            screen.print(
                f"[bold]{it.score.task}[/bold] [faint]{it.origin.name}: {len(lowest)} of {len(it.score.samples)} "
                "without full marks, such as[/faint]",
                soft_wrap=True,
            )
        for sample in lowest[:SHOWN]:
            for name, text in (("asked", sample.asked), ("right", sample.expected), ("said", sample.reply)):
                screen.print(f"  [faint]{name:<6}[/faint]", end="")
                screen.print(one_line(text, screen.width - 9), markup=False)


def empty_table(screen: Console, title: str, more: tuple[str, ...]) -> Table:
    """The columns; ``more`` are the last ones."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="faint")
    table.add_column(title, no_wrap=True, min_width=12)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    if cells(screen):
        table.add_column("0 to 1, ┃ chance", no_wrap=True)
    for name in more:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def cells(screen: Console) -> int:
    """The width of bars, 0 where there is no room for them."""
    return 0 if screen.width < 100 else min(24, screen.width - 84)


def add(table: Table, screen: Console, label: str, row: dict[str, Any], chance: float | None, *more: str) -> None:
    """One line of a table."""
    value, low, high = row["value"], row["low"], row["high"]
    parts = [label, number(value), f"{number(low)} to {number(high)}"]
    if cells(screen):
        bounded = row["metric"] not in LESS_IS_BETTER and "bits" not in row["metric"]
        parts.append(bar(value, low, high, chance, cells(screen)) if bounded else "")
    table.add_row(*parts, *more)


def counted(count: int, what: str) -> str:
    """One thing, or several."""
    return f"{count:,} {what}" + "s" * (count != 1)


def number(value: float | None) -> str:
    """Three places; a dash for what is not known."""
    return "-" if value is None else f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"


def bar(value: float, low: float, high: float, chance: float | None, width: int) -> str:
    """From 0 to 1: full up to the interval, shaded inside it, a stroke where guessing lies."""
    marks = []
    for cell in range(width):
        place = (cell + 0.5) / width
        mark = "█" if place <= low else "▒" if place <= high else "·"
        if chance and cell == min(width - 1, int(chance * width)):
            mark = "┃"
        marks.append(f"[faint]{mark}[/faint]" if mark == "·" else f"[logit]{mark}[/logit]" if mark != "┃" else mark)
    return "".join(marks)


def said(change: Change | None) -> str:
    """A change in words: green where it is surely better, yellow where surely worse."""
    if change is None:
        return ""
    better = (change.value < 0) == (change.metric in LESS_IS_BETTER)
    style = "faint" if not change.sure else "done" if better else "warn"
    return f"[{style}]{change.value:+.3f} ({change.low:+.3f} to {change.high:+.3f})[/{style}]"


def one_line(text: str, width: int) -> str:
    """A text on one line, its middle left out where it is too long: a question's end matters most."""
    text = " ".join(text.split()) or "(nothing)"
    if len(text) <= width:
        return text
    return f"{text[: width // 3]} … {text[-(width - width // 3 - 3) :]}"
