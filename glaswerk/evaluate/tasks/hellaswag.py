"""HellaSwag (Zellers et al. 2019): how does a scene go on? 100 questions of its validation set, four endings each."""

from __future__ import annotations

import re

from glaswerk.evaluate.choice import MultipleChoice, Question
from glaswerk.evaluate.tasks.reading import json_lines


def hellaswag() -> MultipleChoice:
    """By whole endings, per byte, as is usual for it."""
    questions = [
        Question(
            tidy(f"{case['activity_label']}: {case['ctx']}"), tuple(map(tidy, case["endings"])), case["expected_index"]
        )
        for case in json_lines("hellaswag-100", "cases.jsonl")
    ]
    return MultipleChoice("hellaswag", questions, style="texts", plain=True, metric="accuracy per byte")


def tidy(text: str) -> str:
    """Without the marks that WikiHow's texts carry."""
    text = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
    return text.replace("  ", " ").strip()
