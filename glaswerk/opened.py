"""What ``gw.load`` returns: a model with its tokenizer and where it came from; generate and chat in one hand.

Left out: which files MODEL means (``found.py``), reading them (``model/weights.py``), chat formats
(``tokenizer/speech.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from glaswerk import generate
from glaswerk.errors import GlaswerkError
from glaswerk.found import Origin, find
from glaswerk.generate import Generated, Piece, SamplingOptions
from glaswerk.generate.speculative import check_same_vocabulary
from glaswerk.lens.trace import Trace, trace
from glaswerk.model.decoder import Decoder
from glaswerk.model.gguf import GGUFSource
from glaswerk.model.taps import Taps
from glaswerk.model.weights import load_model, open_source
from glaswerk.run import JUDGES
from glaswerk.tokenizer import Tokenizer
from glaswerk.tokenizer import load as load_tokenizer
from glaswerk.tokenizer.speech import Speech

#: name -> dtype of the weights and, where they are quantized, bits of the blocks' matrices; auto: fp32, but a GGUF
#: file's blocks stay as they are
DTYPES: dict[str, tuple[torch.dtype, int | None]] = {
    "auto": (torch.float32, None),
    "fp32": (torch.float32, None),
    "bf16": (torch.bfloat16, None),
    "int8": (torch.float32, 8),
    "int4": (torch.float32, 4),
}
Message = Mapping[str, str]


class OpenedModel:
    """A model that can be used. ``options`` of the methods are the fields of
    :class:`~glaswerk.generate.SamplingOptions`: ``max_tokens, temperature, top_k, top_p, min_p, repetition_penalty,
    presence_penalty, frequency_penalty, logit_bias, seed, stop, choices, regex, json_schema``; greedy by default. Also
    ``draft``: a model, or "lookup", that guesses ahead.
    """

    def __init__(self, model: Decoder, tokenizer: Tokenizer, origin: Origin, speech: Speech | None = None) -> None:
        if tokenizer.vocabulary_size > model.config.vocabulary_size:
            raise GlaswerkError(
                f"{origin.folder}: the tokenizer has {tokenizer.vocabulary_size:,} tokens and the model "
                f"{model.config.vocabulary_size:,}: they do not belong together"
            )
        self.model = model
        self.tokenizer = tokenizer
        self.origin = origin
        self.speech = speech or Speech.of_folder(origin.folder, tokenizer)
        self.end_ids = self.speech.ends

    def __repr__(self) -> str:
        total = self.model.parameters_count()["total"]
        return f"<OpenedModel {self.origin.name}: {total:,} parameters, {self.tokenizer.vocabulary_size:,} tokens>"

    # ------------------------------------------------------------------ raw text
    def generate(self, prompt: str, **options: Any) -> Generated:
        """Continue ``prompt`` as it stands; no chat format. The text does not repeat the prompt."""
        return self.generate_batch([prompt], **options)[0]

    def generate_batch(self, prompts: Sequence[str], **options: Any) -> list[Generated]:
        """Continue many prompts side by side."""
        ids = [self.prompt_ids(prompt) for prompt in prompts]
        return generate.batch(self.model, self.tokenizer, ids, **self.how(options))

    def stream(self, prompt: str, **options: Any) -> Iterator[Piece]:
        """Continue ``prompt``, piece by piece."""
        return generate.stream(self.model, self.tokenizer, self.prompt_ids(prompt), **self.how(options))

    def prompt_ids(self, prompt: str) -> list[int]:
        """The prompt's tokens; an empty prompt is the end of the document before, where any text may begin."""
        return self.speech.text(prompt)

    def how(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options, checked, as ``glaswerk.generate`` takes them; ``draft`` may be another opened model with the
        same vocabulary, or "lookup". Raises :class:`GlaswerkError` for an option that is none.
        """
        options = dict(options)
        draft = options.pop("draft", None)
        if isinstance(draft, OpenedModel):
            check_same_vocabulary(self.tokenizer, draft.tokenizer, draft.origin.name)
            draft = draft.model
        elif draft is not None and draft != "lookup":
            raise GlaswerkError(f'draft must be an opened model or "lookup", not {draft!r}')
        return {"options": sampling(options), "end_ids": self.end_ids, "draft": draft}

    # ------------------------------------------------------------------ the inside
    def trace(self, prompt: str | Sequence[int], *, edit: Taps | None = None) -> Trace:
        """Every value that ``prompt`` (a text, or token ids) causes, in order; ``edit(name, value)`` may replace
        some on the way. See :func:`glaswerk.lens.trace.trace`.
        """
        return trace(self.model, self.tokenizer, prompt, name=self.origin.name, edit=edit)

    # ------------------------------------------------------------------ conversation
    @property
    def has_chat(self) -> bool:
        """Whether the model has a chat template or the ChatML marks, without which it cannot hold a conversation."""
        return self.speech.has_chat and self.origin.stage not in JUDGES

    def chat(self, messages: Sequence[Message], **options: Any) -> Generated:
        """The assistant's next reply to ``messages`` (``{"role", "content"}`` each)."""
        if isinstance(messages, str) or not messages:
            raise GlaswerkError('chat needs messages: [{"role": "user", "content": "..."}]')
        ids = [self.chat_ids(messages)]
        return generate.batch(self.model, self.tokenizer, ids, **self.how(options))[0]

    def chat_batch(self, conversations: Sequence[Sequence[Message]], **options: Any) -> list[str]:
        """The replies to many conversations, side by side, as trimmed text."""
        ids = [self.chat_ids(messages) for messages in conversations]
        replies = generate.batch(self.model, self.tokenizer, ids, **self.how(options))
        return [reply.text.strip() for reply in replies]

    def stream_chat(self, messages: Sequence[Message], **options: Any) -> Iterator[Piece]:
        """The assistant's next reply, piece by piece."""
        ids = self.chat_ids(messages)
        return generate.stream(self.model, self.tokenizer, ids, **self.how(options))

    def chat_ids(self, messages: Sequence[Message]) -> list[int]:
        """A conversation as tokens, up to where the assistant begins to answer. Raises :class:`GlaswerkError`
        for a model without chat.
        """
        self.require_chat()
        return self.speech.conversation(messages)

    def require_chat(self) -> None:
        """Raise :class:`GlaswerkError` for a model without chat."""
        if self.origin.stage in JUDGES:
            raise GlaswerkError(f"{self.origin.name} judges replies and writes none: name another stage of the run")
        if not self.has_chat:
            raise GlaswerkError(
                f"{self.origin.name} is a base model without chat tokens: it continues text; use `glaswerk generate`"
            )

    def fit(self, messages: Sequence[Message], max_tokens: int = 128) -> tuple[list[Message], int]:
        """The conversation without its oldest turns, as far as needed to leave room for a reply
        (``max_tokens``, at most a quarter of the context), and how many messages were dropped. System
        messages and the last message stay.
        """
        room = self.model.config.context - min(max_tokens, max(1, self.model.config.context // 4))
        kept = list(messages)
        while len(self.chat_ids(kept)) > room:
            old = next((i for i, m in enumerate(kept[:-1]) if m.get("role") != "system"), None)
            if old is None:
                break
            del kept[old]
            # an answer whose question is gone goes too
            while old < len(kept) - 1 and kept[old].get("role") == "assistant":
                del kept[old]
        return kept, len(messages) - len(kept)


# ---------------------------------------------------------------------------------------------- opening
def load(model: str | Path | Origin, dtype: str = "auto") -> OpenedModel:
    """Open MODEL: a run (its furthest finished stage), a stage, a Hugging Face folder or GGUF file of a supported
    kind, or a pulled name (``smollm2``); or what ``found.find`` found of it.

    ``dtype`` is ``fp32``, ``bf16``, ``int8`` or ``int4`` (weights only; activations stay fp32 there), or ``auto``: a
    GGUF file keeps its own blocks, everything else is fp32. Raises :class:`GlaswerkError` that says what was tried
    where there is no such model.
    """
    if dtype not in DTYPES:
        raise GlaswerkError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
    origin = model if isinstance(model, Origin) else find(model)
    weights, bits = DTYPES[dtype]
    source = open_source(origin.folder)
    if isinstance(source, GGUFSource):
        try:
            speech = Speech.of_gguf(source.file.metadata)
        except GlaswerkError as error:
            raise GlaswerkError(f"{origin.folder}: {error}") from error
    else:
        speech = Speech.of_folder(origin.folder, load_tokenizer(origin.folder))
    loaded = load_model(source, weights, bits, keep_blocks=dtype == "auto")
    return OpenedModel(loaded, speech.tokenizer, origin, speech)


def sampling(options: Mapping[str, Any]) -> SamplingOptions:
    """Sampling options by name. Raises :class:`GlaswerkError` for a name that is none."""
    known = [field.name for field in fields(SamplingOptions)]
    for name in options:
        if name not in known:
            raise GlaswerkError(f"there is no option {name!r}; there are {', '.join(known)}")
    return SamplingOptions(**options)
