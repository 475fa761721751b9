"""A code task of a chapter: its stub to start from, and the check of what was written, in a process of its own with a
time limit. Only the file that the learner named is run, with the chapter's check beside it; nothing is taken from the
folder around it, from the page or from a model.

Left out: the words of the terminal (``glaswerk/cli/exercise.py``); what runs in the child (``exercise_child.py``).
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from glaswerk.course.chapter import Chapter, Exercise
from glaswerk.errors import GlaswerkError
from glaswerk.home import write_text

#: seconds that the learner's code may run, and that Python may take to start and load the check
LIMIT, TO_START = 10.0, 60.0


@dataclass(frozen=True)
class Verdict:
    """Whether the code is right; else ``line`` says in one line what is wrong. ``kind``: right, wrong, stub, error,
    time."""

    kind: str
    line: str
    seconds: float

    @property
    def right(self) -> bool:
        """Whether the check passed."""
        return self.kind == "right"


def tasks(chapter: Chapter) -> dict[str, Exercise]:
    """The chapter's code tasks by id."""
    return {exercise.id: exercise for exercise in chapter.exercises if exercise.kind == "code"}


def task_of(chapter: Chapter, file: Path) -> Exercise:
    """The task that a file answers: by its name, or the only one whose functions it defines."""
    found = tasks(chapter)
    name = file.stem.replace("-", "_")
    for key, exercise in found.items():
        if key.replace("-", "_") == name:
            return exercise
    if file.is_file():
        defined = names_in(read(file))
        fitting = [exercise for exercise in found.values() if stub_names(exercise) <= defined]
        if len(fitting) == 1:
            return fitting[0]
    names = ", ".join(f"{key}.py" for key in found)
    told = f"its files are {names}" if names else "it has no code tasks"
    raise GlaswerkError(f"{file.name} is no task of chapter {chapter.entry.name}: {told}")


def write_stub(exercise: Exercise, file: Path) -> None:
    """Write the stub to start from; an existing file is never touched."""
    if file.exists():
        raise GlaswerkError(f"{file} is there already")
    assert exercise.stub is not None
    write_text(file, exercise.stub.read_text(encoding="utf-8"))


def stub_names(exercise: Exercise) -> set[str]:
    """The functions and classes that the stub asks for."""
    assert exercise.stub is not None
    return names_in(exercise.stub.read_text(encoding="utf-8"))


def names_in(text: str) -> set[str]:
    """What a file defines at its top; empty where it is not Python."""
    try:
        nodes = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    kinds = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
    return {node.name for node in nodes if isinstance(node, kinds) and not node.name.startswith("_")}


def read(file: Path) -> str:
    """The learner's file. Raises :class:`GlaswerkError` in one line where it cannot be read."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise GlaswerkError(f"cannot read {file}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise GlaswerkError(f"{file} is not UTF-8 text: save it as UTF-8") from None


def check(exercise: Exercise, file: Path, limit: float = LIMIT) -> Verdict:
    """Run the file against the task's check, in a child process. What it prints goes to this process's stderr."""
    read(file)
    assert exercise.check is not None
    began = time.perf_counter()
    wanted = ",".join(sorted(stub_names(exercise)))
    with tempfile.TemporaryDirectory(prefix="glaswerk-exercise-") as folder:
        answer = Path(folder) / "answer.json"
        # -P: the file's own folder is not searched for modules, or a random.py beside it would be run
        command = [sys.executable, "-P", "-m", "glaswerk.course.exercise_child"]
        command += [str(file.resolve()), str(exercise.check), wanted, str(limit), str(answer)]
        # the library may lie in a tree that Python knows only because it was started there
        package = str(Path(__file__).resolve().parents[2])
        paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno() if has_file(sys.stderr) else None,
            env=environment, start_new_session=True,
        )  # fmt: skip
        try:
            code = child.wait(timeout=limit + TO_START)
        except subprocess.TimeoutExpired:
            return Verdict("time", f"{file.name} did not end within {limit:g} s", time.perf_counter() - began)
        finally:
            stop(child)
        seconds = time.perf_counter() - began
        try:
            told = json.loads(answer.read_text(encoding="utf-8"))
            return Verdict(str(told["kind"]), " ".join(str(told["line"]).split()), seconds)
        except (OSError, ValueError, KeyError, TypeError):
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            line = f"{file.name} ended the Python that ran it ({how}): too much memory, or an exit of its own?"
            return Verdict("error", line, seconds)


def has_file(stream: object) -> bool:
    """Whether a stream is a real file that a child can write to."""
    try:
        stream.fileno()  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False
    return True


def stop(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it started."""
    import signal

    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()
    child.wait()
