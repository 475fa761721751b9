"""The tasks by name. Benchmarks come from pulled packages, others are generated, some are made from a run's own corpus.

Left out: the tasks themselves, one file per family.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.task import Task


@dataclass(frozen=True, slots=True)
class Listed:
    """``maker``: "module:function" in this folder; ``what``: one line; ``of_run``: made from a run's corpus."""

    maker: str
    what: str
    of_run: bool = False


TASKS = {
    "mmlu-en": Listed("mmlu:mmlu_en", "282 exam questions of 57 subjects, English, by letter"),
    "mmlu-de": Listed("mmlu:mmlu_de", "285 exam questions of 57 subjects, German, by letter"),
    "hellaswag": Listed("hellaswag:hellaswag", "100 scenes: which ending?"),
    "arithmetic": Listed("arithmetic:Arithmetic", "200 sums and products, answered at once"),
    "arithmetic-steps": Listed("arithmetic:with_steps", "the same, with the steps written out"),
}


def open_task(name: str, run: Path | None = None) -> Task:
    """The task of that name. ``run``: the run whose corpus is asked about, where the task needs one.

    Raises :class:`GlaswerkError` for a name that is none, and where data or a library is missing.
    """
    if name not in TASKS:
        near = get_close_matches(name, TASKS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(TASKS)}, and JSONL files of your own"
        raise GlaswerkError(f"there is no task {name!r}; {hint}")
    module, _, function = TASKS[name].maker.partition(":")
    make: Callable[..., Task] = getattr(import_module(f"glaswerk.evaluate.tasks.{module}"), function)
    if not TASKS[name].of_run:
        return make()
    if run is None:
        raise GlaswerkError(f"{name} asks about a run's own corpus: name a run or one of its stages")
    return make(run)
