"""Demo functions: what a chapter's figures compute. Plain values in, JSON out, by the real library on the open model.

    @demo(prompt=200, layer=(0, 512))
    def scores(model: OpenedModel, prompt: str = "Hello", layer: int = 0) -> dict[str, Any]: ...

A first parameter ``model`` says: needs a model. Every other parameter has a default and, in the decorator, its bound:
the longest text or list, ``(least, most)`` of a number, or the set of allowed texts. Arguments come from strangers
(a page), so they are checked against annotation and bound before anything runs. Results are cached.

Left out: HTTP (``glaswerk/serve``).
"""

from __future__ import annotations

import base64
import importlib.util
import inspect
import json
import math
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import numpy as np

from glaswerk.course.outline import entry
from glaswerk.errors import GlaswerkError

Bound = int | tuple[float, float] | Collection[str]
#: results kept; the oldest goes first
KEPT = 256
#: an array with more numbers than this is sent as base64
LISTED = 4096


@dataclass(frozen=True)
class Demo:
    """A function that figures may call."""

    name: str
    function: Callable[..., Any]
    bounds: Mapping[str, Bound]
    defaults: Mapping[str, Any]
    kinds: Mapping[str, Any]
    needs_model: bool

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The plain function, as a notebook or a test calls it."""
        return self.function(*args, **kwargs)


def demo(**bounds: Bound) -> Callable[[Callable[..., Any]], Demo]:
    """Make a function callable from figures; see the head of this file. Raises TypeError where a parameter has no
    default, no annotation or no bound (bool needs none)."""

    def wrap(function: Callable[..., Any]) -> Demo:
        parameters = dict(inspect.signature(function).parameters)
        needs_model = next(iter(parameters), "") == "model"
        if needs_model:
            del parameters["model"]
        hints = get_type_hints(function) if not needs_model else _hints_without_model(function)
        for name, parameter in parameters.items():
            if parameter.default is inspect.Parameter.empty or name not in hints:
                raise TypeError(f"{function.__name__}: {name} needs a default and an annotation")
            if hints[name] is not bool and name not in bounds:
                raise TypeError(f"{function.__name__}: {name} needs a bound in @demo(...)")
        if set(bounds) - set(parameters):
            raise TypeError(f"{function.__name__}: @demo bounds what is no parameter: {set(bounds) - set(parameters)}")
        if not inspect.getdoc(function):
            raise TypeError(f"{function.__name__}: a demo function says what it computes in a docstring")
        defaults = {name: parameter.default for name, parameter in parameters.items()}
        return Demo(function.__name__, function, bounds, defaults, hints, needs_model)

    return wrap


def _hints_without_model(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations but that of the model, whose class costs torch to import."""
    wanted = {name: hint for name, hint in function.__annotations__.items() if name not in ("model", "return")}
    scope = sys.modules[function.__module__].__dict__
    return {name: eval(hint, scope) if isinstance(hint, str) else hint for name, hint in wanted.items()}


# ---------------------------------------------------------------------------------------------- calling
_lock = threading.Lock()
_results: OrderedDict[str, str] = OrderedDict()
_modules: dict[Path, tuple[int, ModuleType]] = {}


def demos(chapter: str) -> dict[str, Demo]:
    """The demo functions of a chapter, by name; read anew when the file changed."""
    found = entry(chapter)
    path = found.folder / "demo.py"
    if not path.is_file():
        return {}
    when = path.stat().st_mtime_ns
    with _lock:
        if path not in _modules or _modules[path][0] != when:
            _modules[path] = (when, load_module(path, f"glaswerk_chapter_{found.slug.replace('-', '_')}"))
        module = _modules[path][1]
    return {value.name: value for value in vars(module).values() if isinstance(value, Demo)}


