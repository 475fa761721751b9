"""Few options, plainly explained, the same everywhere: rules for every verb of the command line.

Each option is a decision handed to the reader; past MOST of them a verb has not decided enough itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from glaswerk.cli.main import VERBS, help_text

#: options a command may have besides --help and --json, and all verbs together
MOST, MOST_IN_ALL = 10, 100


def commands(verb: str) -> Iterator[tuple[str, Any]]:
    """A verb's command, or each of its subcommands, with the words that call it."""
    import typer.main

    command = typer.main.get_command(import_module(f"glaswerk.cli.{verb}").app)
    below = getattr(command, "commands", None)
    if below:
        yield from ((f"{verb} {name}", subcommand) for name, subcommand in below.items())
    else:
        yield verb, command


def options(command: Any) -> list[Any]:
    found = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    return [option for option in found if "--help" not in option.opts]


def value_kind(option: Any) -> str:
    """What an option takes; one value or several of a kind are the same kind."""
    described = getattr(option, "type_descriptor", None)
    if described is None:  # a typer that sits on click itself
        return str(option.type.name)
    annotation = described.annotation
    (kind,) = getattr(annotation, "__args__", None) or (annotation,)
    return str(getattr(kind, "__name__", kind))


def test_every_verb_has_its_file_and_every_file_its_verb() -> None:
    folder = Path(__file__).resolve().parent.parent / "glaswerk" / "cli"
    with_app = {path.stem for path in folder.glob("*.py") if "app = typer.Typer(" in path.read_text("utf-8")}
    assert with_app == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_few_options(verb: str) -> None:
    for words, command in commands(verb):
        names = [option.opts[0] for option in options(command) if "--json" not in option.opts]
        assert len(names) <= MOST, f"glaswerk {words} asks for {len(names)} decisions: {', '.join(names)}"


def test_few_options_in_all() -> None:
    assert sum(len(options(command)) for verb in VERBS for _, command in commands(verb)) <= MOST_IN_ALL


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_speaks_json(verb: str) -> None:
    for words, command in commands(verb):
        flags = [option for option in options(command) if "--json" in option.opts]
        assert len(flags) == 1 and flags[0].is_flag, f"glaswerk {words} has no --json"


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_and_option_is_explained_in_plain_short_words(verb: str) -> None:
    for words, command in commands(verb):
        assert command.help and command.help.strip(), f"glaswerk {words} does not say what it does"
        for option in options(command):
            assert option.help, f"glaswerk {words} {option.opts[0]} has no help"
            assert len(option.help) <= 140, f"glaswerk {words} {option.opts[0]}: too long a help"
            assert "!" not in option.help


def test_one_name_means_one_thing() -> None:
    """An option of one name takes the same kind of value in every verb."""
    kinds: dict[str, dict[str, list[str]]] = {}
    for verb in VERBS:
        for words, command in commands(verb):
            for option in options(command):
                kind = "flag" if option.is_flag else value_kind(option)
                kinds.setdefault(option.opts[0], {}).setdefault(kind, []).append(words)
    mixed = {name: where for name, where in kinds.items() if len(where) > 1}
    assert not mixed


def test_help_of_every_verb_loads_no_torch(python) -> None:
    """One fresh process asks every verb for its help and says what was loaded after each."""
    done = python(
        "-c",
        "import sys, json, io, contextlib\n"
        "from glaswerk.cli.main import VERBS, dispatch\n"
        "told = {}\n"
        "for verb in VERBS:\n"
        "    shown = io.StringIO()\n"
        "    with contextlib.redirect_stdout(shown):\n"
        "        code = dispatch([verb, '--help'])\n"
        "    told[verb] = [code, len(shown.getvalue()), 'torch' in sys.modules, 'numpy' in sys.modules]\n"
        "print(json.dumps(told))\n",
    )
    assert done.returncode == 0, done.stderr
    for verb, (code, length, torch, numpy) in json.loads(done.stdout).items():
        assert code == 0 and length > 80, f"glaswerk {verb} --help says nothing"
        assert not torch, f"glaswerk {verb} --help loads torch"
        assert not numpy, f"glaswerk {verb} --help loads numpy"


def test_the_front_page_names_every_verb_once() -> None:
    lines = help_text().splitlines()
    for verb, line in VERBS.items():
        assert sum(shown.split()[:1] == [verb] and line in shown for shown in lines) == 1
    assert all(len(line) <= 110 for line in lines)
