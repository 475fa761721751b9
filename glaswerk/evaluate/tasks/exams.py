"""EXAMS (Hardalov et al. 2020): 575 questions of German school examinations, three to five options each."""

from __future__ import annotations

import re

from glaswerk.evaluate.choice import LETTERS, MultipleChoice, Question
from glaswerk.evaluate.tasks.reading import json_lines


def exams_de() -> MultipleChoice:
    """By letters."""
    questions = []
    for case in json_lines("exams-de", "samples.jsonl"):
        asked = case["input"][-1]["content"].removesuffix("Answer:").strip()
        text, *parts = re.split(r"\n([A-E])\. ", asked)
        if parts[::2] == list(LETTERS[: len(parts) // 2]):
            options = tuple(option.strip() for option in parts[1::2])
            questions.append(Question(text.strip(), options, LETTERS.index(case["ideal"].strip("[]"))))
    return MultipleChoice("exams-de", questions, language="de")
