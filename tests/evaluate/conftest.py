"""Small models of random weights, opened as any other: modern and classic, with a tokenizer of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.opened import OpenedModel, load
from glaswerk.run import Run
from glaswerk.tokenizer import train_bpe

TEXT = (
    "The river runs through the old town and the town is older than the river. Question: What is older? Answer: The "
    "town. A. one B. two C. three D. four. Frage: Wie heißt der Fluss? Antwort: Er heißt nicht. 12 + 30 = 42. "
) * 30


def random_model(vocabulary: int, shape: str = "modern", context: int = 256, seed: int = 0) -> Decoder:
    """Two layers, grouped queries, with weights large enough that attention matters."""
    make = ModelConfig.modern if shape == "modern" else ModelConfig.classic
    model = Decoder(make(vocabulary_size=vocabulary, width=64, layers=2, heads=4, context=context))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.15)
    return model.eval()


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model folder of each shape."""
    tokenizer = train_bpe([TEXT], 320)
    found = {}
    for shape in ("modern", "classic"):
        found[shape] = tmp_path_factory.mktemp("models") / shape
        save_model(found[shape], random_model(tokenizer.vocabulary_size, shape), tokenizer)
    return found


@pytest.fixture(scope="session")
def opened(folders: dict[str, Path]) -> OpenedModel:
    """The modern one."""
    return load(folders["modern"])


@pytest.fixture(scope="session")
def other(folders: dict[str, Path]) -> OpenedModel:
    """The classic one: learned positions, LayerNorm."""
    return load(folders["classic"])


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a corpus of titled texts and two finished stages of random weights."""
    from glaswerk.corpora import build, documents, pack

    folder = tmp_path_factory.mktemp("runs") / "town"
    texts = tmp_path_factory.mktemp("texts") / "leads.jsonl"
    names = "Hat Bridge River Castle Tower Market Garden Harbour Forest Mountain Lantern Windmill Orchard Cellar"
    texts.write_text(
        "\n".join(
            f'{{"title": "{name}", "text": "A {name.lower()} is a thing of the old town, number {place}. '
            f'Many people know the {name.lower()} and the river beside it, which is older than both."}}'
            for place, name in enumerate(names.split())
        )
    )
    job = Run.create(folder, seed=0)
    build([str(texts)], job.corpus, seed=0, least=0)
    tokenizer = train_bpe((document.headed for document in documents(job.corpus, "train")), 300)
    tokenizer.save(job.tokenizer)
    pack(job.corpus, tokenizer.encode_arrays, tokenizer.vocabulary_size, tokenizer.end_id)
    for seed, stage in enumerate(("base", "sft")):
        save_model(job.stage(stage), random_model(tokenizer.vocabulary_size, seed=seed), tokenizer)
        job.finish(stage, {"steps": 1})
    return folder
