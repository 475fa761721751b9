"""The model that the lab has open: loaded in a background thread, used by one request at a time.

Left out: what is asked of it (``data.py``).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glaswerk.errors import GlaswerkError, NoModel
from glaswerk.found import run_named
from glaswerk.run import MANIFEST, Run
from glaswerk.serve import recorded

if TYPE_CHECKING:
    from glaswerk.lens.trace import Trace
    from glaswerk.opened import OpenedModel

#: the most tokens that the lab traces: more cannot be looked at, and memory is finite
MOST_TOKENS = 128
#: traces kept in memory, so that values asked for later need no second forward pass
KEPT_TRACES = 4


class Holder:
    """``state`` is "none", "recorded" (no model anywhere: answers of another are shown), "loading", "ready" or
    "failed"; ``name`` and ``error`` say more. Thread-safe."""

    def __init__(self, model: str | None = None, runs: Path = Path("runs")) -> None:
        self.runs = runs
        self.state, self.name = "none", ""
        self.error = GlaswerkError("")
        self.opened: OpenedModel | None = None
        #: the network computes for one request at a time
        self.busy = threading.RLock()
        self._changing = threading.Lock()
        self._asked = model
        #: the run that was asked for by its folder: its training is shown, and its furthest stage is open
        self.watched = run_named(model)
        self._traces: OrderedDict[tuple[int, ...], Trace] = OrderedDict()
        #: models opened beside it for comparing, by name; ``beside.py`` looks after them
        self.others: OrderedDict[str, Holder] = OrderedDict()
        self.beside_lock = threading.Lock()

    def start(self) -> None:
        """Begin to load what was asked for, or the best there is; returns at once."""
        name = self._asked or best_model(self.runs)
        if name is None or (self.watched is not None and furthest(self.watched) is None):
            if self.training() is None and recorded.model():
                self.state, self.name = "recorded", recorded.model()
            elif self.state == "recorded":  # a run has begun
                self.state, self.name = "none", ""
            return  # look_again() opens the run once a stage of it is finished
        with self._changing:
            if self.state == "loading":
                return
            self.state, self.name, self.error = "loading", name, GlaswerkError("")
        threading.Thread(target=self._load, args=(name,), name="glaswerk-load", daemon=True).start()

    def look_again(self) -> None:
        """A run may have finished a stage meanwhile: its first, or one further than the one that is open."""
        if self.state == "failed" and self.watched is None and (found := run_named(self._asked)) is not None:
            self.watched, self.state = found, "none"  # the run that was asked for has begun
        if self.state in ("none", "recorded"):
            self.start()
        elif self.state == "ready" and self.opened is not None and (self._asked is None or self.watched is not None):
            origin = self.opened.origin
            if origin.run is not None and furthest(origin.run) not in (origin.stage, None):
                self.start()

    def training(self) -> Path | None:
        """The run whose training is shown: the one asked for, else the one written to last."""
        return self.watched or next(iter(newest_first(self.runs)), None)

    def load(self, name: str) -> None:
        """Open a model now, in this thread. Raises :class:`GlaswerkError` where that fails."""
        self.state, self.name, self.error = "loading", name, GlaswerkError("")
        self._load(name)
        self.model()

    def _load(self, name: str) -> None:
        try:
            from glaswerk.opened import load

            opened = load(name)
        except GlaswerkError as error:
            self.state, self.error = "failed", error
        except Exception as error:  # a thread's traceback would reach nobody
            what = f"{type(error).__name__}: {error}"
            self.error = GlaswerkError(f"{name} could not be opened: {what}", f"{name} ließ sich nicht öffnen: {what}")
            self.state = "failed"
        else:
            with self.busy:
                self.opened, self.name, self.state = opened, opened.origin.name, "ready"
                self._traces.clear()

    def model(self) -> OpenedModel:
        """The open model. Raises :class:`GlaswerkError` in one line that says why there is none."""
        if self.opened is not None:
            return self.opened
        if self.state == "loading":
            raise GlaswerkError(
                f"{self.name} is still being loaded: wait a moment",
                f"{self.name} wird noch geladen. Warte einen Moment.",
            )
        if self.state == "failed":
            raise GlaswerkError(str(self.error), self.error.german)
        raise NoModel(
            "no model is open: make one with `glaswerk run`, then reload this page",
            "Kein Modell ist offen. Mach eines mit `glaswerk run` und lade diese Seite neu.",
        )

    def trace(self, prompt: str | Sequence[int]) -> Trace:
        """The trace of a prompt (text or ids), kept for the next questions about it."""
        with self.busy:
            model = self.model()
            ids = model.tokenizer.encode(prompt) if isinstance(prompt, str) else list(prompt)
            check_ids(ids, model)
            key = tuple(ids)
            if key not in self._traces:
                self._traces[key] = model.trace(prompt if isinstance(prompt, str) and prompt else ids)
                while len(self._traces) > KEPT_TRACES:
                    self._traces.popitem(last=False)
            self._traces.move_to_end(key)
            return self._traces[key]

    def status(self) -> dict[str, Any]:
        """For ``/health`` and the page's head line."""
        told = {"error": str(self.error), "german": self.error.german}
        return {"state": self.state, "name": self.name, **told}


def check_ids(ids: Sequence[int], model: OpenedModel) -> None:
    """Raises :class:`GlaswerkError` where the lab cannot trace these ids."""
    known = model.tokenizer.vocabulary_size
    for number in ids:
        if not 0 <= number < known:
            raise GlaswerkError(
                f"there is no token with the id {number}; this model's ids go from 0 to {known - 1}",
                f"Ein Token mit der ID {number} gibt es nicht. Die IDs dieses Modells gehen von 0 bis {known - 1}.",
            )
    context = model.model.config.context
    if len(ids) > min(MOST_TOKENS, context):
        reason, german = f"the lab shows up to {MOST_TOKENS}", f"Das Labor zeigt höchstens {MOST_TOKENS}"
        if context < MOST_TOKENS:
            reason, german = f"the model's context holds {context}", f"In den Kontext des Modells passen {context}"
        raise GlaswerkError(
            f"the prompt has {len(ids):,} tokens; {reason}: shorten it",
            f"Der Prompt hat {len(ids)} Tokens. {german}. Kürze ihn.",
        )


def best_model(runs: Path) -> str | None:
    """What is opened where nobody named a model: the newest run with a finished stage, else ``smollm2`` if pulled."""
    for path in newest_first(runs):
        if furthest(path) is not None:
            return str(path)
    from glaswerk import pull

    return "smollm2" if "smollm2" in pull.REGISTRY and pull.is_pulled("smollm2") else None


def furthest(run: Path) -> str | None:
    """The furthest finished stage of a run; None: there is none yet, or the folder is damaged."""
    try:
        return Run(run).latest_stage()
    except GlaswerkError:
        return None


def newest_first(runs: Path) -> list[Path]:
    """The runs of a folder, the one written to last first."""
    found = [path.parent for path in runs.glob(f"*/{MANIFEST}")] if runs.is_dir() else []
    return sorted(found, key=last_written, reverse=True)


def last_written(run: Path) -> float:
    """When a run last got an event or a stage."""
    files = [run / MANIFEST, run / "events.jsonl"]
    return max((file.stat().st_mtime for file in files if file.is_file()), default=0.0)
