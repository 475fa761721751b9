"""SmolLM2 learns to call functions, by LoRA, from 500 examples: exact calls on other questions before and after, and
what it forgot meanwhile.

The examples and the measure are one Task (the Berkeley Function Calling Leaderboard's questions), so the format that is
learned is the format that is graded. Of the held-out questions none was learned; bits per byte of encyclopedia articles
say what was forgotten:

    python recipes/tool_calls_lora.py --out runs/tool-calls [--examples 500] [--nf4]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from glaswerk.align.chats import render
from glaswerk.corpora import read
from glaswerk.evaluate import open_task
from glaswerk.evaluate.metrics.intervals import difference, wilson
from glaswerk.evaluate.text import text_score
from glaswerk.opened import OpenedModel, load
from glaswerk.tuning import tune

#: tokens of a conversation at most, questions to measure with, and articles that show what was forgotten
LONGEST, ASKED, ARTICLES = 400, 100, 60


def main() -> None:
    """Measure, tune, measure again; print what came out and keep ``results.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--examples", type=int, default=500)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--nf4", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    task, before = open_task("tool-calls"), load(arguments.model)
    short = [i for i in range(len(task)) if len(render(before.speech, task.conversation(i))[0]) <= LONGEST]
    drawn = [short[place] for place in np.random.default_rng(0).permutation(len(short)).tolist()]
    learned, asked = drawn[ASKED : ASKED + arguments.examples], drawn[:ASKED]
    chats = arguments.out / "chats.jsonl"
    lines = (json.dumps({"messages": task.conversation(i)}) + "\n" for i in learned)
    chats.write_text("".join(lines), encoding="utf-8")

    began = time.perf_counter()
    report = tune(arguments.model, chats=[chats], out=arguments.out / "tuned", nf4=arguments.nf4)
    seconds = time.perf_counter() - began
    after = load(str(arguments.out / "tuned"))
    grades = [graded(opened, asked) for opened in (before, after)]
    texts = "\n\n".join(document.text for document in [*read(["wikipedia-en"])][:ARTICLES])
    bits = [bits_per_byte(opened, texts) for opened in (before, after)]
    gain, low, high = difference(*grades)
    results = {
        "examples": len(learned), "trained": report["trained"], "minutes": round(seconds / 60, 1),
        "tokens_per_second": report["tokens_per_second"], "before": sum(grades[0]) / ASKED,
        "after": sum(grades[1]) / ASKED, "gain": [gain, low, high], "bits_per_byte": bits,
    }  # fmt: skip
    (arguments.out / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    for name, each in zip(("before", "after"), grades, strict=True):
        right = int(sum(each))
        print(f"{name}: {right} of {ASKED} calls exact, 95 % interval {said(wilson(right, ASKED))}")
    print(f"gain {gain:+.2f} ({low:+.2f} to {high:+.2f}); {len(learned)} examples in {seconds / 60:.1f} minutes")
    print(f"encyclopedia, bits per byte: {bits[0]:.3f} before, {bits[1]:.3f} after")


def graded(opened: OpenedModel, asked: list[int]) -> list[float]:
    """The grade of a greedy reply to each question."""
    task = open_task("tool-calls")
    replies = opened.chat_batch([task.prompt(i) for i in asked], max_tokens=task.max_tokens)
    return [task.grade(i, reply) for i, reply in zip(asked, replies, strict=True)]


def bits_per_byte(opened: OpenedModel, text: str) -> float:
    """Bits per byte of a text that neither stage of this recipe was tuned on."""
    ids = np.asarray([opened.tokenizer.end_id, *opened.tokenizer.encode(text)])
    return round(text_score(opened, ids, "encyclopedia").value, 4)


def said(interval: tuple[float, float]) -> str:
    """An interval in percent."""
    return f"{interval[0]:.0%} to {interval[1]:.0%}"


if __name__ == "__main__":
    main()
