"""What chapter 17 shows: how right a small model is against the tokens that it may write before it answers, its chains
token by token, votes, and what happens when it must go on, is cut, or finds a wrong step in its own mouth.

It was measured by ``recipes/thinking_budget.py`` on models of its own, not on the open one: they have to learn the two
tasks first. ``recorded.py`` reads what was written down, ``walked.py`` takes chains apart; ``trial.py`` has the open
model think on a budget, once.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from glaswerk.course.demo import demo, load_module
from glaswerk.tokenizer.chip import chip


def beside(name: str) -> ModuleType:
    """A file of this folder as a module: the folder's name begins with a number, so ``import`` cannot."""
    return load_module(Path(__file__).with_name(f"{name}.py"), f"glaswerk_chapter_thinking_{name}")


recorded, walked = beside("recorded"), beside("walked")
trial = beside("trial").trial

#: tokens of thinking in the example of the prose
WALK = 20


@demo()
def budget() -> dict[str, Any]:
    """Right answers against the tokens of thinking allowed, for both tasks and both stages; and those of the same model
    where it is asked to answer at once."""
    return {**recorded.facts(), "rows": recorded.pooled("budget"), "at_once": recorded.pooled("at once")}


@demo()
def chains() -> dict[str, Any]:
    """Some problems with the reply to each at every budget: its tokens, the probability of each, and which step each
    belongs to. Of a reply only the tokens are told that differ from the uncut one, which comes first."""
    told = []
    for problem in recorded.recording()["chains"]:
        replies = [
            {
                **reply, "tokens": [chip(token.encode()) for token in reply["tokens"]],
                "steps": walked.steps(problem, reply), "follows": walked.follows(problem, reply),
            }
            for reply in problem["replies"]
        ]  # fmt: skip
        told.append({**problem, "replies": replies})
    return {**recorded.facts(), "problems": told}


@demo()
def votes() -> dict[str, Any]:
    """The answer that most of several drawn replies give: right answers and tokens, beside what one thought makes of a
    budget on the same problems."""
    rows = recorded.pooled("votes")
    return {**recorded.facts(), "rows": rows, "single": one_thought(rows)}


def one_thought(votes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The budgets' rows on the problems that are voted on."""
    told = []
    for row in recorded.pooled("budget"):
        count = recorded.found(votes, row["task"], row["stage"], 1)["count"]
        told.append({**row, "right": row["voted"] / count, "count": count})
    return told


@demo()
def hurts() -> dict[str, Any]:
    """Right answers and their price where a model that was done is made to wait, where its first steps are put into its
    mouth and the last of them is wrong, and where it is cut."""
    return {
        **recorded.facts(), "wait": recorded.pooled("wait"), "slip": recorded.pooled("slip"),
        "cut": recorded.pooled("budget"),
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- numbers
@demo()
def numbers() -> dict[str, float]:
    """The numbers that stand in the prose, the quiz and the exercises; shares in per cent. Where no stage is named it
    is the one after SFT."""
    facts = recorded.facts()
    rows, votes = recorded.pooled("budget"), recorded.pooled("votes")
    waits, slips, at_once = recorded.pooled("wait"), recorded.pooled("slip"), recorded.pooled("at once")
    budgets = sorted({row["setting"] for row in rows})
    told: dict[str, float] = {
        "layers": facts["layers"], "seeds": facts["seeds"], "thousands": facts["parameters"] / 1000,
        "most": budgets[-1], "walk": WALK, "depth_none": facts["layers"], "depth_walk": facts["layers"] * (WALK + 1),
    }  # fmt: skip
    for task in recorded.TASKS:
        none, full = (recorded.found(rows, task, "sft", budget) for budget in (budgets[0], budgets[-1]))
        right = round(full["right"] * full["count"])
        own = [row for row in rows if (row["task"], row["stage"]) == (task, "sft")]
        # the largest budget at which nearly all were cut
        cut = max((row for row in own if row["forced"] > 0.99 * row["count"]), key=lambda row: row["setting"])
        told |= {
            f"{task}_none": 100 * none["right"], f"{task}_full": 100 * full["right"], f"{task}_tokens": full["tokens"],
            f"{task}_price": full["price"] or 0, f"{task}_cut": 100 * cut["right"], f"{task}_cut_at": cut["setting"],
            f"{task}_grpo_full": 100 * recorded.found(rows, task, "grpo", budgets[-1])["right"],
            f"{task}_once": 100 * recorded.found(at_once, task, "sft", 0)["right"],
            # of the right answers those with a chain that is not, of the right chains those with a wrong answer
            f"{task}_lucky": share(right - full["both"], right),
            f"{task}_spoiled": share(full["chains"] - full["both"], full["chains"]),
        }  # fmt: skip
        for name, these in (("wait", waits), ("slip", slips), ("votes", votes)):
            own = [row for row in these if (row["task"], row["stage"]) == (task, "sft")]
            told |= {f"{task}_{name}_{row['setting']}": 100 * row["right"] for row in own}
        first, second = (recorded.found(slips, task, "sft", step) for step in (0, 1))
        rewarded = recorded.found(slips, task, "grpo", 0)
        right = round(second["right"] * second["count"])
        told |= {
            f"{task}_back_0": share(first["taken_back"], first["count"]),
            f"{task}_grpo_back_0": share(rewarded["taken_back"], rewarded["count"]),
            f"{task}_back_1": share(second["taken_back"], second["count"]),
            # slips in what the second step hands on, and in what it was worked out from
            f"{task}_handed": share(second["handed_right"], second["handed"]),
            f"{task}_worked": share(right - second["handed_right"], second["count"] - second["handed"]),
        }
        single = recorded.found(one_thought(votes), task, "sft", budgets[-1])
        told |= {f"{task}_single": 100 * single["right"], f"{task}_single_tokens": single["tokens"]}
        rewarded = recorded.found(votes, task, "grpo", 1)
        told |= {f"{task}_grpo_votes_1": 100 * rewarded["right"], f"{task}_grpo_spent_1": rewarded["tokens"]}
        for drawn in (1, 16):
            told[f"{task}_spent_{drawn}"] = recorded.found(votes, task, "sft", drawn)["tokens"]
    told["price_double"] = 2 * told["cups_price"]
    # recorded games that were cut: is the answer what the last whole step says?
    cut = [
        walked.follows(problem, reply)
        for problem in recorded.recording()["chains"]
        for reply in problem["replies"]
        if problem["task"] == "cups" and reply["forced"]
    ]
    return {**told, "repeated": cut.count(True), "repeats": len(cut) - cut.count(None)}


def share(part: float, whole: float) -> float:
    """In per cent; 0 of nothing."""
    return 100 * part / whole if whole else 0.0
