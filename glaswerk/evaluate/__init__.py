"""Measuring what a model can do: tasks, likelihoods, metrics with their intervals, and people's votes.

Names are imported lazily: the tasks and metrics can be used without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

#: public name -> the module of this room that owns it
_EXPORTS = {
    "AnswerScore": "answers",
    "Choice": "task",
    "Score": "scoring",
    "Task": "task",
    "TextScore": "bits",
    "names": "answers",
    "open_task": "tasks",
    "overlap": "answers",
    "score": "scoring",
    "score_answers": "answers",
    "score_conversations": "bits",
    "score_text": "bits",
}
__all__ = [
    "AnswerScore",
    "Choice",
    "Score",
    "Task",
    "TextScore",
    "names",
    "open_task",
    "overlap",
    "score",
    "score_answers",
    "score_conversations",
    "score_text",
]

if TYPE_CHECKING:
    from glaswerk.evaluate.answers import AnswerScore, names, overlap, score_answers
    from glaswerk.evaluate.bits import TextScore, score_conversations, score_text
    from glaswerk.evaluate.scoring import Score, score
    from glaswerk.evaluate.task import Choice, Task
    from glaswerk.evaluate.tasks import open_task


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'glaswerk.evaluate' has no attribute {name!r}")
    return getattr(import_module(f"glaswerk.evaluate.{_EXPORTS[name]}"), name)
