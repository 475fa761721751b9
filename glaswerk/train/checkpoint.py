"""Checkpoints of an unfinished stage: safetensors and JSON only, whole or not there at all.

A checkpoint is a folder ``step-000123``: weights, optimizer state, RNG state, and ``state.json`` with the SHA-256 of
the others, written last. It is made under a temporary name, synced, and renamed. A checkpoint that does not match its
own checksums is passed over for the one before it. The two newest are kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from glaswerk.errors import GlaswerkError
from glaswerk.home import explain, make_folder, sync_folder

KEEP = 2
FILES = {"model.safetensors", "optimizer.safetensors", "random.safetensors"}


class Checkpoints:
    """The checkpoints in one folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def save(self, step: int, model: dict[str, Tensor], optimizer: dict[str, Tensor], facts: dict[str, Any]) -> Path:
        """Write the checkpoint after ``step`` steps. Raises :class:`GlaswerkError` if the disk does not take it; the
        older ones then still stand."""
        make_folder(self.folder)
        final, part = self.folder / f"step-{step:09d}", self.folder / f".part-{os.getpid()}"
        shutil.rmtree(part, ignore_errors=True)
        try:
            part.mkdir()
            save_file({name: t.detach().contiguous() for name, t in model.items()}, part / "model.safetensors")
            save_file({name: t.detach().contiguous() for name, t in optimizer.items()}, part / "optimizer.safetensors")
            save_file(random_state(), part / "random.safetensors")
            sums = {}
            for file in sorted(part.iterdir()):
                sums[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
                sync_file(file)
            (part / "state.json").write_text(json.dumps({"step": step, "sha256": sums, **facts}), encoding="utf-8")
            sync_file(part / "state.json")
            sync_folder(part)
            if final.exists():
                shutil.rmtree(final)
            part.rename(final)
            sync_folder(self.folder)
        except Exception as error:
            shutil.rmtree(part, ignore_errors=True)
            if isinstance(error, OSError):
                raise explain(error, final) from error
            if "No space left" in str(error):  # safetensors wraps the operating system's error in its own
                raise GlaswerkError(
                    f"no space left on the disk while writing {final}: free some and run again"
                ) from error
            raise
        self.prune()
        return final

    def prune(self) -> None:
        """Delete all but the newest; renamed first, so that a crash in the middle leaves nothing that looks whole."""
        for number, old in enumerate(self.steps()[:-KEEP]):
            old.rename(self.folder / f".old-{os.getpid()}-{number}")
        for left in [*self.folder.glob(".old-*"), *self.folder.glob(".part-*")]:
            shutil.rmtree(left, ignore_errors=True)

    def steps(self) -> list[Path]:
        """The checkpoint folders, oldest first."""
        return sorted(self.folder.glob("step-*")) if self.folder.is_dir() else []

    def latest(self) -> tuple[dict[str, Any], Path] | None:
        """The newest checkpoint that is whole, as (facts, folder); None if there is none.

        Raises :class:`GlaswerkError` if there are some and all are damaged: training again would overwrite evidence.
        """
        found = self.steps()
        for folder in reversed(found):
            facts = whole(folder)
            if facts is not None:
                return facts, folder
        if found:
            raise GlaswerkError(
                f"no checkpoint in {self.folder} is readable: delete that folder to train the stage anew"
            )
        return None

    def load(self, folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Weights and optimizer state of a checkpoint; sets torch's RNG to where it was."""
        restore_random_state(load_file(folder / "random.safetensors"))
        return load_file(folder / "model.safetensors"), load_file(folder / "optimizer.safetensors")


def whole(folder: Path) -> dict[str, Any] | None:
    """A checkpoint's facts if every file matches its checksum, else None."""
    try:
        facts = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        if not facts["sha256"].keys() >= FILES:
            return None
        for name, expected in facts["sha256"].items():
            if Path(name).name != name or hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected:
                return None
        return facts if isinstance(facts["step"], int) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def random_state() -> dict[str, Tensor]:
    """torch's RNG states, CPU and GPU."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random_state(state: dict[str, Tensor]) -> None:
    """Set torch's RNGs."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def sync_file(file: Path) -> None:
    """fsync one file."""
    with open(file, "rb") as handle:
        os.fsync(handle.fileno())
