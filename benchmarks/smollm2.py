"""What the benchmarks of a real model share: SmolLM2-135M-Instruct as it is pulled, real text for it, llama.cpp beside
us, and the check that comes before any timing.

The check: teacher-forced on a few thousand tokens of Wikipedia, a fast way of computing must choose the token that fp32
of the same file chooses at 95 % of the places, and its perplexity must be within 1 %. Left out: what is timed.
"""

from __future__ import annotations

import ctypes
import json
import os
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measure import peer
from glaswerk import pull
from glaswerk.errors import GlaswerkError
from glaswerk.generate.program import Reader
from glaswerk.home import replacing, subfolder
from glaswerk.model.cache import Cache
from glaswerk.model.decoder import Decoder
from glaswerk.opened import OpenedModel, load

WINDOW, WINDOWS = 512, 5
AGREEMENT, PERPLEXITY = 0.95, 0.01
#: what llama.cpp calls the formats that it writes
FORMATS = {"F16": 1, "Q4_0": 2, "Q8_0": 7, "BF16": 32}


def path() -> Path:
    """The pulled GGUF file."""
    folder = pull.path("smollm2")
    found = [folder] if folder.is_file() else sorted(folder.glob("*.gguf"))
    if not found:
        raise GlaswerkError("smollm2 is not pulled: run `glaswerk pull smollm2`")
    return found[0]


@cache
def windows() -> Tensor:
    """Real text, ids ``[5, 512]``: each window is leads of Wikipedia one after the other."""
    leads = json.loads((pull.path("wikipedia-en") / "summaries_en-us.json").read_text(encoding="utf-8"))
    tokenizer = load(path(), "int4").tokenizer
    ids: list[int] = []
    for lead in list(leads.values())[::97]:
        ids += [tokenizer.end_id, *tokenizer.encode(lead["extract"])]
        if len(ids) >= WINDOW * WINDOWS:
            break
    return torch.tensor(ids[: WINDOW * WINDOWS]).view(WINDOWS, WINDOW)


def opened(dtype: str) -> OpenedModel:
    """The model as ``glaswerk generate smollm2 --dtype`` opens it."""
    return load(path(), dtype)


def weight_bytes(model: Decoder) -> int:
    """Bytes that one token reads: all weights (the head reads the whole embedding), not the keys and values."""
    tables = {"rotary.cos_PD", "rotary.sin_PD"}
    named = (*model.named_parameters(), *model.named_buffers())
    return sum(tensor.nbytes for name, tensor in named if name not in tables)


# ---------------------------------------------------------------------------------------------- the check
class Choices:
    """What a way of computing chose at each place, and its loss there."""

    def __init__(self, logits: Iterable[Tensor], ids: Tensor) -> None:
        """``logits [T, V]`` for each row of ``ids [n, T]``; they are not kept."""
        chosen, losses = [], []
        for logits_TV, row in zip(logits, ids, strict=True):
            chosen.append(logits_TV.argmax(-1))
            losses.append(F.cross_entropy(logits_TV[:-1].float(), row[1:], reduction="none"))
        self.chosen, self.losses = torch.stack(chosen), torch.stack(losses)

    def against(self, reference: Choices) -> dict[str, float]:
        """Agreement of the choices, and the ratio of the perplexities, on the rows that both have."""
        rows = len(self.chosen)
        return {
            "top1_agreement": float((self.chosen == reference.chosen[:rows]).float().mean()),
            "perplexity_ratio": float((self.losses.mean() - reference.losses[:rows].mean()).exp()),
            "tokens": self.chosen.numel(),
        }


@torch.inference_mode()
def at_once(model: Decoder, ids: Tensor) -> Choices:
    """The model reading each row as one prompt."""

    def logits(row: Tensor) -> Tensor:
        cache = Cache(model.config, 1, len(row), model.compute_dtype or model.embedding.dtype)
        return model.head(model.hidden(row[None], cache=cache))[0]

    return Choices(map(logits, ids), ids)


@torch.inference_mode()
def one_by_one(model: Decoder, ids: Tensor) -> Choices:
    """The model reading each row token by token, as it does when it writes."""

    def logits(row: Tensor) -> Tensor:
        reader = Reader(model, len(row), model.config.vocabulary_size)
        try:
            return torch.cat([reader.read(token.view(1, 1)).clone() for token in row])
        finally:
            reader.close()

    return Choices(map(logits, ids), ids)


def checked(name: str, found: dict[str, float]) -> dict[str, float]:
    """``found`` again. Raises :class:`GlaswerkError` where it is not good enough to be timed."""
    same = found["top1_agreement"] >= AGREEMENT and abs(found["perplexity_ratio"] - 1) <= PERPLEXITY + 1e-9
    if not same:  # a figure that is not a number is never good enough
        raise GlaswerkError(
            f"{name} agrees with fp32 in {found['top1_agreement']:.1%} of the choices and has "
            f"{found['perplexity_ratio']:.4f} times its perplexity: that is not the same model, nothing is timed"
        )
    return found


