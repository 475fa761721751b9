"""The models of one server: the base, and LoRA adapters beside it that a request chooses by name.

An adapter is a stage that was trained by LoRA, or a folder in PEFT's format. Where it brings a tokenizer of its own
(a stage does), its chat template and its ends hold for it, and the vocabulary must be the base's. Left out: which files
are meant (``found.py``), adapters added or taken away while the server runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from glaswerk.errors import GlaswerkError
from glaswerk.found import Origin, adapter_folder
from glaswerk.generate.speculative import same_vocabulary
from glaswerk.model import adapter, lora
from glaswerk.model.quantize import is_quantized
from glaswerk.model.weights import open_source
from glaswerk.opened import OpenedModel
from glaswerk.serve.api.problem import Problem
from glaswerk.tokenizer import load as load_tokenizer
from glaswerk.tokenizer.speech import Speech


@dataclass(frozen=True, slots=True)
class Served:
    """One name that can be asked for. ``opened`` has the name, the context and how the model is spoken to; the decoder
    in it is the base's, which computes as this model inside :meth:`alone` or with ``adapter`` in the engine."""

    opened: OpenedModel
    adapter: str | None = None
    #: the base's name, for an adapter
    parent: str | None = None

    @property
    def name(self) -> str:
        """What a request calls it."""
        return self.opened.origin.name

    def alone(self) -> AbstractContextManager[None]:
        """Meanwhile, in this thread, a pass over one text is this model's."""
        return nullcontext() if self.adapter is None else lora.each_its_own([lora.Part(self.adapter, 0, 1)], 0)


class Models:
    """All of a server's, by their names; the base first."""

    def __init__(self, base: OpenedModel, adapters: Sequence[Served] = ()) -> None:
        self.base = base
        self.named = {one.name: one for one in (Served(base), *adapters)}

    def chosen(self, name: str) -> Served:
        """The one that a request names. Raises :class:`Problem` 404."""
        if name not in self.named:
            raise Problem(
                404, f"there is no model of that name; this server has {', '.join(self.named)}", code="model_not_found",
                param="model",
            )  # fmt: skip
        return self.named[name]


def with_adapters(base: OpenedModel, origins: Sequence[Origin]) -> Models:
    """Read adapters beside the base's matrices. By itself the base goes on computing as before, to the last bit.

    Raises :class:`GlaswerkError` for an adapter of another base, with another vocabulary, or that is damaged.
    """
    if not origins:
        return Models(base)
    quantized = is_quantized(base.model)
    known = adapter.fingerprint_of(open_source(base.origin.folder)) if quantized else adapter.fingerprint(base.model)
    found = []
    for number, origin in enumerate(origins, 1):
        speech = speech_of(origin, base)
        # its own name may hold a slash, which no module's may
        adapter.load(base.model, adapter_folder(origin), str(number), known)
        opened = OpenedModel(base.model, base.tokenizer, origin, speech)
        found.append(Served(opened, str(number), base.origin.name))
    lora.use(base.model)
    return Models(base, found)


def speech_of(origin: Origin, base: OpenedModel) -> Speech:
    """How an adapter is spoken to: as its own files say, else like the base. What ends the base's texts ends its texts
    too."""
    if not (origin.folder / "tokenizer.json").is_file():
        return base.speech
    own = Speech.of_folder(origin.folder, load_tokenizer(origin.folder))
    if not same_vocabulary(own.tokenizer, base.tokenizer):
        raise GlaswerkError(f"{origin.name} has another vocabulary than {base.origin.name}: it needs its own base")
    # one tokenizer for all, so that what is kept for it (grammars) is kept once
    return replace(own, tokenizer=base.tokenizer, ends=own.ends | base.end_ids)
