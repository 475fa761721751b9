"""How an unfinished stage goes on: what a checkpoint remembers beside weights and state, and taking it up again.

Left out: the files themselves (``checkpoint.py``); when checkpoints are made (``loop.py``).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from glaswerk.errors import GlaswerkError
from glaswerk.model.decoder import Decoder
from glaswerk.train.checkpoint import Checkpoints
from glaswerk.train.optimizer import MuonAdamW
from glaswerk.train.plan import TrainPlan
from glaswerk.train.watch import Log, Watch


def trained(model: Decoder) -> dict[str, Tensor]:
    """The weights that training changes, by name."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def remembered(model: Decoder, plan: TrainPlan, log: Log | None, watch: Watch, compiled: bool) -> dict[str, Any]:
    """The facts of a checkpoint, as JSON gives them back."""
    facts = {
        "seconds": watch.seconds,
        "timed": watch.timed_steps,
        "events": log.events_size() if log else 0,
        "compiled": compiled,
        "plan": asdict(plan),
        "model": asdict(model.config),
    }
    return dict(json.loads(json.dumps(facts)))


def resume(
    model: Decoder, optimizer: MuonAdamW, plan: TrainPlan, checkpoints: Checkpoints, log: Log | None, watch: Watch
) -> tuple[int, bool | None]:
    """Take up the newest checkpoint: how many steps are done, and whether they were compiled (None: there is none, and
    the stage's events are cut, since it begins anew). Raises :class:`GlaswerkError` if it is not one of this stage."""
    found = checkpoints.latest()
    if found is None:
        if log:
            log.cut_events(watch.stage)
        return 0, None
    facts, folder = found
    here = remembered(model, plan, log, watch, False)
    if facts.get("plan") != here["plan"]:
        raise GlaswerkError(f"{folder} belongs to another plan: delete {folder.parent} or choose another --out")
    try:
        if facts["model"] != here["model"]:
            raise KeyError("model")
        watch.seconds, watch.timed_steps = float(facts["seconds"]), int(facts["timed"])
        events, compiled = int(facts["events"]), bool(facts["compiled"])
        weights, state = checkpoints.load(folder)
        if weights.keys() != trained(model).keys():
            raise KeyError("model")
        model.load_state_dict(weights, strict=False)
        optimizer.load(state)
    except (KeyError, TypeError, ValueError, RuntimeError, OSError, SafetensorError) as error:
        raise GlaswerkError(f"{folder} is not a checkpoint of this model: delete {folder.parent}") from error
    if log:
        log.cut_events(watch.stage, events)
    watch.progress.note(f"{watch.stage}: going on after step {facts['step']:,} of {plan.steps:,}")
    return int(facts["step"]), compiled
