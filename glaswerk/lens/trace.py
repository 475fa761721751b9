"""The trace: every named value that one prompt caused, in the order of computation.

The values come from the taps of the real forward pass, which runs plainly here (eager, fp32, explicit
attention) whatever way the model was loaded; there is no second forward pass. Three values that a decoder does
not need for itself are derived here, from the traced ones and when asked for: the probabilities, the likeliest
token, and each head's own share of the attention output. Left out: traces while generating (trace the longer
prompt), gradients.

Shapes: B batch (always 1), T time, C width, H heads, D head width, V vocabulary.
"""

from __future__ import annotations

import base64
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

import glaswerk
from glaswerk.errors import GlaswerkError
from glaswerk.lens.meanings import layer_of, meaning
from glaswerk.model import Decoder, ModelConfig, Taps, lora
from glaswerk.model.mlp import Linear
from glaswerk.model.quantize import QuantizedLinear
from glaswerk.tokenizer import Tokenizer
from glaswerk.tokenizer.chip import chip

#: the most memory that a recording may take
MOST_BYTES = 2 * 2**30
#: how many candidates ``top`` names
CANDIDATES = 10
#: source lines are named from the folder that holds the package
ROOT = Path(glaswerk.__file__).resolve().parent.parent


# ---------------------------------------------------------------------------------------------- the result
@dataclass(frozen=True, slots=True)
class Step:
    """One named value. ``source`` is the file and line that computed it; ``edited`` says that ``edit``
    replaced what was computed there.
    """

    name: str
    source: str
    compute: Callable[[], Tensor]
    edited: bool = False

    @property
    def layer(self) -> int | None:
        """The block it belongs to, from 0; None outside the blocks."""
        return layer_of(self.name)

    @property
    def value(self) -> Tensor:
        """The tensor itself; its axes are ``glaswerk.lens.meanings.meaning(name).axes``."""
        return self.compute()

    def json(self, values: bool = False, compact: bool = False) -> dict[str, Any]:
        """The step as JSON. ``values`` adds all numbers in base64, row by row: ``float32-le``, or with
        ``compact`` where all lie between 0 and 1 by their nature ``uint8-255`` (255 stands for 1).
        """
        value = self.compute()
        explained = meaning(self.name)
        told: dict[str, Any] = {
            "name": self.name,
            "layer": self.layer,
            "shape": list(value.shape),
            "axes": explained.axes,
            "dtype": str(value.dtype).removeprefix("torch."),
            "summary": summary(value),
            "meaning": {"en": explained.en, "de": explained.de},
            "source": self.source,
            "edited": self.edited,
        }
        if values:
            small = compact and self.name.endswith(("weights", "mask", "probabilities"))
            told["encoding"] = "uint8-255" if small else "float32-le"
            told["values"] = encoded(value, small)
        return told


