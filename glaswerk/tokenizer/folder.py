"""Tokenizers by name or place, and the two files they are saved in.

Left out: what stands in ``tokenizer.json`` (``huggingface.py``) and the rank files of OpenAI
(``published.py``).
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from glaswerk import pull
from glaswerk.errors import GlaswerkError
from glaswerk.formats import strict_json
from glaswerk.home import write_json, write_text
from glaswerk.tokenizer.chat import CHATML
from glaswerk.tokenizer.huggingface import from_json
from glaswerk.tokenizer.interface import Tokenizer
from glaswerk.tokenizer.published import PUBLISHED, load_published

#: a larger tokenizer.json is not read (the largest known one has 33 MB)
LARGEST_FILE = 100_000_000


def load(source: str | Path) -> Tokenizer:
    """A tokenizer: ``gpt2``, ``cl100k`` or ``o200k`` (once pulled), a folder with ``tokenizer.json``, such a file, a
    GGUF file, or a pulled model's name.

    A run's folder works too (its ``tokenizer/`` is meant). Raises :class:`GlaswerkError` if there is none, or
    if the file is damaged or of a kind that is not supported.
    """
    if str(source) in PUBLISHED and not Path(source).exists():
        return load_published(str(source))
    path = _pulled_model(str(source)) or Path(source)
    if path.suffix == ".gguf" and path.is_file():
        from glaswerk.formats.gguf import GGUFFile
        from glaswerk.tokenizer.gguf import load_tokenizer

        metadata = GGUFFile(path).metadata
        try:
            return load_tokenizer(metadata)
        except GlaswerkError as error:
            raise GlaswerkError(f"{path}: {error}") from error
    for file in (path, path / "tokenizer.json", path / "tokenizer" / "tokenizer.json"):
        if file.is_file():
            break
    else:
        raise GlaswerkError(
            f"there is no tokenizer at {path}: name a folder with tokenizer.json, a GGUF file, "
            f"a pulled model, or one of {', '.join(PUBLISHED)}"
        )
    document = strict_json.read(file, LARGEST_FILE)
    try:
        return from_json(document)
    except GlaswerkError as error:
        raise GlaswerkError(f"{file}: {str(error).removeprefix('tokenizer.json: ')}") from error


def _pulled_model(name: str) -> Path | None:
    """The folder, or the GGUF file, of a pulled model; None where no model has the name, or a place here has it."""
    entry = pull.REGISTRY.get(name)
    if not name.startswith("hf:") and (entry is None or entry.kind != "model" or Path(name).exists()):
        return None
    folder = pull.path(name)  # says how to pull it, where it is not here
    files = sorted(folder.glob("*.gguf"))
    return files[0] if len(files) == 1 else folder


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json`` into ``folder``, each crash-safely."""
    document = tokenizer.as_json()
    write_text(folder / "tokenizer.json", json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    write_json(folder / "tokenizer_config.json", config(tokenizer))


def config(tokenizer: Tokenizer) -> dict[str, Any]:
    """``tokenizer_config.json``. The class is named because transformers else takes the model's usual one,
    whose splitting differs; cleaning up spaces after decoding is off because it changes text."""
    said: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1_000_000_000,
    }
    if tokenizer.special:
        names = {number: name for name, number in tokenizer.special.items()}
        with suppress(GlaswerkError):  # a vocabulary without an end is saved without one
            end = names[tokenizer.end_id]
            said |= {"eos_token": end, "pad_token": end}
        if {"<|im_start|>", "<|im_end|>"} <= tokenizer.special.keys():
            said["chat_template"] = CHATML
    return said