def load_module(path: Path, name: str) -> ModuleType:
    """A Python file outside any package (a chapter's folder has a number in its name) as a module."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise GlaswerkError(f"{path} cannot be read as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and typing look there
    spec.loader.exec_module(module)
    return module


def call(chapter: str, name: str, arguments: Mapping[str, Any], model: Any = None) -> str:
    """The result of a chapter's demo function as JSON text. ``model`` is the opened one or None.

    Raises :class:`GlaswerkError` for a name that is none, an argument out of bounds, or a missing model."""
    found = demos(chapter)
    if name not in found:
        raise GlaswerkError(f"chapter {chapter} has no demo function {name!r}")
    function = found[name]
    values = {**function.defaults, **checked(function, arguments)}
    if function.needs_model and model is None:
        raise GlaswerkError(
            "this needs a model and none is open: make one with `glaswerk run`",
            "Dafür muss ein Modell offen sein. Mach eines mit `glaswerk run`.",
        )
    when = _modules[entry(chapter).folder / "demo.py"][0]
    key = json.dumps([chapter, name, when, id(model) if function.needs_model else None, values], sort_keys=True)
    with _lock:
        if key in _results:
            _results.move_to_end(key)
            return _results[key]
    result = function(model, **values) if function.needs_model else function(**values)
    text = as_json(result)
    with _lock:
        _results[key] = text
        while len(_results) > KEPT:
            _results.popitem(last=False)
    return text


def checked(function: Demo, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, of their kind and within their bounds."""
    values = {}
    for name, value in arguments.items():
        if name not in function.kinds or name not in function.defaults:
            raise GlaswerkError(f"{function.name} has no argument {name!r}; it has {', '.join(function.defaults)}")
        kind = function.kinds[name]
        values[name] = _checked(f"{function.name}: {name}", value, kind, function.bounds.get(name))
    return values


def _checked(name: str, value: Any, kind: Any, bound: Bound | None) -> Any:
    origin = getattr(kind, "__origin__", kind)
    if origin is list:
        longest = bound if isinstance(bound, int) else LISTED
        if not isinstance(value, list) or len(value) > longest:
            raise GlaswerkError(
                f"{name} must be a list of at most {longest}",
                f"{name} muss eine Liste mit höchstens {longest} Einträgen sein.",
            )
        return [
            _checked(name, item, kind.__args__[0], bound if not isinstance(bound, int) else longest) for item in value
        ]
    if kind is bool:
        if not isinstance(value, bool):
            raise GlaswerkError(f"{name} must be true or false", f"{name} muss wahr oder falsch sein.")
        return value
    if kind is str:
        if not isinstance(value, str):
            raise GlaswerkError(f"{name} must be a text", f"{name} muss ein Text sein.")
        if isinstance(bound, int) and len(value) > bound:
            raise GlaswerkError(
                f"{name} is {len(value):,} characters long, at most {bound:,} are taken: shorten it",
                f"{name} ist {len(value)} Zeichen lang, höchstens {bound} werden angenommen. Kürze den Text.",
            )
        if isinstance(bound, Collection) and value not in bound:
            choices = ", ".join(map(str, bound))
            raise GlaswerkError(
                f"{name} must be one of {choices}, not {value[:40]!r}",
                f"{name} muss eines von {choices} sein, nicht „{value[:40]}“.",
            )
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise GlaswerkError(f"{name} must be a number", f"{name} muss eine Zahl sein.")
    if kind is int and value != int(value):
        raise GlaswerkError(f"{name} must be a whole number", f"{name} muss eine ganze Zahl sein.")
    if isinstance(bound, tuple) and not bound[0] <= value <= bound[1]:
        numbers = [f"{number:g}" for number in (*bound, value)]
        raise GlaswerkError(
            "{} must be from {} to {}, not {}".format(name, *numbers),
            "{} muss zwischen {} und {} liegen, nicht bei {}.".format(name, *(n.replace(".", ",") for n in numbers)),
        )
    return kind(value)


# ---------------------------------------------------------------------------------------------- JSON
def as_json(value: Any) -> str:
    """JSON of plain values, dataclass-free; arrays and tensors become lists, large ones base64 (see :func:`packed`).
    Infinities and NaN, which JSON has not, become null."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def plain(value: Any) -> Any:
    """``value`` as dicts, lists, texts and numbers."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "detach"):  # a tensor
        value = value.detach().cpu().float().numpy() if value.is_floating_point() else value.detach().cpu().numpy()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        return packed(value) if value.size > LISTED else plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def packed(array: np.ndarray) -> dict[str, Any]:
    """An array for ``data.js``'s ``unpack``: shape, dtype ("float32", "int32" or "uint8") and base64, little-endian."""
    kind = "float32" if array.dtype.kind == "f" else "uint8" if array.dtype in (np.uint8, np.bool_) else "int32"
    data = np.ascontiguousarray(array, dtype=np.dtype(kind).newbyteorder("<"))
    return {"shape": list(array.shape), "dtype": kind, "base64": base64.b64encode(data.tobytes()).decode()}