# ---------------------------------------------------------------------------------------------- llama.cpp
def converted(kind: str) -> Path:
    """The file in another format, written by llama.cpp's own quantizer and kept in the home folder."""
    source = path()
    if kind == "Q4_1":
        return source
    target = subfolder("benchmarks") / f"{source.name.removesuffix('.Q4_1.gguf')}.{kind}.gguf"
    if not target.is_file():
        library = quiet()
        options = library.llama_model_quantize_default_params()
        options.nthread, options.ftype, options.allow_requantize = 2, FORMATS[kind], True
        with replacing(target) as part:
            if library.llama_model_quantize(os.fsencode(source), os.fsencode(part), ctypes.byref(options)):
                raise GlaswerkError(f"llama.cpp could not write {target}")
    return target


#: what C still calls
KEPT: list[Any] = []


@cache
def quiet() -> Any:
    """llama-cpp-python's low level, without its log."""
    library = peer("llama_cpp")
    silence = library.llama_log_callback(lambda *_: None)
    library.llama_log_set(silence, ctypes.c_void_p())
    KEPT.append(silence)  # it must live as long as the library
    library.llama_backend_init()
    return library


class Llama:
    """llama.cpp on one file, through its C interface: no Python between two tokens but the call itself."""

    def __init__(self, file: Path, flash: bool, slots: int = 1024) -> None:
        self.library = library = quiet()
        self.model = library.llama_model_load_from_file(os.fsencode(file), library.llama_model_default_params())
        options = library.llama_context_default_params()
        options.n_ctx, options.n_batch, options.n_ubatch = slots, WINDOW, WINDOW
        options.n_threads = options.n_threads_batch = torch.get_num_threads()
        options.flash_attn_type = 1 if flash else 0
        self.context = library.llama_init_from_model(self.model, options) if self.model else None
        if not self.context:
            raise GlaswerkError(f"llama.cpp cannot open {file}")
        self.sampler = library.llama_sampler_init_greedy()
        self.vocabulary = library.llama_vocab_n_tokens(library.llama_model_get_vocab(self.model))

    def clear(self) -> None:
        """Forget what was read."""
        self.library.llama_memory_clear(self.library.llama_get_memory(self.context), True)

    def read(self, ids: list[int]) -> None:
        """Read tokens; logits of the last one only."""
        tokens = (self.library.llama_token * len(ids))(*ids)
        if self.library.llama_decode(self.context, self.library.llama_batch_get_one(tokens, len(ids))):
            raise GlaswerkError("llama.cpp could not decode")

    def choice(self) -> int:
        """The likeliest next token."""
        return int(self.library.llama_sampler_sample(self.sampler, self.context, -1))

    def prefill(self, ids: list[int]) -> float:
        """Tokens per second of reading ``ids`` up to the first choice."""
        self.clear()
        began = time.perf_counter()
        self.read(ids)
        self.choice()
        return len(ids) / (time.perf_counter() - began)

    def decode(self, ids: list[int], tokens: int) -> float:
        """Tokens per second of writing ``tokens`` greedy tokens after the prompt, the first one not counted."""
        self.clear()
        self.read(ids)
        token = self.choice()
        began = time.perf_counter()
        for _ in range(tokens - 1):
            self.read([token])
            token = self.choice()
        return (tokens - 1) / (time.perf_counter() - began)

    def choices(self, ids: Tensor) -> Choices:
        """Each row read as one prompt, with all logits."""

        def logits(row: Tensor) -> Tensor:
            self.clear()
            batch = self.library.llama_batch_init(len(row), 0, 1)
            batch.n_tokens = len(row)
            for place, token in enumerate(row.tolist()):
                batch.token[place], batch.pos[place], batch.logits[place] = token, place, 1
                batch.n_seq_id[place] = 1
                batch.seq_id[place][0] = 0
            failed = self.library.llama_decode(self.context, batch)
            self.library.llama_batch_free(batch)
            if failed:
                raise GlaswerkError("llama.cpp could not decode")
            found = np.ctypeslib.as_array(self.library.llama_get_logits(self.context), (len(row), self.vocabulary))
            return torch.from_numpy(found.copy())

        return Choices(map(logits, ids), ids)

    def close(self) -> None:
        """Free it."""
        self.library.llama_free(self.context)
        self.library.llama_model_free(self.model)


def best_flash(file: Path, measure: Any) -> tuple[float, bool]:
    """The better of llama.cpp's two ways of attention by ``measure(llama)``, of two tries each."""
    found = []
    for flash in (False, True):
        llama = Llama(file, flash)
        measure(llama)
        found.append((max(measure(llama) for _ in range(2)), flash))
        llama.close()
    return max(found)
