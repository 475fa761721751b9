"""``glaswerk corpus``: read texts the way a run reads them, and show what is there and what was dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from glaswerk.errors import GlaswerkError

app = typer.Typer(add_completion=False)

#: characters of the corpus that the word counts look at
_COUNTED = 20_000_000


@app.command()
def corpus(
    sources: Annotated[
        list[str],
        typer.Argument(help="Files, folders, globs or corpus names, mixed as you like.", metavar="TEXT..."),
    ],
    export: Annotated[
        Path | None,
        typer.Option("--export", help="Write the clean documents to this .jsonl file.", metavar="OUT.jsonl"),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first broken line instead of skipping it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show counts, lengths, languages, frequent words, samples, and what was dropped, with the reason."""
    import tempfile

    from glaswerk import corpora
    from glaswerk.cli.terminal import TerminalProgress, print_json
    from glaswerk.home import subfolder

    progress = TerminalProgress()
    with tempfile.TemporaryDirectory(dir=subfolder("tmp"), prefix="corpus-") as temporary:
        folder = Path(temporary)
        if export is not None and export.resolve() in {Path(source).expanduser().resolve() for source in sources}:
            raise GlaswerkError(f"--export {export} would overwrite the text itself: name another file")
        try:
            report = corpora.build(sources, folder, strict=strict, progress=progress, least=1)
        finally:
            progress.close()
        facts = report.to_json()
        facts["words"] = _words(folder)
        facts["samples"] = _samples(folder, report.documents)
        if export is not None:
            _export(folder, export)
            facts["export"] = str(export)
    if as_json:
        print_json(facts)
    else:
        _show(facts, sources)


def _words(folder: Path) -> list[dict[str, Any]]:
    """The most frequent words, case aside, of the first _COUNTED characters."""
    import re
    from collections import Counter

    from glaswerk import corpora

    counts: Counter[str] = Counter()
    seen = 0
    for document in corpora.documents(folder):
        counts.update(re.findall(r"\w+", document.text.lower()))
        seen += len(document.text)
        if seen > _COUNTED:
            break
    return [{"word": word, "count": count} for word, count in counts.most_common(30)]


def _samples(folder: Path, count: int) -> list[dict[str, str]]:
    """Five documents, evenly spread."""
    from glaswerk import corpora

    wanted = {count * part // 5 for part in range(5)}
    return [
        {"title": d.title, "source": d.source, "topic": d.topic, "text": d.text[:300]}
        for at, d in enumerate(corpora.documents(folder))
        if at in wanted
    ]


def _export(folder: Path, target: Path) -> None:
    import shutil

    from glaswerk.home import replacing

    with replacing(target) as part:
        shutil.copyfile(folder / "documents.jsonl", part)


def _show(facts: dict[str, Any], sources: list[str]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from glaswerk.cli.terminal import console

    out = console()

    def table(*columns: str) -> Table:
        made = Table(box=None, header_style="faint", pad_edge=False, show_edge=False)
        for number, column in enumerate(columns):
            made.add_column(column, justify="right" if number == 1 else "left", no_wrap=number < 2)
        return made

    def bar(share: float) -> str:
        eighths = round(share * 24 * 8)
        return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]

    for source in facts["sources"]:
        if "licence" in source:
            out.print(f"[bold]{source['name']}[/bold]  {escape(source['licence'])}")
            out.print(f"[faint]{source['source']}[/faint]", soft_wrap=True)
    read = facts["read"]
    counts = table("", "documents", "characters")
    counts.columns[2].justify = "right"
    counts.add_row("read", f"{read['documents']:,}", f"{read['characters']:,}")
    for reason, dropped in facts["dropped"].items():
        counts.add_row(f"[warn]- {reason}[/warn]", f"{dropped['documents']:,}", f"{dropped['characters']:,}")
    counts.add_row("[bold]clean[/bold]", f"{facts['documents']:,}", f"{facts['characters']:,}")
    for name, split in facts["splits"].items():
        counts.add_row(f"[faint]  {name}[/faint]", f"{split['documents']:,}", f"{split['characters']:,}")
    out.print(counts)

    lengths = table("\ncharacters", "\ndocuments", "")
    edges = [*facts["lengths"]["from"], None]
    most = max(facts["lengths"]["documents"])
    for low, high, number in zip(edges, edges[1:], facts["lengths"]["documents"], strict=False):
        label = f"{low:,} to {high:,}" if high else f"{low:,} and more"
        lengths.add_row(label, f"{number:,}", f"[residual]{bar(number / most)}[/residual]")
    out.print(lengths)
    out.print(
        f"[faint]shortest {facts['lengths']['shortest']:,}, median {facts['lengths']['median']:,}, "
        f"longest {facts['lengths']['longest']:,}[/faint]"
    )

    languages = table("\nlanguage", "\nshare", "")
    for language, share in facts["languages"]["shares"].items():
        if share >= 0.005:
            languages.add_row(language, f"{share:.1%}", f"[residual]{bar(share)}[/residual]")
    out.print(languages)
    out.print(f"[faint]by characters, from {facts['languages']['sampled_documents']} documents[/faint]\n")
    words = "  ".join(f"[token]{escape(w['word'])}[/token] [faint]{w['count']:,}[/faint]" for w in facts["words"])
    out.print("[faint]frequent words[/faint]\n" + words)

    _trouble(facts, out, escape)
    out.print("\n[faint]samples[/faint]")
    for sample in facts["samples"]:
        shown = " ".join(sample["text"].split())[:220]
        out.print(f"[bold]{escape(sample['title'] or '(no title)')}[/bold]  {escape(shown)}…")
    if "export" in facts:
        out.print(f"\nwrote {facts['documents']:,} documents to {escape(facts['export'])}", soft_wrap=True)
    out.print(f"\nNext: [bold]glaswerk run {escape(' '.join(sources))}[/bold]", soft_wrap=True)


def _trouble(facts: dict[str, Any], out: Any, escape: Any) -> None:
    """What was dropped, skipped, broken, decoded or repaired, with examples."""
    for reason, dropped in facts["dropped"].items():
        out.print(f"\n[warn]{reason}[/warn], for example")
        for example in dropped["examples"][:3]:
            text = " ".join(example["text"].split())[:90]
            line = f"  {escape(example['source'])}: {escape(text)}"
            if "resembles" in example:
                same = example["resembles"]
                where = same["title"] or same["source"]
                line += f"  [faint]like {escape(where)}, Jaccard {example['jaccard']:.2f}[/faint]"
            out.print(line)
    for title, kind, form in (
        ("skipped files", "skipped_files", "{file}: {why}"),
        ("broken lines, skipped", "broken_lines", "{file}:{line}: {why}"),
        (
            "not plain UTF-8, decoded",
            "decoded",
            "{file}: read as {encoding}, {bytes_not_utf8:,} stray bytes",
        ),
    ):
        listed = facts[kind]
        if listed["count"]:
            out.print(f"\n[warn]{listed['count']:,} {title}[/warn]")
            for item in listed["named"][:8]:
                out.print("  " + escape(form.format(**item)), soft_wrap=True)
            if listed["count"] > 8:
                out.print(f"  [faint]and {listed['count'] - 8:,} more (--json names up to 100)[/faint]")
    if facts["repaired"]:
        mended = ", ".join(f"{kind} in {number:,} documents" for kind, number in facts["repaired"].items())
        out.print(f"\n[faint]repaired: {mended}[/faint]")
