"""``glaswerk tokenizer``: train one, encode, decode, and see the same text as several tokenizers see it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.text import Text

    from glaswerk.tokenizer import Tokenizer

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Train, encode, decode, compare.")

#: what `compare` shows when nobody gives a text: one thing said in two languages
EXAMPLES = {
    "EN": "The glassworks closes at 17:30. Tomorrow we will melt 1,250 kilograms of unbelievably clear glass!\n",
    "DE": "Die Glashütte schließt um 17:30 Uhr. Morgen schmelzen wir 1.250 Kilogramm unglaublich klares Glas!\n",
}
#: bytes per token are measured on this much of the training text
MEASURED = 2_000_000
CHIPS = ("#14161b on #f0b429", "#f0b429 on #4a3a10")

Name = Annotated[
    str,
    typer.Option(
        "--tokenizer",
        help="gpt2, cl100k, o200k, a folder with tokenizer.json, a GGUF file, or a pulled model.",
        metavar="NAME",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def train(
    sources: Annotated[list[str], typer.Argument(help="Files, folders, globs or corpus names.", metavar="TEXT...")],
    vocabulary: Annotated[int, typer.Option(help="How many tokens, special ones included.")] = 4096,
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("tokenizer"),
    pattern: Annotated[str, typer.Option(help="Where texts are cut: gpt4, gpt2, gpt4o or digits.")] = "gpt4",
    as_json: Json = False,
) -> None:
    """Learn a byte-pair vocabulary from texts and write it as tokenizer.json."""
    from glaswerk.cli.terminal import TerminalProgress, console, print_json
    from glaswerk.corpora import read
    from glaswerk.errors import GlaswerkError
    from glaswerk.tokenizer import train_bpe

    began = time.perf_counter()
    sample: list[str] = []
    seen = {"documents": 0, "characters": 0}

    def texts() -> Iterator[str]:
        kept = 0
        for document in read(sources):
            if kept < MEASURED:
                sample.append(document.text)
                kept += len(document.text)
            seen["documents"] += 1
            seen["characters"] += len(document.text)
            yield document.text

    progress = TerminalProgress()
    try:
        made = train_bpe(texts(), vocabulary, pattern, progress)
    finally:
        progress.close()
    if not seen["characters"]:
        raise GlaswerkError("there is no text in what you named; name files with text in them")
    made.save(out)
    size = sum(len(text.encode()) for text in sample)
    figures: dict[str, Any] = {
        "vocabulary": made.vocabulary_size,
        "merges": len(made.merges),
        "pattern": pattern,
        **seen,
        "bytes_per_token": size / max(1, sum(map(len, made.encode_batch(sample)))),
        "seconds": time.perf_counter() - began,
        "folder": str(out),
    }
    if as_json:
        print_json(figures)
        return
    screen = console()
    if made.vocabulary_size < vocabulary:
        screen.print(f"[warn]{made.vocabulary_size:,} tokens, not {vocabulary:,}: no other pair occurs twice[/warn]")
    screen.print(
        f"{figures['vocabulary']:,} tokens from {seen['characters'] / 1e6:,.1f} M characters, "
        f"{figures['bytes_per_token']:.2f} bytes per token, {figures['seconds']:.1f} s"
    )
    newest = [made.plain_bytes(whole) for _, _, whole in made.merges]
    for title, tokens in (("first merges", newest[:16]), ("last merges", newest[-12:])):
        screen.print(f"[faint]{title:<13}[/faint]", chips(tokens, screen.color_system is not None))
    screen.print(f"Next: [bold]glaswerk tokenizer encode 'Hello' --tokenizer {out}[/bold]", soft_wrap=True)


@app.command()
def encode(
    text: Annotated[str, typer.Argument(help="The text; - reads it from standard input.")],
    tokenizer: Name = "gpt2",
    special: Annotated[
        bool, typer.Option("--special", help="Read <|endoftext|> and the like as the tokens they name.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Text to token ids."""
    import sys

    from glaswerk.cli.terminal import console, print_json
    from glaswerk.tokenizer import load

    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    made = load(tokenizer)
    ids = made.encode(text, special=special)
    tokens = [made.token_bytes(number) for number in ids]
    if as_json:
        print_json({"ids": ids, "tokens": [as_text(token) for token in tokens]})
        return
    screen = console()
    screen.print(chips(tokens, screen.color_system is not None))
    screen.print(" ".join(map(str, ids)), style="token", soft_wrap=True)
    screen.print(f"[faint]{measure(len(ids), text)}[/faint]")
    if 0 < len(ids) <= 12:
        screen.print(
            f"Next: [bold]glaswerk tokenizer decode {' '.join(map(str, ids))} --tokenizer {tokenizer}[/bold]",
            soft_wrap=True,
        )


