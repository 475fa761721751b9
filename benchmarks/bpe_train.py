"""BPE training: our readable code against Hugging Face `tokenizers`, on 5 MB of real text, vocabulary 4,096.

Both get the same list of texts, the GPT-4 pattern and the same stopping rule; their merges must be identical
before anything is timed. rustbpe, whose ties are decided otherwise, is timed beside them where it is
installed.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import time
from typing import Any

from benchmarks.measure import interleaved, peer, spread
from glaswerk.errors import GlaswerkError
from glaswerk.tokenizer import train_bpe
from glaswerk.tokenizer.patterns import GPT4
from glaswerk.tokenizer.visible import visible

VOCABULARY = 4096
SPECIAL = 3
CORPUS = "wikipedia-en"
ROUNDS = 7


def run() -> dict[str, Any]:
    """Seconds to train; the ratio is the peer's median over ours."""
    texts = real_texts()
    tokenizers = peer("tokenizers")

    def ours() -> float:
        began = time.perf_counter()
        train_bpe(texts, VOCABULARY)
        return time.perf_counter() - began

    def theirs() -> float:
        began = time.perf_counter()
        train_theirs(tokenizers, texts)
        return time.perf_counter() - began

    made = train_bpe(texts, VOCABULARY)
    shown = [visible(token) if token is not None else "" for token in made.tokens]
    mine = [[shown[left], shown[right]] for left, right, _ in made.merges]
    reference = json.loads(train_theirs(tokenizers, texts).to_str())["model"]["merges"]
    if mine != reference:
        raise GlaswerkError("the merges differ from those of tokenizers: the training is broken, nothing is timed")

    contestants = {"glaswerk": ours, "tokenizers": theirs}
    if importlib.util.find_spec("rustbpe") is not None:
        rustbpe = peer("rustbpe")

        def rust() -> float:
            began = time.perf_counter()
            rustbpe.Tokenizer().train_from_iterator(iter(texts), VOCABULARY - SPECIAL, pattern=GPT4)
            return time.perf_counter() - began

        contestants["rustbpe"] = rust
    gc.collect()
    figures = interleaved(contestants, ROUNDS)
    spreads = {name: spread(values) for name, values in figures.items()}
    return {
        "name": "bpe_train",
        "ours": spreads["glaswerk"]["median"],
        "peer": spreads["tokenizers"]["median"],
        "peer_name": "tokenizers",
        "unit": "s",
        "ratio": spreads["tokenizers"]["median"] / spreads["glaswerk"]["median"],
        "spread": spreads,
        "megabytes": sum(len(text.encode()) for text in texts) / 1e6,
        "vocabulary": VOCABULARY,
        "identical_merges": len(mine),
        "corpus": CORPUS,
    }


def train_theirs(tokenizers: Any, texts: list[str]) -> Any:
    """A `tokenizers` BPE by the same rules."""
    levels = tokenizers.pre_tokenizers
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    cut = levels.Split(tokenizers.Regex(GPT4), "isolated")
    made.pre_tokenizer = levels.Sequence([cut, levels.ByteLevel(add_prefix_space=False, use_regex=False)])
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCABULARY - SPECIAL,
        min_frequency=2,
        show_progress=False,
        initial_alphabet=levels.ByteLevel.alphabet(),
    )
    made.train_from_iterator(texts, trainer)
    return made


def real_texts() -> list[str]:
    """The texts of the corpus; raises :class:`GlaswerkError` that says how to get it."""
    from glaswerk import corpora, pull

    pull.path(CORPUS)
    return [document.text for document in corpora.read([CORPUS])]
