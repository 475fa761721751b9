"""Which files MODEL means: a run, a stage, a folder, a GGUF file or a pulled name. No torch, so that a verb can say
that there is no such model before it loads anything heavy.

Left out: opening what was found (``opened.py``, ``serve/api/models.py`` for adapters), fetching (``pull.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glaswerk import pull
from glaswerk.errors import GlaswerkError
from glaswerk.run import ADAPTER, JUDGES, Run

#: what makes a folder an adapter in PEFT's format
PEFT = "adapter_config.json"


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


def find_adapters(base: Origin, adapters: Sequence[str | Path]) -> list[Origin]:
    """The LoRA adapters that are meant, each with a name of its own beside ``base``. Raises :class:`GlaswerkError` for
    the first that is none, and where two have one name."""
    found = [find_adapter(adapter) for adapter in adapters]
    names = [base.name]
    for origin in found:
        if origin.name in names:
            raise GlaswerkError(
                f"two models would have the name {origin.name}: give each adapter once, or rename its folder"
            )
        names.append(origin.name)
    return found


def find_adapter(adapter: str | Path) -> Origin:
    """The stage that was trained by LoRA (or a run, whose furthest one), or the folder in PEFT's format, that ADAPTER
    means. :func:`adapter_folder` has its files. Raises :class:`GlaswerkError` that says what is there instead."""
    places = places_of(adapter)
    for place in places:
        if (place / PEFT).is_file():
            stage = place.parent
            inside = place.name == ADAPTER and Run.is_run(stage.parent)
            return writing(Origin(stage, stage.parent, stage.name)) if inside else Origin(place)
        if Run.is_run(place) or (place / "config.json").is_file():
            origin = find(place)
            if not (origin.folder / ADAPTER / PEFT).is_file():
                raise GlaswerkError(
                    f"{origin.name} holds no adapter, all its weights are its own: serve it by itself, or name a stage "
                    "that was trained with --lora"
                )
            return writing(origin)
        if place.exists():
            raise GlaswerkError(
                f"{place} is no adapter (no {PEFT}); name a stage that was trained with --lora, or a PEFT folder"
            )
    tried = ", ".join(f"the folder {place}" for place in places)
    raise GlaswerkError(
        f"there is no adapter {str(adapter)!r} (tried: {tried}); make one with `glaswerk sft RUN --lora 8`"
    )


def writing(origin: Origin) -> Origin:
    """It, unless it is a stage that writes no text."""
    if origin.stage in JUDGES:
        raise GlaswerkError(f"{origin.name} judges replies and writes none: name another stage of the run")
    return origin


def adapter_folder(origin: Origin) -> Path:
    """Where the adapter's own files are."""
    return origin.folder if (origin.folder / PEFT).is_file() else origin.folder / ADAPTER


def run_named(model: str | None) -> Path | None:
    """The run's folder that MODEL names, if it names one; whether a stage of it is finished or not."""
    if model is None or model.startswith("hf:"):
        return None
    return next((place for place in places_of(model) if Run.is_run(place)), None)


def places_of(model: str | Path) -> list[Path]:
    """Where MODEL may lie: as a path, and among the runs (``paris``, and ``paris/sft`` as it is shown)."""
    path = Path(model)
    return [path] if path.is_absolute() else [path, Path("runs") / path]
