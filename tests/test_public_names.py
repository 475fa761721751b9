"""What the library offers by name: everything promised is there, lazily, and explained."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import glaswerk as gw

PACKAGE = Path(gw.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("name", gw.__all__)
def test_a_promised_name_is_there_and_explained(name: str) -> None:
    value = getattr(gw, name)
    if name != "__version__":
        assert inspect.getdoc(value), f"gw.{name} has no docstring"


@pytest.mark.parametrize("name", [name for name in gw.__all__ if name != "__version__"])
def test_public_methods_are_explained_and_typed(name: str) -> None:
    value = getattr(gw, name)
    functions = [value] if inspect.isfunction(value) else []
    if inspect.isclass(value):
        functions = [
            method
            for title, method in vars(value).items()
            if inspect.isfunction(method) and not title.startswith("_") and method.__module__.startswith("glaswerk")
        ]
    for function in functions:
        assert inspect.getdoc(function), f"{function.__qualname__} has no docstring"
        assert "return" in function.__annotations__, f"{function.__qualname__} does not say what it returns"


def test_the_lists_of_names_agree() -> None:
    assert sorted(gw.__all__) == gw.__all__, "keep __all__ sorted"
    assert {*gw._EXPORTS, "__version__"} == set(gw.__all__) == set(dir(gw))


def test_typing_sees_the_same_names() -> None:
    """The imports under TYPE_CHECKING are what an editor sees; they must name what __getattr__ serves."""
    seen = {
        alias.name: node.module
        for node in ast.walk(ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("glaswerk.")
        for alias in node.names
    }
    assert seen == gw._EXPORTS


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        gw.laod  # noqa: B018


def test_importing_the_package_loads_no_room(python) -> None:
    done = python("-c", "import sys, glaswerk; print(*(m for m in sys.modules if m.startswith('glaswerk')))")
    assert done.stdout.split() == ["glaswerk"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_file_and_every_public_thing_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree) or not tree.body, "the file has no header"
    silent = [
        f"{node.name} (line {node.lineno})"
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert not silent, f"no docstring: {', '.join(silent)}"