class Trace:
    """All steps of one prompt. ``trace["blocks.3.attention.weights"]`` is a tensor; iterating gives the steps
    in order.

    Derived steps are computed when asked for, from the traced values and the model's weights as they then are.
    """

    def __init__(
        self,
        model: Decoder,
        tokenizer: Tokenizer,
        name: str,
        prompt: str,
        ids: Sequence[int],
        steps: Sequence[Step],
        loaded_as: str,
    ) -> None:
        self.config: ModelConfig = model.config
        self.tokenizer = tokenizer
        self.name = name
        self.prompt = prompt
        self.ids = list(ids)
        self.loaded_as = loaded_as
        self.steps: list[Step] = []
        self._values = {step.name: step for step in steps}
        for step in steps:
            self.steps.append(step)
            if step.name.endswith("attention.heads"):
                output = model.get_submodule(step.name.removesuffix("heads") + "output")
                assert isinstance(output, Linear)
                share = partial(head_outputs, step.value, output.weight)
                self._derive(step.name.removesuffix("heads") + "head_outputs", head_outputs, share)
            elif step.name == "logits":
                known = tokenizer.vocabulary_size
                self._derive("probabilities", probabilities, partial(probabilities, step.value, known))
                self._derive("choice", choice, partial(choice, step.value, known))

    def _derive(self, name: str, function: Callable[..., Tensor], compute: Callable[[], Tensor]) -> None:
        step = Step(name, source_line(function.__code__, function.__code__.co_firstlineno), compute)
        self.steps.append(step)
        self._values[name] = step

    def __repr__(self) -> str:
        return f"<Trace of {len(self.ids)} tokens through {self.name}: {len(self.steps)} steps>"

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __getitem__(self, name: str) -> Tensor:
        return self.step(name).value

    def step(self, name: str) -> Step:
        """One step by its exact name. Raises :class:`GlaswerkError` that names the nearest."""
        if name not in self._values:
            raise self._unknown(name)
        return self._values[name]

    def select(self, only: str) -> list[Step]:
        """The steps whose names match ``only``, a glob or several with commas between, in order. Raises
        :class:`GlaswerkError` for one that matches nothing.
        """
        globs = [glob.strip() for glob in only.split(",")]
        for glob in globs:
            if not any(fnmatchcase(step.name, glob) for step in self.steps):
                raise self._unknown(glob)
        return [step for step in self.steps if any(fnmatchcase(step.name, glob) for glob in globs)]

    def _unknown(self, name: str) -> GlaswerkError:
        names = [step.name for step in self.steps]
        near = get_close_matches(name, names, n=3, cutoff=0.5) or ["blocks.0.attention.weights", "logits"]
        return GlaswerkError(
            f"no step of the trace matches {name!r}; near it: {', '.join(near)}",
            f"Kein Schritt der Aufzeichnung passt zu „{name}“. Ähnlich heißen {', '.join(near)}.",
        )

    @property
    def tokens(self) -> list[dict[str, Any]]:
        """The prompt's tokens: ``id``, ``text`` (as on a chip: spaces ``·``, line ends ``⏎``, bytes that are no
        character in hex) and ``bytes`` (hex).
        """
        found = [(number, self.tokenizer.token_bytes(number)) for number in self.ids]
        return [{"id": number, "text": chip(token), "bytes": token.hex()} for number, token in found]

    def top(self, count: int = CANDIDATES) -> list[dict[str, Any]]:
        """The likeliest next tokens after the last one: ``token`` (as on a chip), ``id``, ``probability``."""
        last_V = self["probabilities"][0, -1, : self.tokenizer.vocabulary_size]
        # a stable order: of equals, the smaller id first, as argmax takes it
        order = last_V.sort(descending=True, stable=True).indices[:count].tolist()
        return [
            {
                "token": chip(self.tokenizer.token_bytes(number)),
                "id": number,
                "probability": finite(float(last_V[number])),
            }
            for number in order
        ]

    def json(self, only: str | None = None, compact: bool = False) -> dict[str, Any]:
        """The trace as ``glaswerk trace --json`` prints it. ``only`` limits the steps (see :meth:`select`) and
        adds their values; ``compact`` as in :meth:`Step.json`.
        """
        steps = self.steps if only is None else self.select(only)
        return {
            "model": described(self.config, self.name),
            "precision": precision(self.loaded_as),
            "prompt": self.prompt,
            "tokens": self.tokens,
            "steps": [step.json(only is not None, compact) for step in steps],
            "top": self.top(),
        }


# ---------------------------------------------------------------------------------------------- recording
@torch.no_grad()
def trace(
    model: Decoder,
    tokenizer: Tokenizer,
    prompt: str | Sequence[int],
    *,
    name: str = "model",
    edit: Taps | None = None,
    adapter: str | None = None,
) -> Trace:
    """Run ``prompt`` (a text, or token ids) through ``model`` and keep every value. ``adapter``: the LoRA adapter that
    is looked at, as part of the matrices that it changes; None: those in use.

    ``edit(name, value)`` is called at each tap and returns the value to go on with: the same one, or another
    of its shape and dtype. Raises :class:`GlaswerkError` where the prompt is empty, longer than the context,
    or too long for a recording to fit in memory.
    """
    text = prompt if isinstance(prompt, str) else tokenizer.decode(prompt)
    ids = tokenizer.encode(prompt) if isinstance(prompt, str) else list(prompt)
    if not ids:
        raise GlaswerkError("the prompt is empty: there is nothing to trace; give it at least one character")
    for number in ids:
        tokenizer.token_bytes(number)  # raises for an id that is none
    needed = recording_bytes(model.config, len(ids))
    if len(ids) <= model.config.context and needed > MOST_BYTES:
        raise GlaswerkError(
            f"a trace of {len(ids):,} tokens would take {needed / 2**30:,.1f} GiB of memory; "
            f"shorten the prompt to at most {longest_prompt(model.config):,} tokens"
        )
    plain, loaded_as = plain_copy(model, adapter)
    recorder = Recorder(edit)
    plain(torch.tensor([ids], device=plain.embedding.device), taps=recorder)
    return Trace(plain, tokenizer, name, text, ids, recorder.steps, loaded_as)


