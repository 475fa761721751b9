"""``python -m benchmarks --list`` and ``python -m benchmarks NAME [--json]``.

Exit 0: measured; 1: could not (one line says why and what to do); 2: usage. The JSON object also has the
machine, its measured peaks and the versions, without which a figure says little.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from glaswerk.errors import GlaswerkError


@dataclass(frozen=True)
class Benchmark:
    """What is measured, and the ratio to the peer that must be (gate) and should be (aim) reached."""

    what: str
    gate: float
    aim: float


#: name -> benchmark; each is a module of this package
BENCHMARKS = {
    "time_to_loss": Benchmark("seconds to the loss that nanoGPT's CPU run ends with", 6.0, 15.0),
    "train_throughput": Benchmark("training tokens/s of one 10.7 M GPT-2 shape, the better of two peers", 1.5, 3.0),
    "lora_throughput": Benchmark("LoRA tuning tokens/s, SmolLM2-135M, against PEFT with transformers", 1.3, 2.0),
    "best_loss_10min": Benchmark("validation loss on tinyshakespeare after 10 minutes", 1.0, 1.55 / 1.45),
    "bpe_train": Benchmark("BPE training, 5 MB, vocabulary 4,096, against tokenizers", 0.2, 1.0),
    "encode": Benchmark("encoding MB/s with identical ids, against tiktoken", 0.95, 5.0),
    "prepare": Benchmark("clean + dedup + tokenize + pack, MB/s", 1.0, 10 / 3),
    "cli_start": Benchmark("glaswerk --help, process time", 1.0, 0.35 / 0.15),
    "decode": Benchmark("writing, SmolLM2-135M, tokens/s, against llama.cpp at 4 bits", 1.0, 2.0),
    "decode_hf": Benchmark("writing, SmolLM2-135M, tokens/s, against transformers in bf16", 4.0, 8.0),
    "prefill": Benchmark("reading 512 tokens, SmolLM2-135M, tokens/s, against llama.cpp's best format", 1.2, 2.0),
    "cold_start": Benchmark("process start to first token, SmolLM2-135M", 1.0, 1.0),
    "own_model_decode": Benchmark("writing, a 10 M model of our own, tokens/s, against transformers", 5.0, 15.0),
    "serve_load": Benchmark("32 clients, SmolLM2-135M, tokens/s in all, against llama.cpp's server", 2.0, 5.0),
    "eval_throughput": Benchmark("questions/s, MMLU with five examples, SmolLM2-135M, against lm-eval", 3.0, 8.0),
    "rollout": Benchmark("rollout tokens/s with log-probabilities, 10 M model, against TRL's GRPO trainer", 4.0, 10.0),
    "trace": Benchmark("every value of 32 tokens through SmolLM2, as JSON", 1.0, 1.5 / 0.75),
    "lab_pages": Benchmark("every page of the lab in Chromium: usable, loaded, sliders; the worst of them", 1.0, 2.0),
}


def main(argv: list[str] | None = None) -> int:
    """Run one benchmark and print its result; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure Glaswerk beside its peers.")
    parser.add_argument("name", nargs="?", metavar="NAME", help="one of --list")
    parser.add_argument("--list", action="store_true", help="show all names")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args(argv)
    if asked.list or not asked.name:
        show_list(asked.json)
        return 0
    if asked.name not in BENCHMARKS:
        near = get_close_matches(asked.name, BENCHMARKS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "see `python -m benchmarks --list`"
        print(f"benchmarks: there is no benchmark {asked.name!r}; {hint}", file=sys.stderr)
        return 2
    try:
        result = measured(asked.name)
    except GlaswerkError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("glaswerk", "benchmarks"):
            raise
        print(f"benchmarks: {asked.name} needs {error.name}: run `make setup-bench`", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if asked.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        show(result)
    return 0


def measured(name: str) -> dict[str, Any]:
    """A benchmark's result with everything that belongs to reading it."""
    from benchmarks.measure import machine

    benchmark = BENCHMARKS[name]
    result = import_module(f"benchmarks.{name}").run()
    goals = {"gate": round(benchmark.gate, 3), "aim": round(benchmark.aim, 3)}
    return {**result, "name": name, **goals, "machine": result.get("machine") or machine()}


def show_list(as_json: bool) -> None:
    """All names, what each measures, and the ratios to reach."""
    if as_json:
        print(json.dumps({name: vars(benchmark) for name, benchmark in BENCHMARKS.items()}))
        return
    for name, benchmark in BENCHMARKS.items():
        print(f"{name:<17} gate {benchmark.gate:>5.2f}x  aim {benchmark.aim:>5.2f}x   {benchmark.what}")


def show(result: dict[str, Any]) -> None:
    """The result for people: the figures, the ratio against gate and aim, the machine."""
    reached = "aim reached" if result["ratio"] >= result["aim"] else "gate reached"
    reached = reached if result["ratio"] >= result["gate"] else "below the gate"
    print(f"{result['name']}: {BENCHMARKS[result['name']].what}")
    print(f"  ours   {result['ours']:>12,.4g} {result['unit']}")
    print(f"  peer   {result['peer']:>12,.4g} {result['unit']}   ({result['peer_name']})")
    print(f"  ratio  {result['ratio']:>12.2f}x   {reached} (gate {result['gate']:.2f}, aim {result['aim']:.2f})")
    known = {"name", "ours", "peer", "peer_name", "unit", "ratio", "gate", "aim", "machine"}
    for key, value in result.items():
        if key not in known:
            print(f"  {key}: {json.dumps(value, ensure_ascii=False)}")
    machine = result["machine"]
    print(
        f"  machine: {machine['cores']} cores, {machine['threads']} threads, load {machine['load']:.1f};"
        f" GEMM fp32 {machine['fp32_gflops']:,.0f} and bf16 {machine['bf16_gflops']:,.0f} GFLOP/s,"
        f" memory {machine['read_gbs']:,.1f} GB/s"
    )


if __name__ == "__main__":
    sys.exit(main())
