"""A small model that says so when it does not know: an assistant of 300 short articles learns, by DPO, to decline
titles that it never read; measured on other titles of the same encyclopedia, which no stage has seen.

Everything has a number of steps, nothing depends on a clock. For each seed: base, assistant, preferences from the run's
own corpus, then two hundred questions before and after, in phrasings that no training used:

    python recipes/dont_know.py --out runs/dont-know [--seeds 3]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from glaswerk.align.own_pairs import Honesty, honesty
from glaswerk.corpora import Document, read
from glaswerk.evaluate.metrics.intervals import wilson
from glaswerk.opened import load
from glaswerk.pipeline import pretrain, sft
from glaswerk.run import Run
from glaswerk.tuning import align

ARTICLES, STRANGERS = 300, 100
#: optimizer steps of the three stages
BASE, ASSISTANT, PREFERENCES = 250, 500, 120
LAYERS, WIDTH = 3, 128


def short_articles() -> Iterator[Document]:
    """Articles of at most 400 characters, with short titles."""
    return (d for d in read(["wikipedia-en"]) if d.title and len(d.title) <= 24 and 80 <= len(d.text) <= 400)


def main() -> None:
    """Train and measure for each seed, print a table and keep ``results.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    articles = list(short_articles())
    texts = arguments.out / "articles.jsonl"
    lines = (json.dumps({"title": d.title, "text": d.text}) + "\n" for d in articles[:ARTICLES])
    texts.write_text("".join(lines), encoding="utf-8")
    taken = {document.title for document in articles[:ARTICLES]}
    others = [d.title for d in read(["wikipedia-en"]) if 3 < len(d.title) <= 24 and d.title not in taken]
    print(f"{ARTICLES} articles; {len(others):,} other titles to ask about", flush=True)
    rows: list[dict[str, Any]] = []
    for seed in range(arguments.seeds):
        began = time.perf_counter()
        folder = arguments.out / f"seed-{seed}"
        if not (Run.is_run(folder) and Run(folder).finished("dpo")):
            make(texts, folder, seed)
        met = (folder / "dpo" / "pairs.jsonl").read_text(encoding="utf-8").lower()
        fresh = [title for title in others if title.lower() not in met]  # no name was made up that is one of them
        drawn = np.random.default_rng([seed, 23]).permutation(len(fresh))[:STRANGERS]
        strangers = [fresh[place] for place in drawn.tolist()]
        before, after = (measured(folder, stage, strangers, seed) for stage in ("sft", "dpo"))
        rows.append({"seed": seed, "sft": asdict(before), "dpo": asdict(after)})
        print(
            f"seed {seed}: right refusals {before.rightly_declined:.0%} -> {after.rightly_declined:.0%}, right answers "
            f"{before.right:.0%} -> {after.right:.0%}, wrong refusals {after.wrongly_declined:.0%}; "
            f"{(time.perf_counter() - began) / 60:.1f} minutes",
            flush=True,
        )
    print(summary(rows))
    (arguments.out / "results.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")


def make(texts: Path, folder: Path, seed: int) -> None:
    """The run's three stages."""
    if not (Run.is_run(folder) and Run(folder).finished("sft")):
        pretrain([str(texts)], steps=BASE, out=folder, layers=LAYERS, width=WIDTH, seed=seed)
        sft(folder, steps=ASSISTANT)
    align(folder, method="dpo", steps=PREFERENCES)


def measured(folder: Path, stage: str, strangers: list[str], seed: int) -> Honesty:
    """What a stage answers."""
    shares, _ = honesty(Run(folder), load(str(folder / stage)), seed, strangers)
    return shares


def summary(rows: list[dict[str, Any]]) -> str:
    """All seeds together, with 95 % intervals over questions."""
    asked = sum(row["dpo"]["unknown"] for row in rows)
    declined = round(sum(row["dpo"]["rightly_declined"] * row["dpo"]["unknown"] for row in rows))
    low, high = wilson(int(declined), int(asked))
    lost = [100 * (row["sft"]["right"] - row["dpo"]["right"]) for row in rows]
    return (
        f"right refusals {declined / asked:.0%} (95 % interval {low:.0%} to {high:.0%}, {asked:.0f} questions); "
        f"right answers lost, in points: mean {sum(lost) / len(lost):.1f}, worst {max(lost):.1f}"
    )


if __name__ == "__main__":
    main()
