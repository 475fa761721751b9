"""Learning to add from rewards alone: an own small model that adds two numbers below a hundred wrongly more often than
rightly becomes one that adds them rightly, by GRPO (Shao et al. 2024) on ``glaswerk align --task addition``.

The start is a base model on written-out sums and an assistant from a few of them, both stopped early. GRPO then sees
questions only, and for each of its own replies whether it is right. The sums that measure were in none of the three
stages. Everything is a run: ``glaswerk chat OUT/seed-0`` and ``glaswerk eval OUT/seed-0 --task addition`` open it.

    python recipes/addition_grpo.py --out FOLDER [--seeds 3]

Left out: steps written out before the answer (``thinking_budget.py``).
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from glaswerk.evaluate import score
from glaswerk.evaluate.tasks.arithmetic import Arithmetic
from glaswerk.opened import load
from glaswerk.pipeline import pretrain, sft
from glaswerk.run import Run
from glaswerk.tuning import align

#: the model: 3 layers of 128 are 0.7 M parameters
LAYERS, WIDTH = 3, 128
#: texts of sums, and sums in each
TEXTS, SUMS = 3000, 12
#: how dear it is to leave the start: a reward that is checked needs little holding back
BETA = 0.01
#: how often each question is in the chats: the run's own texts, continued, are most of what an assistant learns else
COPIES = 8
#: steps of the base model, and rounds of GRPO
BASE, ROUNDS = 600, 320
#: how long the assistant is taught: the first of these after which it is right in a fifth to three fifths of what it
#: may learn from. Adding comes suddenly, and not at the same step for each seed
ASSISTANT, START, ASKED = (50, 75, 100, 125, 150, 200, 250, 300, 350, 400), (0.2, 0.6), 200


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write: a run for each seed, results.json")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    rows = []
    for seed in range(arguments.seeds):
        began = time.perf_counter()
        job = made(arguments.out / f"seed-{seed}", arguments.out, seed)
        facts = job.data["stages"]["grpo"]
        rows.append(
            {
                "seed": seed,
                "parameters": facts["parameters"],
                "assistant_steps": job.data["stages"]["sft"]["chosen"],
                "before": facts["measured_before"],
                "after": facts["measured"],
                "interval": facts["interval"],
                "rounds": facts["rounds"],
                "kl": facts["last_kl"],
                "seconds": round(time.perf_counter() - began),
            }
        )
        print(
            f"seed {seed}: {facts['measured_before']:.1%} -> {facts['measured']:.1%} of held-out sums right "
            f"(95 % interval {facts['interval'][0]:.1%} to {facts['interval'][1]:.1%}), {facts['rounds']} rounds, "
            f"{facts['last_kl']:.1f} nats from the start; {(time.perf_counter() - began) / 60:.1f} minutes",
            flush=True,
        )
    gains = [100 * (row["after"] - row["before"]) for row in rows]
    print(f"gained, in points: mean {sum(gains) / len(gains):.1f}, least {min(gains):.1f}")
    (arguments.out / "results.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")


def made(folder: Path, out: Path, seed: int) -> Run:
    """The run's three stages, as far as they are not there yet."""
    out.mkdir(parents=True, exist_ok=True)
    texts, chats = out / f"sums-{seed}.jsonl", out / f"chats-{seed}.jsonl"
    task = Arithmetic(sums=True).practice()
    write_texts(texts, task, seed)
    write_lines(chats, [{"messages": task.conversation(i)} for i in range(len(task))] * COPIES)
    if not (Run.is_run(folder) and Run(folder).finished("base")):
        pretrain([str(texts)], steps=BASE, out=folder, layers=LAYERS, width=WIDTH, seed=seed)
    if not (Run(folder).finished("sft") and Run(folder).data["stages"]["sft"].get("chosen")):
        taught(folder, chats, task)
    if not Run(folder).finished("grpo"):
        align(folder, method="grpo", task="addition", steps=ROUNDS, beta=BETA)
    return Run(folder)


def taught(folder: Path, chats: Path, task: Arithmetic) -> None:
    """An assistant that has begun to add."""
    for steps in ASSISTANT:
        job = Run(folder)
        job.data["stages"].pop("sft", None)
        job.save()
        shutil.rmtree(job.stage("sft"), ignore_errors=True)
        sft(folder, chats=[chats], steps=steps)
        right = score(load(str(folder / "sft")), task, limit=ASKED).value
        print(f"  {steps} steps of the assistant: {right:.1%} of {ASKED} sums that it may learn from", flush=True)
        if START[0] <= right <= START[1]:
            break
    job = Run(folder)
    job.data["stages"]["sft"]["chosen"] = steps
    job.save()


def write_texts(file: Path, task: Arithmetic, seed: int) -> None:
    """Sums to read, half of them as questions; none of them measures."""
    rng = np.random.default_rng([seed, 1])
    rows = []
    for _ in range(TEXTS):
        drawn, asked = rng.integers(len(task), size=SUMS).tolist(), (rng.random(SUMS) < 0.5).tolist()
        lines = []
        for i, question in zip(drawn, asked, strict=True):
            one = task.problems[i]
            lines.append(
                f"{task.prompt(i)[-1]['content']}\n{one.result}" if question else f"{one.a} + {one.b} = {one.result}"
            )
        rows.append({"text": "\n".join(lines)})
    write_lines(file, rows)


def write_lines(file: Path, rows: list[Any]) -> None:
    """JSON, a line each."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
