"""Models that are opened beside the open one, to compare the two: other stages of its run, other runs, pulled models.

A page names one of those that are offered; a path from a page is never opened. Left out: the comparison itself
(``glaswerk/lens/compare.py``).
"""

from __future__ import annotations

from typing import Any

from glaswerk.errors import GlaswerkError
from glaswerk.run import Run
from glaswerk.serve.holder import Holder, newest_first

#: how many are kept open; the one not used for longest is closed
KEPT = 1


def offered(holder: Holder) -> dict[str, str]:
    """Name -> what ``load`` takes, without the open model itself: its run's other stages first."""
    opened = holder.model().origin
    runs = newest_first(holder.runs)
    if opened.run is not None:
        runs = [opened.run, *(run for run in runs if run.resolve() != opened.run.resolve())]
    found: dict[str, str] = {}
    for path in runs:
        try:
            run = Run(path)
            stages = run.writers()
        except GlaswerkError:  # half written, or not ours
            continue
        for stage in stages:
            found.setdefault(f"{path.resolve().name}/{stage}", str(run.stage(stage)))
    from glaswerk import pull

    for name, entry in pull.REGISTRY.items():
        if entry.kind == "model" and pull.is_pulled(name) and list(pull.path(name).glob("*.gguf")):
            found[name] = name
    found.pop(opened.name, None)
    return found


def open_beside(holder: Holder, name: Any) -> Holder:
    """The holder of an offered model, opened where it is not yet. Raises :class:`GlaswerkError` for any other name."""
    if name == holder.name:
        return holder
    there = offered(holder)
    if not isinstance(name, str) or name not in there:
        names = ", ".join(there)
        raise GlaswerkError(
            f"there is no such model to open beside; there are {names or 'none'}",
            f"Dieses Modell lässt sich nicht daneben öffnen. Zur Wahl stehen: {names or 'keine'}.",
        )
    with holder.beside_lock:
        found = holder.others.get(name)
        if found is None:
            found = Holder(there[name], holder.runs)
            found.load(there[name])
            holder.others[name] = found
            while len(holder.others) > KEPT:
                holder.others.popitem(last=False)
        holder.others.move_to_end(name)
        return found