class Recorder:
    """Taps that keep a copy of every value, with the line of the tap that handed it over."""

    def __init__(self, edit: Taps | None) -> None:
        self.edit = edit
        self.steps: list[Step] = []

    def __call__(self, name: str, value: Tensor) -> Tensor:
        frame = sys._getframe(2)  # 0 is here, 1 is tap(), 2 is who called it
        source = source_line(frame.f_code, frame.f_lineno)
        kept = value.detach().clone()
        edited = False
        if self.edit is not None:
            # a copy of its own: some values are views of the weights, which no edit may reach
            changed = self.edit(name, kept.clone())
            if not isinstance(changed, Tensor) or (changed.shape, changed.dtype) != (kept.shape, kept.dtype):
                raise GlaswerkError(
                    f"edit must return a tensor {kind(kept)} for {name}, not {kind(changed)}; return the value as it "
                    "came where nothing is to change"
                )
            edited = not torch.equal(changed, kept)
            if edited:
                value = kept = changed.detach().clone()
        self.steps.append(Step(name, source, lambda: kept, edited))
        return value


def kind(value: object) -> str:
    """Shape and dtype of a tensor, the type of anything else."""
    return f"{list(value.shape)} {value.dtype}" if isinstance(value, Tensor) else type(value).__name__


#: the last model that had to be widened: the marks of its weights with the adapters, its fp32 copy, and how it was
#: loaded
_widened: WeakKeyDictionary[Decoder, tuple[tuple[object, ...], Decoder, str]] = WeakKeyDictionary()


def plain_copy(model: Decoder, adapter: str | None = None) -> tuple[Decoder, str]:
    """The model as an eager fp32 decoder in evaluation mode, and how its weights were loaded. To be read only.

    fp32 weights are shared, not copied, and ``model`` itself is left as it is; others are widened, quantized
    ones expanded to the numbers they stand for, and what ``adapter`` changes (None: those in use) is added to them.
    What had to be made is kept, for one model at a time and until its weights change: of SmolLM2 it is half a gigabyte,
    and most of the time of a trace.
    """
    adapters = (adapter,) if adapter is not None else next((layer.active for layer in lora.layers(model)), ())
    marks = (adapters, *map(mark, [*model.parameters(), *model.buffers()]))
    if model in _widened and _widened[model][0] == marks:
        return _widened[model][1:]
    plain, loaded_as = widen(model, adapter)
    if loaded_as != "float32" or adapters:
        _widened.clear()
        _widened[model] = marks, plain, loaded_as
    return plain, loaded_as


def mark(value: Tensor) -> tuple[int, int]:
    """Where a tensor's numbers lie and how often they were changed in place."""
    return value.data_ptr(), 0 if value.is_inference() else value._version


def widen(model: Decoder, adapter: str | None = None) -> tuple[Decoder, str]:
    """:func:`plain_copy`, made now."""
    with torch.device("meta"):
        plain = Decoder(model.config)
    plain.rotary = model.rotary
    kinds = set()
    for name, _ in list(plain.named_parameters()):
        path, _, attribute = name.rpartition(".")
        owner, changed = model.get_submodule(path), None
        if isinstance(owner, lora.LoRALinear):
            if attribute == "weight" and owner.in_use(adapter):
                changed = owner.change(adapter)
            owner = owner.base
        given = getattr(owner, attribute)
        # a quantized matrix stands where a layer stood, or where the embedding did
        matrix = owner if isinstance(owner, QuantizedLinear) and attribute == "weight" else given
        if isinstance(matrix, QuantizedLinear):
            value = matrix.weight(torch.float32)
            kinds.add(matrix.kind)
        else:
            value = given.detach()
            kinds.add(str(value.dtype).removeprefix("torch."))
        value = value.float() if changed is None else value.float() + changed
        setattr(plain.get_submodule(path), attribute, nn.Parameter(value, requires_grad=False))
    special = sorted(kinds - {"float32"})
    return plain.eval(), " and ".join(special) or "float32"


