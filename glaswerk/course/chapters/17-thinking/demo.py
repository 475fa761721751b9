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
    told = {f"{task}_{name}": value for task in recorded.TASKS for name, value in about(task).items()}
    # recorded games that were cut: is the answer what the last whole step says?
    cut = [
        walked.follows(problem, reply)
        for problem in recorded.recording()["chains"]
        for reply in problem["replies"]
        if problem["task"] == "cups" and reply["forced"]
    ]
    return {
        **told, "layers": facts["layers"], "seeds": facts["seeds"], "thousands": facts["parameters"] / 1000,
        "most": max(row["setting"] for row in recorded.pooled("budget")), "walk": WALK,
        "depth_none": facts["layers"], "depth_walk": facts["layers"] * (WALK + 1),
        "price_double": 2 * told["cups_price"], "repeated": cut.count(True), "repeats": len(cut) - cut.count(None),
    }  # fmt: skip


def about(task: str) -> dict[str, float]:
    """What is said of one task."""
    rows = {
        (what, row["stage"], row["setting"]): row
        for what in ("budget", "at once", "wait", "slip", "votes")
        for row in recorded.pooled(what)
        if row["task"] == task
    }
    most = max(setting for what, _, setting in rows if what == "budget")
    full, first, second = rows["budget", "sft", most], rows["slip", "sft", 0], rows["slip", "sft", 1]
    right, second_right = (round(row["right"] * row["count"]) for row in (full, second))
    # the largest budget at which nearly all were cut
    cut = max(
        setting for (what, stage, setting), row in rows.items()
        if (what, stage) == ("budget", "sft") and row["forced"] > 0.99 * row["count"]
    )  # fmt: skip
    single = recorded.found(one_thought(recorded.pooled("votes")), task, "sft", most)
    rewarded, rewarded_slip = rows["votes", "grpo", 1], rows["slip", "grpo", 0]
    return {
        "none": 100 * rows["budget", "sft", 0]["right"], "once": 100 * rows["at once", "sft", 0]["right"],
        "full": 100 * full["right"], "tokens": full["tokens"], "price": full["price"] or 0,
        "grpo_full": 100 * rows["budget", "grpo", most]["right"],
        "cut_at": cut, "cut": 100 * rows["budget", "sft", cut]["right"],
        **{f"wait_{waits}": 100 * rows["wait", "sft", waits]["right"] for waits in (0, 1, 2)},
        # one drawn reply, the vote of sixteen, and the one likeliest reply to the same problems
        **{f"votes_{drawn}": 100 * rows["votes", "sft", drawn]["right"] for drawn in (1, 2, 16)},
        **{f"spent_{drawn}": rows["votes", "sft", drawn]["tokens"] for drawn in (1, 16)},
        "single": 100 * single["right"], "single_tokens": single["tokens"],
        "grpo_votes_1": 100 * rewarded["right"], "grpo_spent_1": rewarded["tokens"],
        # a wrong first step, and how often it was taken back
        "slip_0": 100 * first["right"], "back_0": share(first["taken_back"], first["count"]),
        "grpo_back_0": share(rewarded_slip["taken_back"], rewarded_slip["count"]),
        # a wrong second step: in what it hands on, and in what that was worked out from
        "back_1": share(second["taken_back"], second["count"]),
        "handed": share(second["handed_right"], second["handed"]),
        "worked": share(second_right - second["handed_right"], second["count"] - second["handed"]),
        # of the right answers those with a chain that is not, of the right chains those with a wrong answer
        "lucky": share(right - full["both"], right), "spoiled": share(full["chains"] - full["both"], full["chains"]),
    }  # fmt: skip


def share(part: float, whole: float) -> float:
    """In per cent; 0 of nothing."""
    return 100 * part / whole if whole else 0.0
