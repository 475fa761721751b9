"""``glaswerk chat MODEL``: talk to a model in the terminal, or ask it one question with ``--once``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from glaswerk.opened import OpenedModel

app = typer.Typer(add_completion=False)

HELP = """/reset      forget the conversation
/save FILE  write it as JSONL, which `glaswerk sft` and `glaswerk run --chat` read
/help       this
/quit       leave (Ctrl-D too); Ctrl-C stops a reply"""


@app.command()
def chat(
    model: str = typer.Argument(help="A run, a stage, a Hugging Face folder, a GGUF file, or a pulled name."),
    once: str | None = typer.Option(None, help="Ask this one question, print the reply, leave."),
    system: str = typer.Option("", help="What the model is told before the conversation."),
    max_tokens: int = typer.Option(256, help="Stop a reply after this many tokens."),
    temperature: float = typer.Option(0.0, help="0 always takes the likeliest token (greedy)."),
    top_p: float = typer.Option(1.0, help="Draw from the likeliest that reach P together; 1: off."),
    repetition_penalty: float | None = typer.Option(
        None, help="Above 1: what was said becomes less likely. 1.1 for models trained here, else 1."
    ),
    seed: int | None = typer.Option(None, help="The same seed gives the same replies."),
    dtype: str = typer.Option("auto", help="auto, fp32, bf16, int8 or int4; auto: a GGUF file as it is, else fp32."),
    json: bool = typer.Option(False, "--json", help="With --once: one JSON object on stdout."),
) -> None:
    """Talk to a model in the terminal."""
    from glaswerk.cli.generate import report
    from glaswerk.cli.opening import open_model
    from glaswerk.cli.terminal import console, print_json
    from glaswerk.errors import GlaswerkError

    if once is not None and not once.strip():
        raise GlaswerkError("--once needs a question")
    if json and once is None:
        raise GlaswerkError("--json needs --once QUESTION: a conversation is not one JSON object")
    opened = open_model(model, dtype)
    options: dict[str, Any] = {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "seed": seed,
    }
    if repetition_penalty is not None:
        options["repetition_penalty"] = repetition_penalty
    if once is None:
        chat_loop(opened, console(), system=system, **options)
        return
    messages = [*opening(system), {"role": "user", "content": once}]
    result = opened.chat(messages, **{**habits(opened), **options})
    if json:
        measured = report(result)
        del measured["text"]
        print_json({"reply": result.text.strip(), **measured})
        return
    screen = console()
    screen.print(result.text.strip(), markup=False, soft_wrap=True)
    console(stderr=True).print(
        f"[faint]{rate(len(result.ids), result.seconds)}. Go on: glaswerk chat {model}[/faint]", soft_wrap=True
    )


def chat_loop(opened: OpenedModel, console: Console, *, system: str = "", **options: Any) -> None:
    """A conversation on ``console`` until /quit or the end of input. ``options`` as in ``OpenedModel.chat``.

    Raises :class:`GlaswerkError` for a model without chat tokens.
    """
    from glaswerk.errors import GlaswerkError

    opened.require_chat()
    options = {"max_tokens": 256, **habits(opened), **options}
    console.print(f"[bold]{opened.origin.name}[/bold]  [faint]/help /reset /save FILE /quit[/faint]", soft_wrap=True)
    if opened.origin.stage == "base":
        console.print("[warn]This is the base stage: it continues text and was not taught to answer.[/warn]")
    messages = opening(system)
    while True:
        try:
            said = console.input("[token]> [/token]").strip()
        except (EOFError, KeyboardInterrupt):
            console.print()
            return
        if said.startswith("/"):
            command, _, rest = said.partition(" ")
            if command in ("/quit", "/exit"):
                return
            if command == "/reset":
                messages = opening(system)
                console.print("[faint]forgotten[/faint]")
            elif command == "/save":
                save(console, messages, rest.strip())
            else:
                console.print(HELP, markup=False)
            continue
        if not said:
            continue
        messages.append({"role": "user", "content": said})
        fitting, dropped = opened.fit(messages, options["max_tokens"])
        if dropped:
            console.print(f"[faint]the context is full: the oldest {dropped} messages were left out[/faint]")
            messages = [dict(message) for message in fitting]
        try:
            reply = answer(opened, console, messages, options)
        except GlaswerkError as error:
            console.print(f"[warn]{error}[/warn]", soft_wrap=True)
            messages.pop()
            continue
        messages.append({"role": "assistant", "content": reply})


def answer(opened: OpenedModel, console: Console, messages: list[dict[str, str]], options: dict[str, Any]) -> str:
    """Stream one reply to the console and return it; Ctrl-C ends it early and keeps what was said."""
    began = time.perf_counter()
    parts: list[str] = []
    tokens = 0
    pieces = opened.stream_chat(messages, **options)
    try:
        for piece in pieces:
            text = piece.text if parts else piece.text.lstrip()
            tokens += 1
            if text:
                parts.append(text)
                console.print(text, end="", markup=False, soft_wrap=True)
    except KeyboardInterrupt:
        pieces.close()  # type: ignore[attr-defined]
    console.print(f"\n[faint]{rate(tokens, time.perf_counter() - began)}[/faint]")
    return "".join(parts).strip()


def opening(system: str) -> list[dict[str, str]]:
    """What stands before the first question."""
    return [{"role": "system", "content": system}] if system else []


def habits(opened: OpenedModel) -> dict[str, Any]:
    """Small models trained here fall into loops when greedy: a mild penalty keeps them out. Others are left
    alone.
    """
    return {"repetition_penalty": 1.1} if opened.origin.run else {}


def rate(tokens: int, seconds: float) -> str:
    """Tokens and their speed, for people."""
    return f"{tokens} tokens, {tokens / max(seconds, 1e-9):,.0f} tokens/s"


def save(console: Console, messages: list[dict[str, str]], name: str) -> None:
    """Write the conversation to a file, replacing it: one line in the messages format of OpenAI."""
    import json

    from glaswerk.errors import GlaswerkError
    from glaswerk.home import write_text

    if not name:
        console.print("[warn]/save needs a file name[/warn]")
        return
    try:
        write_text(Path(name).expanduser(), json.dumps({"messages": messages}, ensure_ascii=False) + "\n")
    except GlaswerkError as error:
        console.print(f"[warn]{error}[/warn]", soft_wrap=True)
        return
    console.print(f"[faint]saved {len(messages)} messages in {name}[/faint]", soft_wrap=True)