def source_line(code: CodeType, line: int) -> str:
    """``glaswerk/model/attention.py:87``."""
    path = Path(code.co_filename).resolve()
    return f"{path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name}:{line}"


def recording_bytes(config: ModelConfig, time: int) -> int:
    """About how many bytes a recording of ``time`` tokens holds."""
    vectors = 6 * config.width + 3 * (config.heads + 2 * config.kv_heads) * config.head_width + 3 * config.mlp_width
    pairs = 2 * config.heads * time + time
    return 4 * time * (config.layers * (vectors + pairs) + 2 * config.vocabulary_size)


def longest_prompt(config: ModelConfig) -> int:
    """The most tokens whose recording fits MOST_BYTES."""
    fits, too_long = 1, config.context + 1
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        fits, too_long = (middle, too_long) if recording_bytes(config, middle) <= MOST_BYTES else (fits, middle)
    return fits


# ---------------------------------------------------------------------------------------------- derived values
def head_outputs(heads_BHTD: Tensor, output_C_HD: Tensor) -> Tensor:
    """Each head's own part of the attention output, ``[B, H, T, C]``: summed over the heads (plus the bias,
    where there is one) it is the whole.
    """
    H, D = heads_BHTD.shape[1], heads_BHTD.shape[3]
    return torch.einsum("bhtd,chd->bhtc", heads_BHTD, output_C_HD.view(-1, H, D))


def probabilities(logits_BTV: Tensor, known: int) -> Tensor:
    """softmax over the ``known`` first ids, those that the tokenizer has; a padded rest gets 0, as in
    generation.
    """
    padded = torch.arange(logits_BTV.shape[-1], device=logits_BTV.device) >= known
    return logits_BTV.masked_fill(padded, -math.inf).softmax(-1)


def choice(logits_BTV: Tensor, known: int) -> Tensor:
    """The id with the largest logit at each place, ``[B, T]``."""
    return logits_BTV[..., :known].argmax(-1)


# ---------------------------------------------------------------------------------------------- as JSON
def summary(value: Tensor) -> dict[str, float | None]:
    """Smallest, mean and largest number, and the Euclidean norm; None where that is no finite number."""
    value = value.float()
    low, high = value.aminmax()
    figures = {
        "min": low,
        "mean": value.mean(dtype=torch.float64),
        "max": high,
        "norm": torch.linalg.vector_norm(value, dtype=torch.float64),
    }
    return {name: finite(float(figure)) for name, figure in figures.items()}


def finite(number: float) -> float | None:
    """JSON has no infinity."""
    return number if math.isfinite(number) else None


def encoded(value: Tensor, small: bool) -> str:
    """All numbers in base64, row by row: fp32, little-endian; or ``small`` as bytes, 255 for 1."""
    value = value.detach().float().cpu().contiguous()
    array = (value * 255).round().to(torch.uint8).numpy() if small else value.numpy().astype("<f4", copy=False)
    return base64.b64encode(array.tobytes()).decode("ascii")


def described(config: ModelConfig, name: str) -> dict[str, Any]:
    """The model's shape. ``family`` is the Hugging Face model type, or "own" where none fits."""
    try:
        family = config.family()
    except GlaswerkError:
        family = "own"
    return {
        "name": name,
        "family": family,
        "layers": config.layers,
        "heads": config.heads,
        "kv_heads": config.kv_heads,
        "width": config.width,
        "head_width": config.head_width,
        "mlp_width": config.mlp_width,
        "vocabulary": config.vocabulary_size,
        "context": config.context,
        "positions": config.positions,
        "norm": config.norm,
        "activation": config.activation,
    }


def precision(loaded_as: str) -> dict[str, Any]:
    """In what numbers the trace was computed, and what the model was loaded as, where that differs."""
    told: dict[str, Any] = {"computed": "float32", "loaded": loaded_as}
    if loaded_as != "float32":
        told["note"] = {
            "en": f"The weights were loaded as {loaded_as}; the trace computed with the numbers they stand for, "
            "in float32.",
            "de": f"Die Gewichte wurden als {loaded_as} geladen; gerechnet wurde mit den Zahlen, für die sie stehen, "
            "in float32.",
        }
    return told
