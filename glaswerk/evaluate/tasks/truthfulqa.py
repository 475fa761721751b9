"""TruthfulQA (Lin et al. 2022), multiple choice with one true answer (MC1): 100 questions that invite a common error.

Left out: the six fixed examples that the paper puts before each question.
"""

from __future__ import annotations

import numpy as np

from glaswerk.evaluate.choice import MultipleChoice, Question
from glaswerk.evaluate.tasks.reading import json_lines


def truthfulqa() -> MultipleChoice:
    """By whole answers. In the data the true one is always the first; here its place is drawn, once and for all."""
    questions = []
    for number, case in enumerate(json_lines("truthfulqa-100", "cases.jsonl")):
        order = np.random.default_rng(number).permutation(len(case["choices"])).tolist()
        options = tuple(case["choices"][place] for place in order)
        questions.append(Question(case["question"], options, order.index(case["expected_index"])))
    return MultipleChoice("truthfulqa", questions, style="texts")
