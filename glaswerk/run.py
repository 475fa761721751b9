"""A run: one model's whole life in one folder. Every verb reads or extends it.

    runs/paris/
      run.json         name, seed, versions, corpus manifest, plan, stages
      corpus/          documents, token memmaps, report
      tokenizer/       tokenizer.json
      base/ sft/       a stage: a Hugging Face model folder
      resume/base/     what an unfinished stage needs to go on; deleted when it completes
      events.jsonl     what the training loop emitted, cut back to the checkpoint on resume

No absolute path inside, no torch here. Left out: what the stages do (train, align) and how they are planned (pipeline).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glaswerk.errors import GlaswerkError
from glaswerk.home import explain, make_folder, read_json, replacing, write_json

MANIFEST = "run.json"
#: stages that judge and do not write
JUDGES = ("reward",)
#: the folder inside a stage that was trained by LoRA: its adapter alone, in PEFT's format
ADAPTER = "adapter"


class Run:
    """An existing run folder. ``Run.create`` makes a new one.

    Raises :class:`GlaswerkError` if ``path`` holds no readable ``run.json``.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.is_run(self.path):
            raise GlaswerkError(
                f"{self.path} is not a run (it has no {MANIFEST}): start one with `glaswerk run --out {self.path}`"
            )
        self.data = self.read()

    def read(self) -> dict[str, Any]:
        """What ``run.json`` holds now; raises :class:`GlaswerkError` where it is damaged."""
        data = read_json(self.path / MANIFEST)
        if not isinstance(data, dict) or not isinstance(data.get("stages"), dict):
            raise GlaswerkError(
                f"{self.path / MANIFEST} is damaged: it has no stages; restore it or choose another --out"
            )
        return data

    @staticmethod
    def is_run(path: str | Path) -> bool:
        """Whether the folder holds a run."""
        return (Path(path) / MANIFEST).is_file()

    @classmethod
    def create(cls, path: str | Path, *, seed: int, **facts: Any) -> Run:
        """Make the folder and its ``run.json``. Raises :class:`GlaswerkError` if it cannot be written or is in use
        for something else (a folder with files that are not a run; names that begin with a dot do not count: a
        creation that was killed leaves one)."""
        folder = Path(path)
        others = folder.is_dir() and any(not file.name.startswith(".") for file in folder.iterdir())
        if others and not cls.is_run(folder):
            raise GlaswerkError(f"{folder} holds other files and is not a run: choose another --out")
        make_folder(folder)
        write_json(folder / MANIFEST, {"name": folder.resolve().name, "seed": seed, **facts, "stages": {}})
        return cls(folder)

    # -- where things lie ---------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The run's name."""
        return str(self.data.get("name", self.path.name))

    @property
    def argument(self) -> str:
        """How a command names it: as it lies in the folder of runs. The rest of the path is nobody's business on a
        page."""
        folder = self.path.resolve()
        return f"runs/{folder.name}" if folder.parent.name == "runs" else folder.name

    @property
    def corpus(self) -> Path:
        """The corpus folder."""
        return self.path / "corpus"

    @property
    def tokenizer(self) -> Path:
        """The tokenizer folder."""
        return self.path / "tokenizer"

    @property
    def events_file(self) -> Path:
        """The event log."""
        return self.path / "events.jsonl"

    def stage(self, name: str) -> Path:
        """The folder of a stage, finished or not."""
        return self.path / name

    def resume(self, name: str) -> Path:
        """Where an unfinished stage keeps its checkpoints."""
        return self.path / "resume" / name

    # -- stages -------------------------------------------------------------------------------------------

    def finished(self, name: str) -> bool:
        """Whether the stage is recorded as complete and its weights are there."""
        return name in self.data["stages"] and (self.stage(name) / "model.safetensors").is_file()

    def writers(self) -> list[str]:
        """The finished stages that write text, in the order they were made; a reward model only judges."""
        return [name for name in self.data["stages"] if self.finished(name) and name not in JUDGES]

    def latest_stage(self) -> str:
        """The finished stage that was made last: the one that a user most likely wants to talk to. Raises
        :class:`GlaswerkError` if none is."""
        if writers := self.writers():
            return writers[-1]
        raise GlaswerkError(
            f"the run {self.path} has no finished stage yet: `glaswerk run --out {self.path}` goes on with it"
        )

    def finish(self, name: str, facts: dict[str, Any]) -> None:
        """Record a stage as complete, then delete what was kept for resuming it."""
        self.data["stages"].pop(name, None)  # one that is made anew is the last one made
        self.data["stages"][name] = facts
        self.save()
        shutil.rmtree(self.resume(name), ignore_errors=True)
        folder = self.path / "resume"
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def save(self) -> None:
        """Write ``run.json``, crash-safely."""
        write_json(self.path / MANIFEST, self.data)

    # -- events -------------------------------------------------------------------------------------------

    def emit(self, **event: Any) -> None:
        """Append one event as one line (a single write, so that a reader never sees two half lines mixed)."""
        line = json.dumps(event, ensure_ascii=False) + "\n"
        try:
            with open(self.events_file, "a", encoding="utf-8") as log:
                log.write(line)
        except OSError as error:
            raise explain(error, self.events_file) from error

    def events(self) -> Iterator[dict[str, Any]]:
        """All events in order; a last line that a crash cut short is skipped."""
        if not self.events_file.is_file():
            return
        with open(self.events_file, "rb") as log:  # bytes: a line may be cut short inside a character
            for line in log:
                try:
                    yield json.loads(line)
                except ValueError:
                    continue

    def events_size(self) -> int:
        """Bytes in the event log: what a checkpoint remembers."""
        return self.events_file.stat().st_size if self.events_file.is_file() else 0

    def cut_events(self, stage: str, size: int = 0) -> None:
        """Take the events of ``stage`` that came after the first ``size`` bytes out of the log: what came after the
        checkpoint is trained again. Those of other stages stay; a torn last line goes."""
        if not self.events_file.is_file():
            return
        lines = self.events_file.read_bytes().splitlines(keepends=True)
        kept, at = [], 0
        for line in lines:
            at += len(line)
            if line.endswith(b"\n") and (at <= size or stage_of(line) != stage):
                kept.append(line)
        if len(kept) < len(lines):
            with replacing(self.events_file) as part:
                part.write_bytes(b"".join(kept))

    # -- one writer at a time -----------------------------------------------------------------------------

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for writing; raises :class:`GlaswerkError` if another process does. Freed by a crash too.

        ``data`` is read anew: another process may have gone on with the run since this object was made."""
        try:
            import fcntl
        except ImportError:  # Windows: no advisory locks, two writers are then the user's care
            yield
            return
        with open(self.path / ".lock", "w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise GlaswerkError(
                    f"the run {self.path} is being written by another process: wait for it or stop it first"
                ) from error
            self.data = self.read()
            yield


def stage_of(line: bytes) -> Any:
    """The stage that an event's line names, None if none."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event.get("stage") if isinstance(event, dict) else None
