"""MMLU (Hendrycks et al. 2021), its development questions: 57 subjects, up to five each, in English (282) and
in German (285).

The German ones carry their keys. The English ones are those of the worked examples that were written for them (Chung et
al. 2022): question, options on one line, reasoning, answer. Left out: the test set, which no package carries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.choice import LETTERS, MultipleChoice, Question
from glaswerk.evaluate.tasks.reading import folder

HEADING = "The following are multiple choice questions (with answers) about {group}.\n\n"
HEADING_DE = "Im Folgenden stehen Multiple-Choice-Fragen mit Antworten.\n\n"
GERMAN = "mmlu_de_"


def mmlu_en() -> MultipleChoice:
    """English, by letters."""
    file = folder("mmlu-dev") / "mmlu" / "flan_cot_fewshot" / "_cot_prompts.json"
    subjects = json.loads(file.read_text(encoding="utf-8"))
    questions = [question for subject in sorted(subjects) for question in worked(subjects[subject], subject)]
    return MultipleChoice("mmlu-en", questions, heading=HEADING)


def worked(prompt: str, subject: str) -> Iterator[Question]:
    """The questions of one subject's prompt; one whose options or answer cannot be told apart is left out."""
    for block in re.split(r"\n\n+Q: ", prompt)[1:]:
        asked, _, reasoned = block.partition("\nA: ")
        said = re.findall(r"[Tt]he (?:final )?answer is \(([A-E])\)", reasoned)
        place = asked.rfind("(A) ")
        parts = re.split(r"\s*\(([A-E])\) ", asked[place:])
        if place > 0 and said and parts[1::2] == list(LETTERS[: len(parts) // 2]):
            options = tuple(option.strip() for option in parts[2::2])
            yield Question(asked[:place].strip(), options, LETTERS.index(said[-1]), subject)


def mmlu_de() -> MultipleChoice:
    """German, by letters. Raises :class:`GlaswerkError` without PyYAML, in which the questions are written."""
    try:
        import yaml
    except ImportError as error:
        raise GlaswerkError("mmlu-de is written in YAML: pip install 'glaswerk[evaluate]' reads it") from error

    class Loader(yaml.SafeLoader):  # type: ignore[name-defined, misc]
        """Names of functions, which the harness would call, are read as nothing."""

    Loader.add_multi_constructor("!function", lambda *_: None)
    questions = []
    for file in sorted((folder("mmlu-dev") / "llama3" / "instruct" / "mmlu_de").glob(f"{GERMAN}*.yaml")):
        subject = file.stem.removeprefix(GERMAN)
        for sample in yaml.load(file.read_text(encoding="utf-8"), Loader)["fewshot_config"]["samples"]:
            options = sample["input_choice_list"]
            right = LETTERS.index(sample["input_correct_responses"][0])
            texts = tuple(str(options[letter]) for letter in LETTERS[: len(options)])
            questions.append(Question(str(sample["input_question"]).strip(), texts, right, subject))
    return MultipleChoice("mmlu-de", questions, language="de", heading=HEADING_DE)
