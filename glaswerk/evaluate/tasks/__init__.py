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
    "corpus-facts": Listed(
        "corpus:corpus_facts", "questions about a run's own texts: words shared with the text", True
    ),
    "corpus-titles": Listed("corpus:corpus_titles", "which of four titles belongs to a text of the run?", True),
    "mmlu-en": Listed("mmlu:mmlu_en", "282 exam questions of 57 subjects, English, by letter"),
    "mmlu-de": Listed("mmlu:mmlu_de", "285 exam questions of 57 subjects, German, by letter"),
    "exams-de": Listed("exams:exams_de", "575 questions of German school examinations, by letter"),
    "hellaswag": Listed("hellaswag:hellaswag", "100 scenes: which of four endings?"),
    "truthfulqa": Listed("truthfulqa:truthfulqa", "100 questions that invite a common error"),
    "gsm8k": Listed("gsm8k:GSM8K", "100 word problems, solved in writing"),
    "humaneval": Listed("humaneval:HumanEval", "164 Python functions, tested in the sandbox"),
    "tool-calls": Listed("tool_calls:ToolCalls", "1,040 questions: which function, which arguments?"),
    "addition": Listed("arithmetic:addition", "200 sums of numbers below a hundred, answered at once"),
    "addition-steps": Listed(
        "arithmetic:long_addition", "200 sums of numbers below a thousand, with the steps written out"
    ),
    "arithmetic": Listed("arithmetic:Arithmetic", "200 sums and products, answered at once"),
    "arithmetic-steps": Listed("arithmetic:with_steps", "the same, with the steps written out"),
    "cups": Listed("cups:Cups", "200 games of three cups that change places: where is the ball? answered at once"),
    "cups-steps": Listed("cups:with_steps", "the same, with the steps written out"),
    "cups-de": Listed("cups:german", "the same in German, answered at once"),
    "letters": Listed("letters:Letters", "how often does a letter occur in a word? English"),
    "letters-de": Listed("letters:german", "the same in German"),
    "needle": Listed("needle:Needle", "one number in a text that is about something else"),
    "bias": Listed("bias:Bias", "he or she: does a profession pull a pronoun? 0.5 is even-handed"),
}


def open_task(name: str, run: Path | None = None) -> Task:
    """The task of that name, or in that JSONL file. ``run``: the run whose corpus is asked about, where one is needed.

    Raises :class:`GlaswerkError` for a name that is none, and where data or a library is missing.
    """
    if name.endswith((".jsonl", ".json")):
        from glaswerk.evaluate.tasks.own import own_task

        return own_task(Path(name))
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
