"""The order of the rooms is a rule: a room imports only from rooms above it, lazily or not.

The order is DESIGN's. A room that is not in ALLOWED fails the first test, so nobody adds one without a place.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "glaswerk"

#: what every room may use
BASE = {"errors", "progress", "__version__"}
#: room -> the rooms it may import from, from top to bottom
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "progress": set(),
    "home": BASE,
    "runtime": BASE | {"home"},
    "run": BASE | {"home"},
    "hub": BASE | {"home"},
    "pull": BASE | {"home", "hub"},
    "found": BASE | {"home", "run", "pull"},
    "sandbox": BASE,
    "formats": BASE | {"home"},
    "corpora": BASE | {"home", "pull"},
    "tokenizer": BASE | {"home", "pull", "formats", "corpora"},
    "model": BASE | {"home", "runtime", "run", "pull", "formats", "tokenizer"},
    "generate": BASE | {"home", "runtime", "run", "pull", "tokenizer", "model"},
    "train": BASE | {"home", "runtime", "run", "pull", "corpora", "tokenizer", "model"},
    "lens": BASE | {"home", "runtime", "run", "pull", "corpora", "tokenizer", "model", "generate", "train"},
}
for room, extra in (
    ("opened", ("found",)),
    ("export", ("opened", "formats")),
    ("evaluate", ("opened", "sandbox", "formats")),
    ("align", ("opened", "evaluate", "formats")),
    ("planning", ()),
    ("stages", ("opened", "evaluate", "align", "planning")),
    ("tuning", ("found", "opened", "export", "evaluate", "align", "planning", "stages")),
    ("pipeline", ("found", "opened", "export", "evaluate", "align", "planning", "stages", "tuning")),
    ("zoo", ("formats",)),
    ("course", ("found", "opened", "evaluate", "align", "zoo")),
    ("serve", ("found", "opened", "evaluate", "course")),
    (
        "cli",
        (
            "found",
            "opened",
            "export",
            "hub",
            "evaluate",
            "align",
            "planning",
            "stages",
            "tuning",
            "pipeline",
            "course",
            "serve",
        ),
    ),
):
    ALLOWED[room] = {*ALLOWED["lens"], "lens", *extra}
ALLOWED["__main__"] = {"cli"}
ALLOWED["__init__"] = set(ALLOWED)  # the front door names modules as text and imports them on first use

#: rooms that never touch torch, not even lazily
NO_TORCH = ("errors", "progress", "home", "run", "hub", "pull", "found", "formats", "corpora", "tokenizer")
#: packages that bring torch with them
BRINGS_TORCH = {"torch", "transformers", "accelerate", "torchvision", "torchaudio"}


def rooms() -> list[str]:
    """Every module and package directly under glaswerk/."""
    files = [path.stem for path in PACKAGE.glob("*.py")]
    folders = [path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()]
    return sorted({*files, *folders})


def files_of(room: str) -> list[Path]:
    folder = PACKAGE / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{room}.py"]


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything a file imports, wherever; ``from a import b`` is a.b."""
    package = ("glaswerk", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*above, node.module) if node.module else above)
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _name(node.func) in ("import_module", "__import__") and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield node.lineno, first.value
            elif isinstance(first, ast.JoinedStr) and isinstance(first.values[0], ast.Constant):
                yield node.lineno, str(first.values[0].value).rstrip(".") + ".?"


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_every_room_has_its_place_in_the_order() -> None:
    assert set(rooms()) <= set(ALLOWED), "give the new room a line in ALLOWED, and its place in DESIGN's order"


@pytest.mark.parametrize("room", rooms())
def test_a_room_imports_only_from_rooms_above_it(room: str) -> None:
    wrong = []
    for path in files_of(room):
        for line, name in imports(path):
            parts = name.split(".")
            if parts[0] != "glaswerk" or len(parts) < 2:
                continue
            if parts[1] != room and parts[1] not in ALLOWED[room]:
                wrong.append(f"{path.relative_to(PACKAGE)}:{line} imports {name}")
    assert not wrong, f"{room} may import only from {sorted(ALLOWED[room])}:\n" + "\n".join(wrong)


@pytest.mark.parametrize("room", [room for room in NO_TORCH if room in rooms()])
def test_no_torch_is_written_into_these_rooms(room: str) -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {name}"
        for path in files_of(room)
        for line, name in imports(path)
        if name.split(".")[0] in BRINGS_TORCH
    ]
    assert not wrong, "\n".join(wrong)


def test_no_torch_arrives_with_these_rooms(python) -> None:
    """All their files imported in one fresh process: nothing that they use may bring torch either."""
    modules = [
        ".".join(("glaswerk", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        for room in NO_TORCH
        if room in rooms()
        for path in files_of(room)
    ]
    done = python(
        "-c",
        "import sys, importlib\n"
        f"for name in {modules!r}:\n"
        "    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, f'{name} brings torch'\n",
    )
    assert done.returncode == 0, done.stderr


def test_the_reader_of_imports_sees_all_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule is only as good as the reader: lazy, typing, relative and computed imports are all found."""
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    file = tmp_path / "corpora" / "read.py"
    file.parent.mkdir()
    file.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from glaswerk.model import Decoder\n"
        "def f():\n    import torch.nn\n    from ..cli import main\n    from . import clean\n"
        "    import importlib\n    importlib.import_module('glaswerk.train')\n"
    )
    found = {name for _, name in imports(file)}
    assert {
        "glaswerk.model.Decoder",
        "torch.nn",
        "glaswerk.cli.main",
        "glaswerk.corpora.clean",
        "glaswerk.train",
    } <= found
