"""How the command line looks: one console, the concept colours, progress on stderr, one line per finished step.

Left out: what is said; the verbs and rooms own their words.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.theme import Theme

from glaswerk.progress import Progress

#: STYLE: one colour per concept everywhere. Terminals are mostly dark, so these are the dark-ground values.
CONCEPTS = {
    "token": "#f0b429",
    "position": "#a9b4c4",
    "residual": "#b9c6d8",
    "query": "#6cb6f2",
    "key": "#ff9c5a",
    "value": "#4fc79d",
    "weight": "#cf9be0",
    "mlp": "#d9a57c",
    "logit": "#f58ab8",
    "loss": "#ff8f8f",
}
THEME = Theme({**CONCEPTS, "done": "#4fc79d", "warn": "#f0b429", "faint": "dim", "figure": "bold"})


def console(stderr: bool = False) -> Console:
    """A console for results (stdout) or for progress (stderr); NO_COLOR and pipes are honoured by rich."""
    return Console(theme=THEME, stderr=stderr, highlight=False, soft_wrap=False)


def print_json(value: Any) -> None:
    """Exactly one JSON object on stdout; where stdout cannot hold its characters, all as JSON's \\u escapes."""
    line = json.dumps(value, ensure_ascii=False)
    try:
        line.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        line = json.dumps(value)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class TerminalProgress(Progress):
    """Draws on stderr: a bar with rate and time left while a step runs, then its one-line result.

    In a pipe there are no bars, only the result lines.
    """

    def __init__(self) -> None:
        self.console = console(stderr=True)
        self.bars: Bars | None = None
        self.task: TaskID | None = None
        self.title = ""
        self.unit = ""
        self.began = 0.0

    def start(self, title: str, total: float | None = None, unit: str = "") -> None:
        self.close()
        self.title, self.unit, self.began = title, unit, time.perf_counter()
        if not self.console.is_terminal:
            return
        self.bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description:<10}", style="bold"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(compact=True),
            console=self.console,
            transient=True,
        )
        self.bars.start()
        self.task = self.bars.add_task(title, total=total, facts="")

    def advance(self, amount: float, **facts: Any) -> None:
        if self.bars is None or self.task is None:
            return
        shown = "  ".join(f"{name} {value}" for name, value in facts.items())
        if not shown and self.unit:
            now = self.bars.tasks[0].completed + amount
            rate = now / max(time.perf_counter() - self.began, 1e-9)
            shown = f"{now:,.0f} {self.unit}  {rate:,.0f} {self.unit}/s"
        self.bars.update(self.task, advance=amount, facts=shown)

    def done(self, line: str) -> None:
        seconds = time.perf_counter() - self.began
        title = self.title
        self.close()
        self.console.print(
            f"[done]✓[/done] [bold]{title:<10}[/bold] {escape(line)}  [faint]{seconds:.1f} s[/faint]", soft_wrap=True
        )

    def note(self, line: str) -> None:
        target = self.bars.console if self.bars is not None else self.console
        target.print(f"  [faint]{escape(line)}[/faint]", soft_wrap=True)

    def close(self) -> None:
        """Take the bar off the screen (also when a step was left by an error)."""
        if self.bars is not None:
            self.bars.stop()
        self.bars, self.task = None, None


@contextmanager
def kept_on_interrupt(progress: TerminalProgress, line: str) -> Iterator[None]:
    """Work that saves itself on Ctrl-C: then say so with ``line`` and exit with 130. Takes the bar off in any case."""
    try:
        yield
    except KeyboardInterrupt:
        progress.close()
        progress.console.print(f"[warn]stopped[/warn] and kept: {line}", soft_wrap=True)
        raise typer.Exit(130) from None
    finally:
        progress.close()


def finish_stage(work: Callable[[], dict[str, Any]], progress: TerminalProgress, as_json: bool, next_line: str) -> None:
    """Do a single stage's work and print its report; ``next_line`` says what to do next with ``{run}``."""
    with kept_on_interrupt(progress, "the same command goes on"):
        report = work()
    if as_json:
        print_json(report)
        return
    screen = console()
    for key, value in report.items():
        shown = f"{value:,}" if isinstance(value, int) else str(value)
        screen.print(f"[faint]{key.replace('_', ' '):<18}[/faint] {shown}", soft_wrap=True)
    screen.print(f"next: [bold]{next_line.format(run=shlex.quote(report['run']))}[/bold]", soft_wrap=True)
