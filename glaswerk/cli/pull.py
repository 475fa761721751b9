"""``glaswerk pull``: fetch corpora, vocabularies, benchmarks and models, or list what there is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

app = typer.Typer(add_completion=False)


@app.command()
def pull(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="What to fetch, for example: wikipedia-en gpt2 hf:ORG/NAME@REVISION", metavar="NAME..."),
    ] = None,
    listing: Annotated[
        bool, typer.Option("--list", help="Show everything there is, and what is already here.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fetch a corpus, vocabulary, benchmark or model by name, checked against its pinned sha256; or a model of the
    Hugging Face hub (hf:ORG/NAME).
    """
    from glaswerk import hub
    from glaswerk import pull as room
    from glaswerk.cli.terminal import TerminalProgress, console, print_json

    if listing or not names:
        entries = [_facts(entry) for entry in room.REGISTRY.values()]
        if as_json:
            print_json({"entries": entries})
        else:
            _show(entries)
        return
    for name in names:
        hub.parse(name) if hub.is_name(name) else room.entry(name)  # wrong names are found before the first download
    pulled = []
    for name in dict.fromkeys(names):
        here = room.is_pulled(name)
        progress = TerminalProgress()
        try:
            folder = room.pull(name, progress)
        finally:
            progress.close()
        facts = {**hub.manifest(name), "kind": "model"} if hub.is_name(name) else _facts(room.entry(name))
        pulled.append({**facts, "folder": str(folder), "was_here": here})
        if here and not as_json:
            console().print(f"{name} is already here: {folder}", soft_wrap=True)
    if as_json:
        print_json({"pulled": pulled})
        return
    console().print(f"Next: [bold]{_next(pulled[-1])}[/bold]")


def _facts(entry: Any) -> dict[str, Any]:
    from dataclasses import asdict

    from glaswerk import pull as room

    facts = asdict(entry)
    facts.pop("members")
    return {**facts, "pulled": room.is_pulled(entry.name)}


def _next(entry: dict[str, Any]) -> str:
    name = entry["name"]
    if "commit" in entry:  # from the hub, which does not say whether it is a base model or an assistant
        return f"glaswerk generate {name} 'Once upon a time'"
    return {
        "corpus": f"glaswerk run {name}",
        "vocabulary": f"glaswerk tokenizer encode 'Hello' --tokenizer {name}",
        "model": f"glaswerk chat {name}" if name == "smollm2" else "glaswerk pull --list",
    }.get(entry["kind"], "glaswerk pull --list")


def _show(entries: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from glaswerk.cli.terminal import console

    table = Table(box=None, header_style="faint", pad_edge=False)
    for title, kind in (("name", "bold"), ("kind", "faint")):
        table.add_column(title, style=kind, no_wrap=True)
    table.add_column("MB", justify="right", no_wrap=True)
    table.add_column("here", no_wrap=True)
    table.add_column("what it is")
    table.add_column("licence", style="faint", no_wrap=True)
    for entry in entries:
        mark = "[done]✓[/done]" if entry["pulled"] else ""
        table.add_row(
            entry["name"],
            entry["kind"],
            f"{entry['size'] / 1e6:.1f}",
            mark,
            entry["description"],
            entry["licence"].split(" (")[0],
        )
    out = console()
    out.print(table)
    out.print("\nNext: [bold]glaswerk pull NAME[/bold]")