@app.command()
def decode(
    ids: Annotated[list[int], typer.Argument(help="Token ids.", metavar="ID...")],
    tokenizer: Name = "gpt2",
    as_json: Json = False,
) -> None:
    """Token ids to text."""
    from glaswerk.cli.terminal import console, print_json
    from glaswerk.tokenizer import load

    made = load(tokenizer)
    tokens = [made.token_bytes(number) for number in ids]
    text = made.decode(ids)
    if as_json:
        print_json({"text": text, "tokens": [as_text(token) for token in tokens]})
        return
    screen = console()
    screen.print(chips(tokens, screen.color_system is not None))
    screen.print(text, markup=False, soft_wrap=True)
    screen.print("Next: [bold]glaswerk tokenizer compare[/bold]")


@app.command()
def compare(
    text: Annotated[
        str | None, typer.Argument(help="The text.", show_default="a sentence in English and in German")
    ] = None,
    tokenizers: Annotated[
        list[str] | None,
        typer.Option(
            "--tokenizer",
            help="One to compare; give it again for each.",
            show_default="those of gpt2, cl100k, o200k that are pulled",
            metavar="NAME",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """The same text as several tokenizers cut it."""
    from glaswerk import pull
    from glaswerk.cli.terminal import console, print_json
    from glaswerk.errors import GlaswerkError
    from glaswerk.tokenizer import load

    names = tokenizers or [name for name in ("gpt2", "cl100k", "o200k") if pull.is_pulled(name)]
    if not names:
        raise GlaswerkError("there is no tokenizer to compare yet; run `glaswerk pull gpt2 cl100k o200k`")
    made = {name: load(name) for name in dict.fromkeys(names)}
    texts = EXAMPLES if text is None else {"text": text}
    seen = {label: {name: look(tokenizer, shown) for name, tokenizer in made.items()} for label, shown in texts.items()}
    if as_json:
        print_json({"texts": [{"label": label, "text": texts[label], "tokenizers": seen[label]} for label in seen]})
        return
    screen = console()
    for label, by_name in seen.items():
        for name, found in by_name.items():
            tokens = [made[name].token_bytes(number) for number in found["ids"]]
            screen.print(f"[bold]{label}[/bold]  {name}  [faint]{measure(len(tokens), texts[label])}[/faint]")
            screen.print(chips(tokens, screen.color_system is not None), "")
    screen.print(table(seen, {name: tokenizer.vocabulary_size for name, tokenizer in made.items()}))
    screen.print("Next: [bold]glaswerk tokenizer compare 'your own text'[/bold]")


def look(tokenizer: Tokenizer, text: str) -> dict[str, Any]:
    """What one tokenizer makes of one text."""
    ids = tokenizer.encode(text)
    return {
        "vocabulary": tokenizer.vocabulary_size,
        "count": len(ids),
        "bytes_per_token": size(text) / max(1, len(ids)),
        "ids": ids,
        "tokens": [as_text(tokenizer.token_bytes(number)) for number in ids],
    }


def table(seen: dict[str, dict[str, dict[str, Any]]], sizes: dict[str, int]) -> Any:
    """Counts and bytes per token, a row per tokenizer."""
    from rich.table import Table

    made = Table(box=None, header_style="faint", pad_edge=False)
    made.add_column("tokenizer", style="bold")
    made.add_column("vocabulary", justify="right")
    for label in seen:
        made.add_column(f"{label} tokens", justify="right")
        made.add_column("bytes/token", justify="right")
    for name, vocabulary in sizes.items():
        cells = []
        for by_name in seen.values():
            cells += [f"{by_name[name]['count']:,}", f"{by_name[name]['bytes_per_token']:.2f}"]
        made.add_row(name, f"{vocabulary:,}", *cells)
    return made


def chips(tokens: Iterable[bytes], colour: bool) -> Text:
    """Tokens as chips, in two shades that take turns; without colour, a bar between them."""
    from rich.text import Text

    from glaswerk.tokenizer.chip import chip

    shown = Text()
    for place, token in enumerate(tokens):
        if not colour and place:
            shown.append("|")
        shown.append(chip(token), style=CHIPS[place % 2] if colour else "")
    return shown


def as_text(token: bytes) -> str:
    """A token for JSON: its text, or its bytes as ``\\xe2\\x82`` where they are no text."""
    return token.decode("utf-8", errors="backslashreplace")


def measure(count: int, text: str) -> str:
    """How many tokens a text has, and how many bytes each holds."""
    return f"{count:,} tokens, {len(text):,} characters, {size(text) / max(1, count):.2f} bytes per token"


def size(text: str) -> int:
    """Bytes of a text as UTF-8."""
    return len(text.encode("utf-8", errors="replace"))
