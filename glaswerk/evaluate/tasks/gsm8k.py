"""GSM8K (Cobbe et al. 2021): 100 word problems of its test set, solved in sentences that end in "#### number"."""

from __future__ import annotations

import re

from glaswerk.evaluate.task import Messages, Task, pair
from glaswerk.evaluate.tasks.arithmetic import last_number
from glaswerk.evaluate.tasks.reading import json_lines


class GSM8K(Task):
    """Graded by the number after "####" where there is one, else by the last number of the reply."""

    name, metric, max_tokens = "gsm8k", "exact match", 256

    def __init__(self) -> None:
        self.cases = list(json_lines("gsm8k-100", "cases.jsonl"))

    def __len__(self) -> int:
        return len(self.cases)

    def conversation(self, i: int) -> Messages:
        # the data carries a calculator's notes in << >>, which are not part of the solution
        return pair(self.cases[i]["prompt"], re.sub(r"<<.*?>>", "", self.cases[i]["upstream_answer"]))

    def grade(self, i: int, reply: str) -> float:
        marked = re.search(r"####\s*(\S+)", reply)
        return float(last_number(marked.group(1) if marked else reply) == last_number(self.cases[i]["expected"]))
