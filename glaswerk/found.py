"""Which files MODEL means: a run, a stage, a folder, a GGUF file or a pulled name. No torch, so that a verb can say
that there is no such model before it loads anything heavy.

Left out: opening what was found (``opened.py``), fetching (``pull.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from glaswerk import pull
from glaswerk.errors import GlaswerkError
from glaswerk.run import Run


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a model came from: the folder (or GGUF file); and, if that lies in a run, the run's folder and the
    stage; ``pulled``: the name it was pulled by.
    """

    folder: Path
    run: Path | None = None
    stage: str | None = None
    pulled: str | None = None

    @property
    def name(self) -> str:
        """Short, for people: ``paris/sft``, ``smollm2``, or the folder's or file's name."""
        if self.run:
            return f"{self.run.resolve().name}/{self.stage}"
        return self.pulled or (self.folder.stem if self.folder.is_file() else self.folder.resolve().name)


def find(model: str | Path) -> Origin:
    """The folder that MODEL means. Raises :class:`GlaswerkError` that lists what was tried."""
    if str(model).startswith("hf:"):
        return Origin(pull.path(str(model)))
    places = places_of(model)
    for place in places:
        if Run.is_run(place):
            stage = Run(place).latest_stage()
            return Origin(place / stage, place, stage)
        if (place / "config.json").is_file():
            inside = Run.is_run(place.parent) if place.name else False
            return Origin(place, place.parent, place.name) if inside else Origin(place)
        if place.is_dir():
            raise GlaswerkError(
                f"{place} is neither a run (no run.json) nor a model folder (no config.json); name one of those",
                f"{place} ist weder ein Lauf (es fehlt run.json) noch ein Modellordner (es fehlt config.json).",
            )
        if place.is_file():
            if place.suffix == ".gguf":
                return Origin(place)
            raise GlaswerkError(
                f"{place} is a single file and no .gguf; name a run, a Hugging Face folder or a GGUF file"
            )
    entry = pull.REGISTRY.get(str(model))
    if entry is not None and entry.kind == "model":
        folder = pull.path(entry.name)  # says how to pull it, where it is not here
        files = sorted(folder.glob("*.gguf"))
        if len(files) == 1:
            return Origin(files[0], pulled=entry.name)
        raise GlaswerkError(f"{model} ({entry.description}) is no model that writes text")
    tried = ", ".join(f"the folder {place}" for place in places)
    raise GlaswerkError(
        f"there is no model {str(model)!r} (tried: {tried}, the pulled names); make one with `glaswerk run`",
        f"Ein Modell „{model}“ gibt es nicht, weder als Ordner noch unter den geholten Namen. "
        "Mach eines mit `glaswerk run`.",
    )


def run_named(model: str | None) -> Path | None:
    """The run's folder that MODEL names, if it names one; whether a stage of it is finished or not."""
    if model is None or model.startswith("hf:"):
        return None
    return next((place for place in places_of(model) if Run.is_run(place)), None)


def places_of(model: str | Path) -> list[Path]:
    """Where MODEL may lie: as a path, and among the runs (``paris``, and ``paris/sft`` as it is shown)."""
    path = Path(model)
    return [path] if path.is_absolute() else [path, Path("runs") / path]
