"""What belongs to a model's tokenizer when it is used: its chat template, what begins a text, what ends one.

Read from a Hugging Face folder or from a GGUF file's metadata. ChatML, which our own models speak, needs no template:
``chat.py`` writes it. Left out: the loss mask of training (``chat.py``) and how templates are run (``template.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glaswerk.errors import GlaswerkError
from glaswerk.formats import strict_json
from glaswerk.tokenizer.chat import CHATML, render_chat
from glaswerk.tokenizer.interface import Tokenizer
from glaswerk.tokenizer.split import flatten
from glaswerk.tokenizer.template import LARGEST_FILE, ChatTemplate, load_template


@dataclass(frozen=True, slots=True)
class Speech:
    """A tokenizer and its habits. ``template``: None means ChatML, where the tokenizer has its marks; ``begin``: the
    id before every text, or None; ``ends``: the ids that end one."""

    tokenizer: Tokenizer
    template: ChatTemplate | None
    begin: int | None
    ends: frozenset[int]

    @classmethod
    def of_folder(cls, folder: Path, tokenizer: Tokenizer) -> Speech:
        """As the files of a Hugging Face folder say. Raises :class:`GlaswerkError` where one is damaged."""
        said = _object(folder / "tokenizer_config.json")
        template = load_template(folder)
        if said.get("chat_template") == CHATML and not (folder / "chat_template.jinja").is_file():
            template = None
        ends = set()
        for name in ("generation_config.json", "config.json"):
            given = _object(folder / name).get("eos_token_id")
            ends |= {number for number in (given if isinstance(given, list) else [given]) if type(number) is int}
        return cls(tokenizer, template, _begin(tokenizer, said), _known(tokenizer, ends))

    @classmethod
    def of_gguf(cls, metadata: Mapping[str, Any]) -> Speech:
        """As a GGUF file's metadata say. Raises :class:`GlaswerkError` in one line."""
        from glaswerk.tokenizer import gguf

        tokenizer = gguf.load_tokenizer(metadata)
        begin = gguf.begin_id(metadata)
        if begin is not None and begin >= tokenizer.vocabulary_size:
            begin = None
        return cls(tokenizer, gguf.load_template(metadata, tokenizer), begin, _known(tokenizer, gguf.end_ids(metadata)))

    @property
    def has_chat(self) -> bool:
        """Whether conversations can be written."""
        return self.template is not None or {"<|im_start|>", "<|im_end|>"} <= self.tokenizer.special.keys()

    def text(self, text: str) -> list[int]:
        """A text's ids, with what begins it; an empty one is the end of the text before, where any may begin."""
        begin = [] if self.begin is None else [self.begin]
        return begin + self.tokenizer.encode(text) or [self.tokenizer.end_id]

    def conversation(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """A conversation's ids, up to where the assistant begins to answer."""
        if self.template is None:
            return render_chat(self.tokenizer, messages, generation_prompt=True)[0]
        for place, message in enumerate(messages):
            if not isinstance(message.get("role"), str) or not isinstance(message.get("content"), str):
                raise GlaswerkError(f"message {place + 1} needs a text role and a text content")
        return self.template.encode(self.tokenizer, messages, generation_prompt=True)


def _object(file: Path) -> dict[str, Any]:
    """The JSON object in a file; an empty one where there is no such file."""
    value = strict_json.read(file, LARGEST_FILE) if file.is_file() else {}
    if not isinstance(value, dict):
        raise GlaswerkError(f"{file} is no JSON object: the file is damaged; copy or download it again")
    return value


def _known(tokenizer: Tokenizer, said: set[int]) -> frozenset[int]:
    """The ends that were named and exist, and those whose names say it."""
    usual = {tokenizer.special[name] for name in ("<|endoftext|>", "<|im_end|>") if name in tokenizer.special}
    return frozenset(usual | {number for number in said if 0 <= number < tokenizer.vocabulary_size})


def _begin(tokenizer: Tokenizer, said: Mapping[str, Any]) -> int | None:
    """What a folder's tokenizer puts before a text: by ``add_bos_token``, or by the ``post_processor``."""
    token = said.get("bos_token")
    name = token.get("content") if isinstance(token, dict) else token
    if said.get("add_bos_token") is True and isinstance(name, str):
        return tokenizer.special.get(name)
    document = getattr(tokenizer, "source", None)
    post = document.get("post_processor") if isinstance(document, dict) else None
    for step in flatten(post, "processors") if isinstance(post, dict) else []:
        first = (step.get("single") or [None])[0] if isinstance(step.get("single"), list) else None
        mark = first.get("SpecialToken") if isinstance(first, dict) else None
        if step["type"] == "TemplateProcessing" and isinstance(mark, dict) and isinstance(mark.get("id"), str):
            return tokenizer.special.get(mark["id"])
    return None
