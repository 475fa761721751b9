"""lm-evaluation-harness and Glaswerk, both ways: it can drive a model of ours, and it can be asked our tasks.

    from lm_eval import simple_evaluate
    simple_evaluate(model=harness_model(gw.load("smollm2")), tasks=["hellaswag"])

It is the oracle for our own scoring (``tests/evaluate/test_harness.py``), and the peer of a benchmark.
Left out: its command line, and tasks that are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glaswerk import generate
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.likelihood import Asked, asked, likelihoods
from glaswerk.evaluate.scoring import before
from glaswerk.evaluate.task import Task
from glaswerk.opened import OpenedModel


def harness_model(opened: OpenedModel) -> Any:
    """An ``lm_eval.api.model.LM`` that computes with our model. Raises :class:`GlaswerkError` without lm-eval."""
    try:
        from lm_eval.api.model import LM
        from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
    except ImportError as error:
        raise GlaswerkError("lm-evaluation-harness is not installed: pip install lm-eval") from error

    class Driven(LM):
        """The three kinds of requests that the harness makes."""

        tokenizer_name = opened.origin.name

        def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
            texts = [asked(opened, *request.args) for request in requests]
            return [(found.total, found.greedy) for found in likelihoods(opened.model, texts)]

        def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
            totals = []
            for request in requests:
                windows = get_rolling_token_windows(
                    token_list=opened.tokenizer.encode(request.args[0]), prefix_token=opened.tokenizer.end_id,
                    max_seq_len=opened.model.config.context, context_len=1,
                )  # fmt: skip
                texts = [Asked([*seen, *new], len(seen)) for seen, new in map(make_disjoint_window, windows)]
                totals.append(sum(found.total for found in likelihoods(opened.model, texts)))
            return totals

        def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
            replies = []
            for request in requests:
                context, how = request.args
                until = how.get("until") or []
                options = opened.how(
                    {
                        "max_tokens": how.get("max_gen_toks", 256),
                        "stop": [until] if isinstance(until, str) else until,
                        "temperature": how.get("temperature", 0.0) if how.get("do_sample") else 0.0,
                    }
                )
                room = opened.model.config.context - options["options"].max_tokens
                ids = opened.prompt_ids(context)[-max(1, room) :]
                replies.append(generate.complete(opened.model, opened.tokenizer, ids, **options).text)
            return replies

    return Driven()


def harness_task(task: Task, items: Sequence[int], shots: int = 0) -> Any:
    """Some items of a multiple-choice task of ours as an ``lm_eval`` task, with accuracy, also per byte. The examples
    are written into each context, so that both sides read the same text.

    Raises :class:`GlaswerkError` for a task without options, and without lm-eval.
    """
    try:
        from datasets import Dataset
        from lm_eval.api.task import ConfigurableTask
    except ImportError as error:
        raise GlaswerkError("lm-evaluation-harness is not installed: pip install lm-eval") from error
    rows = []
    for i in items:
        choice = task.choice(i)
        if choice is None:
            raise GlaswerkError(f"{task.name} has no options: the harness is only asked multiple choice")
        rows.append(
            {
                "context": before(task, i, shots) + choice.context,
                "options": [option.removeprefix(" ") for option in choice.options],
                "right": choice.right,
            }
        )
    return ConfigurableTask(
        config={
            "task": task.name,
            "custom_dataset": lambda **_: {"test": Dataset.from_list(rows)},
            "test_split": "test",
            "output_type": "multiple_choice",
            "doc_to_text": lambda doc: doc["context"],
            "doc_to_choice": lambda doc: doc["options"],
            "doc_to_target": lambda doc: doc["right"],
            "target_delimiter": " ",
            "metric_list": [{"metric": "acc"}, {"metric": "acc_bytes"}],
        }
    )
