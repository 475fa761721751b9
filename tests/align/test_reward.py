"""The reward model: it learns a preference, transformers reads it and gives the same rewards, others are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from glaswerk.align.batches import Endings, Pairs
from glaswerk.align.chats import render
from glaswerk.align.pairs import Pair, all_tokens
from glaswerk.align.reward import Judge, RewardModel, reward_loss, save
from glaswerk.errors import GlaswerkError
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import load_model, save_model
from glaswerk.tokenizer import train_bpe
from glaswerk.tokenizer.speech import Speech
from glaswerk.train import TrainPlan, train

TOKENIZER = train_bpe(["a small text for a small vocabulary, with user and assistant in it"] * 3, 300)
SPEECH = Speech(TOKENIZER, None, None, frozenset([TOKENIZER.special["<|im_end|>"]]))
TALKS = [[{"role": "user", "content": "q" * n}, {"role": "assistant", "content": "a " * (9 - n)}] for n in range(1, 6)]


def decoder(shape: str = "modern", seed: int = 0) -> Decoder:
    made = ModelConfig.modern if shape == "modern" else ModelConfig.classic
    config = made(vocabulary_size=TOKENIZER.vocabulary_size, width=32, layers=2, heads=2, context=64)
    model = Decoder(config).eval()
    for value in model.parameters():
        value.data.normal_(0.0, 0.2, generator=torch.Generator().manual_seed(seed))
    return model


def judge(shape: str = "modern") -> RewardModel:
    model = RewardModel.of(decoder(shape)).eval()
    model.score.weight.data.normal_(generator=torch.Generator().manual_seed(1))
    return model


def test_it_learns_which_answer_is_preferred() -> None:
    """Polite answers over rude ones, and on questions it has not seen."""
    pairs = [Pair.of(f"question {n}", f"please see {n % 5}", f"go away {n % 5}") for n in range(24)]
    answered, _ = all_tokens(SPEECH, pairs, 64)
    batches = Pairs(answered, 8, seed=0, pad=0)
    model = RewardModel.of(decoder())
    plan = TrainPlan(steps=20, batch=16, time=batches.time, muon=False, other_rate=0.01, dtype="fp32", compile=False)
    train(model, Endings(batches), reward_loss, plan)
    assert reward_loss(model, *Endings(batches).batch(0)).item() < 0.2
    new = Judge(model, SPEECH, "new").rewards(
        [[{"role": "user", "content": "question 99"}, {"role": "assistant", "content": said}] for said in
         ("please see 4", "go away 4")]
    )  # fmt: skip
    assert new[0] > new[1] + 1


@pytest.mark.parametrize("shape", ["modern", "classic"])
def test_transformers_gives_the_same_rewards(shape: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    save(tmp_path / "reward", judge(shape), TOKENIZER)
    other = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "reward").eval()
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "reward")
    found = Judge.open(tmp_path / "reward", SPEECH).rewards(TALKS)
    for talk, reward in zip(TALKS, found, strict=True):
        ids = theirs.apply_chat_template(talk, return_tensors="pt", return_dict=True)["input_ids"]
        assert ids[0].tolist() == render(SPEECH, talk)[0]
        with torch.no_grad():
            assert other(ids).logits.item() == pytest.approx(reward, rel=1e-4, abs=1e-4)


def test_its_body_can_be_opened_like_any_model(tmp_path: Path) -> None:
    """So that a trace shows what the reward model looks at."""
    save(tmp_path / "reward", judge(), TOKENIZER)
    ids = torch.tensor([render(SPEECH, TALKS[0])[0]])
    with torch.no_grad():
        assert torch.equal(load_model(tmp_path / "reward").hidden(ids), decoder().hidden(ids))


def test_what_is_no_reward_model_for_this_policy(tmp_path: Path) -> None:
    with pytest.raises(GlaswerkError, match="holds no reward model"):
        Judge.open(tmp_path)
    save_model(tmp_path / "language", decoder(), TOKENIZER)
    with pytest.raises(GlaswerkError, match="is a language model, not a reward model"):
        Judge.open(tmp_path / "language")
    save(tmp_path / "reward", judge(), TOKENIZER)
    other = train_bpe(["quite another text makes another vocabulary of other words"] * 3, 280)
    with pytest.raises(GlaswerkError, match=r"a reward model of another tokenizer \(\d+ tokens; .* another \d+\)"):
        Judge.open(tmp_path / "reward", Speech(other, None, None, frozenset()))
