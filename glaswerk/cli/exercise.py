"""``glaswerk exercise``: a chapter's exercises, and the check of what was programmed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

app = typer.Typer(add_completion=False)

WORDS: dict[str, dict[str, str]] = {
    "open": {"en": "to answer in your own words", "de": "mit eigenen Worten"},
    "code": {"en": "to program", "de": "zum Programmieren"},
    "discuss": {"en": "to discuss", "de": "zum Diskutieren"},
    "written": {"en": "wrote {file}: fill it in", "de": "{file} geschrieben: Fülle es aus"},
    "right": {"en": "right", "de": "richtig"},
    "wrong": {"en": "not yet:", "de": "noch nicht:"},
    "next": {"en": "next:", "de": "weiter:"},
    "answers": {
        "en": "model answers to the open questions: chapter {number} in `glaswerk lab`",
        "de": "Musterantworten zu den offenen Fragen: Kapitel {number} in `glaswerk lab`",
    },
}


@app.command()
def exercise(
    chapter: str = typer.Argument(help="A chapter: 4, attention."),
    file: Path | None = typer.Argument(
        None, help="Your file; where it is not there yet, it is written to start from.", metavar="[FILE.py]"
    ),
    lang: str | None = typer.Option(None, "--lang", help="en or de.", show_default="the system's"),
    json: bool = typer.Option(False, "--json", help="Print one JSON object instead."),
) -> None:
    """List a chapter's exercises; with FILE.py, write its stub or check what you programmed in it. The check runs your
    file in a process of its own, at most 10 seconds, and says in one line what is wrong."""
    from rich.text import Text

    from glaswerk.cli.language import chosen
    from glaswerk.cli.terminal import console, print_json
    from glaswerk.course.chapter import load_chapter
    from glaswerk.course.exercise import check, task_of, write_stub

    language = chosen(lang)
    loaded = load_chapter(chapter)
    number = loaded.entry.number
    words = {key: value[language] for key, value in WORDS.items()}
    if file is None:
        show(loaded, language, json)
        return
    task = task_of(loaded, file)
    command = f"glaswerk exercise {number} {file}"
    if not file.exists():
        write_stub(task, file)
        if json:
            print_json({"exercise": task.id, "written": str(file)})
        else:
            console().print(Text(words["written"].format(file=file)), soft_wrap=True)
            console().print(f"{words['next']} [bold]{command}[/bold]", soft_wrap=True)
        return
    verdict = check(task, file)
    if json:
        told = {"exercise": task.id, "right": verdict.right, "kind": verdict.kind, "line": verdict.line}
        print_json({**told, "seconds": round(verdict.seconds, 3)})
    elif verdict.right:
        console().print(Text.assemble((f"✓ {words['right']}  ", "value"), verdict.line), soft_wrap=True)
    else:
        console(stderr=True).print(Text.assemble((f"{words['wrong']} ", "loss"), verdict.line), soft_wrap=True)
    if not verdict.right:
        raise typer.Exit(1)


def show(loaded: Any, language: str, as_json: bool) -> None:
    """The chapter's exercises as a list."""
    from rich.padding import Padding
    from rich.text import Text

    from glaswerk.cli.terminal import console, print_json
    from glaswerk.course.plain import plain

    name, number = loaded.entry.name, loaded.entry.number
    found = [(each, plain(each.q[language], language, name)) for each in loaded.exercises]
    if as_json:
        listed = [{"id": each.id, "kind": each.kind, "question": text} for each, text in found]
        print_json({"chapter": name, "exercises": listed})
        return
    screen = console()
    screen.print(Text(loaded.entry.title[language], style="bold"))
    for each, text in found:
        screen.print(Text.assemble((f"\n{each.id}", "bold"), (f"  {WORDS[each.kind][language]}", "faint")))
        screen.print(Padding(Text(text), (0, 0, 0, 2), expand=False))
        if each.kind == "code":
            screen.print(f"  [bold]glaswerk exercise {number} {each.id}.py[/bold]", soft_wrap=True)
    screen.print(Text("\n" + WORDS["answers"][language].format(number=number), style="faint"), soft_wrap=True)
