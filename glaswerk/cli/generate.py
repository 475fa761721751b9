"""``glaswerk generate MODEL PROMPT``: continue a text as it stands, without any chat format."""

from __future__ import annotations

import sys
import time
from json import loads
from pathlib import Path
from typing import Any

import typer

app = typer.Typer(add_completion=False)


@app.command()
def generate(
    model: str = typer.Argument(help="A run, a stage, a Hugging Face folder, a GGUF file, or a pulled name."),
    prompt: str = typer.Argument(help="The text to continue; '' is where any text may begin, - reads standard input."),
    max_tokens: int = typer.Option(128, help="Stop after this many tokens."),
    temperature: float = typer.Option(0.0, help="0 always takes the likeliest token (greedy)."),
    top_k: int = typer.Option(0, help="Draw from the K likeliest only; 0: off."),
    top_p: float = typer.Option(1.0, help="Draw from the likeliest that reach P together; 1: off."),
    min_p: float = typer.Option(0.0, help="Drop tokens below P times the likeliest; 0: off."),
    repetition_penalty: float = typer.Option(1.0, help="Above 1: what was said becomes less likely."),
    seed: int | None = typer.Option(None, help="The same seed gives the same text."),
    stop: list[str] = typer.Option([], help="End before this text; may be given more than once."),
    constrain: str = typer.Option(
        "", help="All the text must be: a pattern (' yes| no', '[0-9]+'), or a JSON schema or its file."
    ),
    dtype: str = typer.Option("auto", help="auto, fp32, bf16, int8 or int4; auto: a GGUF file as it is, else fp32."),
    json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Continue a prompt."""
    from glaswerk.cli.opening import open_model
    from glaswerk.cli.terminal import console, print_json

    if prompt == "-":
        prompt = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    opened = open_model(model, dtype)
    options: dict[str, Any] = {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
        "seed": seed,
        "stop": stop,
        **constraint(constrain),
    }
    if json:
        print_json(report(opened.generate(prompt, **options)))
        return
    began = time.perf_counter()
    tokens, reason = 0, ""
    for piece in opened.stream(prompt, **options):
        sys.stdout.write(piece.text)
        sys.stdout.flush()
        tokens, reason = tokens + 1, piece.finish_reason or ""
    sys.stdout.write("\n")
    sys.stdout.flush()
    rate = tokens / max(time.perf_counter() - began, 1e-9)
    said = {"length": "--max-tokens or the context was reached", "stop": "the text ended"}.get(reason, reason)
    console(stderr=True).print(
        f"[faint]{tokens} tokens, {rate:,.0f} tokens/s; {said}. Talk to it: glaswerk chat {model}[/faint]",
        soft_wrap=True,
    )


def constraint(rule: str) -> dict[str, Any]:
    """``--constrain`` as an option of the library: a JSON schema (in braces, or a .json file) or a regular expression.
    A list of choices is one too: ``a|b``. Raises :class:`GlaswerkError` for a schema that is no JSON object.
    """
    from glaswerk.errors import GlaswerkError
    from glaswerk.home import read_json

    if not rule:
        return {}
    schema: Any = None
    if Path(rule).is_file() or (rule.endswith(".json") and "\\" not in rule):
        if not Path(rule).is_file():
            raise GlaswerkError(f"--constrain: there is no file {rule}")
        schema = read_json(Path(rule))
    elif rule.startswith("{"):  # with which no pattern begins
        try:
            schema = loads(rule)
        except (ValueError, RecursionError) as error:
            raise GlaswerkError(f"--constrain begins with a brace and is no JSON schema: {error}") from error
    else:
        return {"regex": rule}
    if not isinstance(schema, dict):
        raise GlaswerkError("--constrain: a JSON schema is an object, in braces")
    return {"json_schema": schema}


def report(result: Any) -> dict[str, Any]:
    """A finished continuation as the JSON object that ``--json`` prints."""
    return {
        "text": result.text,
        "tokens": len(result.ids),
        "prompt_tokens": result.prompt_tokens,
        "ttft_seconds": result.first_seconds,
        "prefill_tokens_per_second": result.prefill_tokens_per_second,
        "decode_tokens_per_second": result.tokens_per_second,
        "finish_reason": result.finish_reason,
    }
