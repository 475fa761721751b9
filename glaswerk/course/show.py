"""For notebooks: what a demo function returns, as tables, bars and heat maps.

``show(value)`` prints; with matplotlib installed (Colab and most Jupyters have it) rows of numbers and tables of
numbers are drawn. Left out: the figures of the lab, which one can touch.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from glaswerk.course import demo
from glaswerk.course.chapter import load_chapter
from glaswerk.course.exercise import check, names_in, stub_names, tasks
from glaswerk.errors import GlaswerkError

#: rows and columns that are printed, and characters of a cell
ROWS, COLUMNS, CELL = 24, 12, 28
#: from so many numbers on a row is drawn
DRAWN = 6


def demos(chapter: str) -> SimpleNamespace:
    """The demo functions of a chapter as attributes: ``demos("04-attention").spread(width=64)``."""
    return SimpleNamespace(**demo.demos(chapter))


@contextmanager
def explained() -> Iterator[None]:
    """What is missing (a pulled text, a model with another tokenizer) is a line that says how to mend it, and the
    notebook goes on."""
    try:
        yield
    except GlaswerkError as error:
        print(f"→ {error}")


def try_it(chapter: str, task: str, names: Mapping[str, Any]) -> None:
    """Check a code task: the last cell that defines what the stub asks for. ``names`` are ``globals()``, where Jupyter
    keeps the cells as ``In``."""
    exercise = tasks(load_chapter(chapter))[task]
    wanted = stub_names(exercise)
    cells = [text for text in names.get("In", []) if wanted <= names_in(text)]
    if not cells:
        print(f"→ run the cell that defines {', '.join(sorted(wanted))} first")
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{task}.py"
        file.write_text(cells[-1], encoding="utf-8")
        verdict = check(exercise, file)
    print(f"✓ {verdict.line}" if verdict.right else f"→ {verdict.line}")


def show(value: Any, title: str = "") -> None:
    """Print, and draw what is many numbers."""
    value = demo.plain(value)
    if title:
        print(title)
    if isinstance(value, Mapping) and {"shape", "base64"} <= value.keys():
        print(f"numbers of the shape {value['shape']}")
    elif isinstance(value, Mapping):
        _mapping(value)
    elif isinstance(value, list) and value and all(isinstance(row, Mapping) for row in value):
        _table(value)
    elif _numbers(value):
        _row(value)
    elif isinstance(value, list) and value and all(_numbers(row) for row in value) and len(set(map(len, value))) == 1:
        _matrix(value)
    elif isinstance(value, list):
        for item in value[:ROWS]:
            print(f"  {_cell(item)}" if not isinstance(item, (list, Mapping)) else f"  {_short(item)}")
    else:
        print(_cell(value))


def heat(values: Any, labels: Sequence[str]) -> None:
    """A square of weights with the tokens at its sides."""
    values = demo.plain(values)
    width = max(map(len, labels), default=0)
    for label, row in zip(labels[:ROWS], values, strict=False):
        print(f"{label:>{width}}  " + " ".join(f"{number:4.2f}" if number else "   ·" for number in row[:ROWS]))
    axes = _axes()
    if axes is not None:
        axes.imshow(values, cmap="Purples", vmin=0)
        axes.set_xticks(range(len(labels)), labels, rotation=60)
        axes.set_yticks(range(len(labels)), labels)


def _mapping(value: Mapping[str, Any]) -> None:
    plain = {key: item for key, item in value.items() if not isinstance(item, (list, dict))}
    width = max(map(len, plain), default=0)
    for key, item in plain.items():
        print(f"{key:<{width}}  {_cell(item)}")
    for key, item in value.items():
        if key not in plain:
            show(item, f"\n{key}:")


def _table(rows: Sequence[Mapping[str, Any]]) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))[:COLUMNS]
    cells = [[_cell(row.get(column, "")) for column in columns] for row in rows[:ROWS]]
    widths = [max(len(column), *(len(row[at]) for row in cells)) for at, column in enumerate(columns)]
    for line in ([*columns], *cells):
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    if len(rows) > ROWS:
        print(f"… {len(rows) - ROWS} more")


def _row(numbers: Sequence[float]) -> None:
    print(", ".join(_cell(number) for number in numbers[:ROWS]) + (" …" if len(numbers) > ROWS else ""))
    axes = _axes() if len(numbers) >= DRAWN else None
    if axes is not None:
        axes.plot(numbers) if len(numbers) > 40 else axes.bar(range(len(numbers)), numbers)


def _matrix(rows: Sequence[Sequence[float]]) -> None:
    for row in rows[:ROWS]:
        print("  ".join(f"{_cell(number):>9}" for number in row[:COLUMNS]) + (" …" if len(row) > COLUMNS else ""))
    axes = _axes() if len(rows) * len(rows[0]) >= 4 * DRAWN else None
    if axes is not None:
        most = max(abs(number) for row in rows for number in row) or 1
        axes.imshow(rows, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")


def _numbers(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in value)
    )


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, dict)):
        return _short(value)
    text = str(value)
    return text if len(text) <= 200 else text[:199] + "…"


def _short(value: Any) -> str:
    if isinstance(value, dict):
        text = ", ".join(f"{key} {_cell(item)}" for key, item in value.items())
    else:
        text = " ".join(_cell(item) for item in value)
    return text if len(text) <= 4 * CELL else text[: 4 * CELL - 1] + "…"


def _axes() -> Any:
    """A new drawing, where a notebook can show one."""
    if importlib.util.find_spec("matplotlib") is None or importlib.util.find_spec("IPython") is None:
        return None
    from IPython import get_ipython  # type: ignore[import-not-found]

    if get_ipython() is None:
        return None
    import matplotlib.pyplot as plt  # type: ignore[import-not-found]

    return plt.subplots(figsize=(6, 3.5))[1]
