"""Multiple choice: questions with options, asked by letter or by the option's own text.

By letters (MMLU, Hendrycks et al. 2021) the options stand in the question and the answer is one letter; by texts
(HellaSwag, Zellers et al. 2019) the model never sees the others, and the likelihoods of whole continuations are
compared. Either can also be answered in writing: then a letter is looked for in the reply.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from glaswerk.evaluate.task import Choice, Messages, Task, pair

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: language -> question, answer, and how to ask for a letter
WORDS = {
    "en": ("Question:", "Answer:", "Answer with the letter only."),
    "de": ("Frage:", "Antwort:", "Antworte nur mit dem Buchstaben."),
}
#: "The answer is (B)", "Die richtige Antwort ist B": what counts is the letter after it
SAID = re.compile(r"(?i:answer|choice|option|antwort|lösung)\W+(?i:is|ist|lautet|wäre|:)?\W*\b([A-Z])\b")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, the options, the index of the right one, and the subject."""

    text: str
    options: tuple[str, ...]
    right: int
    group: str = ""


class MultipleChoice(Task):
    """``style`` "letters" or "texts", see above. ``heading``: what stands before the first question, with ``{group}``.
    ``plain``: the context is the question as it stands, without "Question:" and "Answer:" (a text to be continued).
    """

    max_tokens = 16

    def __init__(
        self,
        name: str,
        questions: Sequence[Question],
        *,
        style: str = "letters",
        language: str = "en",
        heading: str = "",
        plain: bool = False,
        metric: str = "accuracy",
    ) -> None:
        self.name, self.questions, self.style, self.language = name, list(questions), style, language
        self.heading, self.plain, self.metric = heading, plain, metric
        self.chance = sum(1 / len(question.options) for question in self.questions) / max(1, len(self.questions))

    def __len__(self) -> int:
        return len(self.questions)

    def listed(self, i: int) -> str:
        """The question with its options, a letter each."""
        question = self.questions[i]
        lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, question.options, strict=False)]
        return "\n".join([question.text, *lines])

    def conversation(self, i: int) -> Messages:
        return pair(f"{self.listed(i)}\n{WORDS[self.language][2]}", LETTERS[self.questions[i].right])

    def grade(self, i: int, reply: str) -> float:
        question = self.questions[i]
        return float(letter_of(reply, question.options) == question.right)

    def choice(self, i: int) -> Choice:
        question = self.questions[i]
        ask, answer, _ = WORDS[self.language]
        if self.style == "letters":
            letters = tuple(f" {letter}" for letter in LETTERS[: len(question.options)])
            return Choice(f"{self.listed(i)}\n{answer}", letters, question.right, answer)
        context = question.text if self.plain else f"{ask} {question.text}\n{answer}"
        return Choice(context, tuple(f" {option}" for option in question.options), question.right, answer)

    def preamble(self, i: int) -> str:
        return self.heading.format(group=self.group(i).replace("_", " "))

    def group(self, i: int) -> str:
        return self.questions[i].group


def letter_of(reply: str, options: Sequence[str]) -> int | None:
    """The index of the option that a reply names: by a letter that is said to be the answer, by a letter at its
    start or in brackets, or by the option's own words; None if it names none or several."""
    reply = reply.strip()
    letters = LETTERS[: len(options)]
    found = [letter.upper() for letter in SAID.findall(reply)] or re.findall(r"[\[(]([A-Z])[\])]", reply)
    found = found or re.findall(r"^([A-Z])(?=[.):,;\n]|$)", reply)  # "A." is an answer, "A river" is not
    named = {letters.index(letter) for letter in found if letter in letters}
    if not named:
        named = {place for place, option in enumerate(options) if option and option.lower() in reply.lower()}
    return named.pop() if len(named) == 1 else None
