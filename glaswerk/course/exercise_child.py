"""What runs in the child process of ``exercise.py``: ``python -m glaswerk.course.exercise_child FILE CHECK NAMES LIMIT
ANSWER``. Loads the check, then the learner's file, runs one against the other and writes the verdict as JSON.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

#: bytes of memory that the child may take, where the system can say so
MEMORY = 6 * 2**30
#: the last call of the learner's code, as text
called: list[str] = []


def main(arguments: list[str]) -> None:
    """Judge and write."""
    file, check, names, limit, answer = arguments
    keep_to_memory()
    judge = load(Path(check), "glaswerk_exercise_check")  # before the clock starts: it may import torch
    answered = threading.Lock()

    def tell(kind: str, line: str) -> None:
        answered.acquire()  # never released: the first verdict stands
        Path(answer).write_text(json.dumps({"kind": kind, "line": line}), encoding="utf-8")
        sys.stdout.flush()
        os._exit(0)  # threads of the learner's code must not keep the process alive

    threading.Thread(target=watch, args=(Path(file), float(limit), tell), daemon=True).start()
    tell(*verdict(Path(file), [name for name in names.split(",") if name], judge))


def verdict(file: Path, names: list[str], judge: ModuleType) -> tuple[str, str]:
    """Run the check; its kind and line."""
    try:
        module = load(file, file.stem)
        missing = [name for name in names if not hasattr(module, name)]
        if missing:
            return "wrong", f"{file.name} defines no {' and no '.join(missing)}"
        for name in names:
            if isinstance(getattr(module, name), FunctionType):
                setattr(module, name, noted(getattr(module, name)))
        judge.check(module)
    except SyntaxError as error:
        if error.filename == str(file):
            return "error", f"{file.name}, line {error.lineno}: this is not Python: {error.msg}"
        return "error", f"{file.name}: {error}"
    except NotImplementedError:
        return "stub", f"{file.name} is still the stub: write {' and '.join(names)}, then run this again"
    except BaseException as error:
        return explained(file, error)
    return "right", f"{file.name} is right"


def explained(file: Path, error: BaseException) -> tuple[str, str]:
    """One line for an error: that of the check as it is, one in the learner's code with its place and the call."""
    place = next(
        (frame for frame in reversed(traceback.extract_tb(error.__traceback__)) if frame.filename == str(file)), None
    )
    if place is None and isinstance(error, AssertionError):
        return "wrong", str(error) or "the check failed"
    kind = "it called exit" if isinstance(error, SystemExit) else f"{type(error).__name__}: {error}".rstrip(": ")
    during = f", in {called[-1]}" if called else ""
    where = f", line {place.lineno}{during}" if place else during
    return ("error" if place else "wrong"), f"{file.name}{where}: {kind}"


def watch(file: Path, limit: float, tell: Callable[[str, str], None]) -> None:
    """After ``limit`` seconds say where the learner's code is, and end."""
    time.sleep(limit)
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None and frame.f_code.co_filename != str(file):
        frame = frame.f_back
    where = f" at line {frame.f_lineno}" if frame else ""
    during = f", in {called[-1]}" if called else ""
    tell("time", f"{file.name} still ran after {limit:g} s{where}{during}: does a loop never end?")


def noted(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which also leaves a note of how it was called."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        shown = [repr(value) for value in args] + [f"{key}={value!r}" for key, value in kwargs.items()]
        text = f"{function.__name__}({', '.join(shown)})"
        called[:] = [text if len(text) <= 90 else f"{text[:89]}…"]
        return function(*args, **kwargs)

    return call


def load(path: Path, name: str) -> ModuleType:
    """A file as a module; compiled from its text, so that nothing is read from or written to a cache."""
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name if name not in sys.modules else f"exercise_{name}"] = module
    code: CodeType = compile(path.read_text(encoding="utf-8"), str(path), "exec")
    exec(code, module.__dict__)
    return module


def keep_to_memory() -> None:
    """Let an endless list end in MemoryError instead of filling the machine."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


if __name__ == "__main__":
    main(sys.argv[1:])
