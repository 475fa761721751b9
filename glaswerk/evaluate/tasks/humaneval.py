"""HumanEval (Chen et al. 2021): 164 Python functions to complete; a reply is right if its tests pass in the sandbox.

Left out: programs that need libraries (none of the canonical solutions does).
"""

from __future__ import annotations

import re

from glaswerk import sandbox
from glaswerk.evaluate.task import Messages, Task, pair
from glaswerk.evaluate.tasks.reading import json_lines

#: the first fenced block of a reply
BLOCK = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)


class HumanEval(Task):
    """Raises :class:`GlaswerkError` where there is no sandbox: then nothing is run."""

    name, metric, max_tokens = "humaneval", "pass@1", 384

    def __init__(self) -> None:
        sandbox.require("humaneval")
        self.problems = list(json_lines("humaneval", "HumanEval.jsonl.gz"))

    def __len__(self) -> int:
        return len(self.problems)

    def conversation(self, i: int) -> Messages:
        begun = self.problems[i]["prompt"]
        solved = f"```python\n{begun}{self.problems[i]['canonical_solution']}```"
        return pair(f"Complete this Python function.\n\n```python\n{begun.strip()}\n```", solved)

    def grade(self, i: int, reply: str) -> float:
        return float(sandbox.run(self.program(i, reply)).ok)

    def program(self, i: int, reply: str) -> str:
        """The reply with what the function needs around it, and the tests. A reply that defines the function is taken
        as it stands after the given imports; one that only goes on with the body is put behind the given beginning."""
        problem = self.problems[i]
        begun, name = problem["prompt"], problem["entry_point"]
        block = BLOCK.search(reply)
        code = block.group(1) if block else reply
        if re.search(rf"^def {re.escape(name)}\b", code, re.MULTILINE):
            given = begun[: begun.index(f"def {name}")]  # imports and helpers that the reply need not repeat
            code = f"{given}\n{code}"
        else:
            code = f"{begun}{code}" if code[:1].isspace() else f"{begun}    {code}"
        return f"{code}\n\n{problem['test']}\ncheck({name})\n"
