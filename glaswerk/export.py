"""A model for other tools: written as a Hugging Face folder or as a GGUF file, with its tokenizer and a card.

``export("runs/paris", "gguf", folder)`` writes ``folder/paris-sft-F16.gguf`` and ``folder/README.md``. What the
format cannot say is refused before anything is written, and so is a Hugging Face folder among other files: only an
earlier export is replaced. Left out: the files themselves (``model/weights.py``,
``formats/gguf.py``), and sending them anywhere.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from glaswerk.errors import GlaswerkError
from glaswerk.formats.gguf import write_gguf
from glaswerk.home import read_json, write_json, write_text
from glaswerk.model import gguf
from glaswerk.model.weights import save_model
from glaswerk.opened import OpenedModel, load
from glaswerk.tokenizer.gguf import to_metadata
from glaswerk.tokenizer.speech import Speech

#: format -> the number formats it can be written in, the usual one first
FORMATS = {"hf": ("fp32", "bf16"), "gguf": ("f16", "q8_0", "q4_0")}
#: the card's line by which an export is known again
WRITTEN = "Written by `glaswerk export`."


def export(model: str | Path, to: str, folder: Path | str, dtype: str = "auto") -> Path:
    """Write MODEL into ``folder`` for other tools and return the written file (GGUF) or folder (Hugging Face).

    ``to`` is ``hf`` or ``gguf``; ``dtype`` ``fp32`` or ``bf16`` for the one, ``f16``, ``q8_0`` or ``q4_0`` for the
    other. Raises :class:`GlaswerkError` where the format cannot express the model, or nothing can be written.
    """
    if to not in FORMATS:
        raise GlaswerkError(f"a model can be exported to {', '.join(FORMATS)}, site or notebooks, not {to!r}")
    dtype = FORMATS[to][0] if dtype == "auto" else dtype
    if dtype not in FORMATS[to]:
        raise GlaswerkError(f"--to {to} writes {', '.join(FORMATS[to])}, not {dtype!r}")
    folder, opened = Path(folder), load(model, "fp32")
    if folder.resolve() == opened.origin.folder.resolve():
        raise GlaswerkError(f"{folder} is the model itself; choose another folder")
    if to == "gguf":
        return to_gguf(opened, folder, dtype.upper())
    if not replaceable(folder):
        raise GlaswerkError(f"{folder} is not empty, and its files would mix with the model's: choose another folder")
    return to_hf(opened, folder, dtype)


def to_gguf(opened: OpenedModel, folder: Path, kind: str) -> Path:
    """One GGUF file, named after the model, and its card."""
    name = re.sub(r"[^\w.-]+", "-", opened.origin.name)
    file = folder / f"{name}-{kind}.gguf"
    described = {"general.name": opened.origin.name}
    metadata = {
        **gguf.to_metadata(opened.model.config, kind),
        **described,
        **to_metadata(opened.speech, opened.model.config.vocabulary_size),
    }
    write_gguf(file, metadata, gguf.to_tensors(opened.model, kind))
    use = f"```\nllama-cli -m {file.name}\nglaswerk {verb(opened)} {file.name}\n```\n"
    write_text(folder / "README.md", card(opened, f"GGUF, {kind}", use))
    return file


def replaceable(folder: Path) -> bool:
    """Whether a Hugging Face folder can be written here: there is none yet, it is empty, or an earlier export."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return True
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return WRITTEN in (folder / "README.md").read_text(encoding="utf-8")
    return False


def to_hf(opened: OpenedModel, folder: Path, dtype: str) -> Path:
    """A Hugging Face folder."""
    use = (
        "```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n"
        f'model = AutoModelForCausalLM.from_pretrained("{folder.name}")\n'
        f'tokenizer = AutoTokenizer.from_pretrained("{folder.name}")\n```\n'
    )
    write_text(folder / "README.md", card(opened, f"Hugging Face folder, {dtype}", use))
    stored = {"fp32": torch.float32, "bf16": torch.bfloat16}[dtype]
    save_model(folder, opened.model, Spoken(opened.speech), dtype=stored, generation=marks(opened))
    return folder


def marks(opened: OpenedModel) -> dict[str, Any]:
    """What ends and what begins a text, as ``generation_config.json`` says it."""
    begin = {} if opened.speech.begin is None else {"bos_token_id": opened.speech.begin}
    return {"eos_token_id": sorted(opened.end_ids), **begin}


class Spoken:
    """A tokenizer that is saved with the chat template and the marks of its model."""

    def __init__(self, speech: Speech) -> None:
        self.speech = speech
        self.special = speech.tokenizer.special

    @property
    def end_id(self) -> int:
        """The id that ends a document."""
        return self.speech.tokenizer.end_id

    def save(self, folder: Path) -> None:
        """Write the tokenizer's files, and into ``tokenizer_config.json`` what the model adds."""
        self.speech.tokenizer.save(folder)
        (folder / "chat_template.jinja").unlink(missing_ok=True)
        file = folder / "tokenizer_config.json"
        said: dict[str, Any] = read_json(file)
        template, names = self.speech.template, {number: name for name, number in self.special.items()}
        if template is not None:
            said |= {"chat_template": template.source}
            said |= {"eos_token": template.eos} if template.eos else {}
        if self.speech.begin is not None:
            said |= {"add_bos_token": True, "bos_token": names.get(self.speech.begin, "")}
        write_json(file, said)


def card(opened: OpenedModel, form: str, use: str) -> str:
    """The model's card: what it is, where it comes from, how it is opened; below it the card it came with."""
    config, origin = opened.model.config, opened.origin
    chat = "ChatML" if opened.speech.template is None else "its own template"
    rows: Mapping[str, Any] = {
        "parameters": f"{opened.model.parameters_count()['total']:,}",
        "shape": f"{config.family()}: {config.layers} layers, {config.width} wide, {config.heads} heads, "
        f"{config.kv_heads} for keys and values",
        "context": f"{config.context:,} tokens",
        "vocabulary": f"{opened.tokenizer.vocabulary_size:,} tokens",
        "conversation": chat if opened.has_chat else "none: it continues text",
        "form": form,
    }
    text = f"# {origin.name}\n\n" + "".join(f"- {name}: {value}\n" for name, value in rows.items())
    text += f"\n{WRITTEN}\n\n## Use\n\n{use}"
    if origin.pulled:
        from glaswerk.pull import entry

        pulled = entry(origin.pulled)
        text += f"\n## Source\n\n{pulled.description}. Licence: {pulled.licence}. From {pulled.source}\n"
    if (origin.folder / "card.md").is_file():
        text += "\n" + (origin.folder / "card.md").read_text(encoding="utf-8")
    return text


def verb(opened: OpenedModel) -> str:
    """What one does with the model."""
    return "chat" if opened.has_chat else "generate"
