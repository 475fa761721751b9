"""A reward model: the decoder with one number at the end of a conversation instead of a next token.

Trained to give a chosen answer more than a rejected one (Bradley-Terry; Christiano et al. 2017, Ouyang et al. 2022). On
disk it is what transformers calls a sequence classifier with one label, so TRL and others open it, and so does
``glaswerk trace``, which shows what it looks at. Left out: pairs and batches; what is done with rewards.

Shapes: B rows, T time, C width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from glaswerk.align.batches import ended
from glaswerk.align.chats import Messages, render
from glaswerk.align.losses import bradley_terry_loss
from glaswerk.errors import GlaswerkError
from glaswerk.generate.speculative import check_same_vocabulary
from glaswerk.home import make_folder, replacing, write_json, write_text
from glaswerk.model.config import ModelConfig
from glaswerk.model.decoder import Decoder
from glaswerk.model.mlp import Linear
from glaswerk.model.weights import CONFIG, WEIGHTS, SavesItself, load_model, to_tensors
from glaswerk.model.weights import save as save_tensors
from glaswerk.tokenizer import load as load_tokenizer
from glaswerk.tokenizer.speech import Speech

HEAD = "score.weight"
#: conversations scored side by side
TOGETHER = 32


class RewardModel(Decoder):
    """A decoder and the vector that reads a reward off its last hidden state; its own head for tokens is not used."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(replace(config, tied=True))
        self.score = Linear(config.width, 1, bias=False)
        if not self.embedding.is_meta:
            nn.init.zeros_(self.score.weight)

    @classmethod
    def of(cls, model: Decoder) -> RewardModel:
        """From a language model, whose weights it takes over; all rewards are zero until it is trained."""
        made = cls(model.config)
        weights = {name: value for name, value in model.state_dict().items() if not name.startswith("unembedding")}
        made.load_state_dict({**weights, HEAD: made.score.weight})
        made.compute_dtype = model.compute_dtype
        return made.to(model.embedding.device)

    def rewards(self, ids_BT: Tensor, last_B: Tensor) -> Tensor:
        """The reward of each row, read at its last token, fp32 ``[B]``."""
        x_BTC = self.hidden(ids_BT)
        x_BC = x_BTC[torch.arange(len(last_B), device=ids_BT.device), last_B]
        return self.score(x_BC.float())[:, 0]


def reward_loss(model: Decoder, ids_BT: Tensor, last_B: Tensor) -> Tensor:
    """The objective: rows of chosen conversations, then those of rejected ones."""
    assert isinstance(model, RewardModel)
    chosen_P, rejected_P = model.rewards(ids_BT, last_B).chunk(2)
    return bradley_terry_loss(chosen_P, rejected_P)


class Judge:
    """A trained reward model with its tokenizer."""

    def __init__(self, model: RewardModel, speech: Speech, name: str) -> None:
        self.model, self.speech, self.name = model, speech, name

    @classmethod
    def open(cls, folder: Path, policy: Speech | None = None) -> Judge:
        """The reward model in ``folder``, to judge a ``policy``. Raises :class:`GlaswerkError` where the folder holds
        none, or where the two have different vocabularies."""
        if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
            raise GlaswerkError(f"{folder} holds no reward model: `glaswerk align RUN --method reward` makes one")
        speech = Speech.of_folder(folder, load_tokenizer(folder))
        if policy is not None:
            try:
                check_same_vocabulary(policy.tokenizer, speech.tokenizer, str(folder))
            except GlaswerkError as error:
                mine, theirs = policy.tokenizer.vocabulary_size, speech.tokenizer.vocabulary_size
                raise GlaswerkError(
                    f"{folder} is a reward model of another tokenizer ({theirs:,} tokens; the model to be judged has "
                    f"another {mine:,}): train one on the same run"
                ) from error
        decoder = load_model(folder)
        head = load_file(folder / WEIGHTS).get(HEAD)
        if head is None or head.shape != (1, decoder.config.width):
            raise GlaswerkError(f"{folder} is a language model, not a reward model: it has no {HEAD}")
        model = RewardModel.of(decoder)
        model.score.weight.data.copy_(head)
        return cls(model.eval(), speech, str(folder))

    @torch.no_grad()
    def rewards(self, conversations: Sequence[Messages]) -> list[float]:
        """The reward of each conversation's end, in order. Too long ones lose their beginning."""
        room = self.model.config.context
        rows = [render(self.speech, messages)[0][-room:] for messages in conversations]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        found = [0.0] * len(rows)
        for start in range(0, len(order), TOGETHER):
            part = order[start : start + TOGETHER]
            ids_BT, last_B = ended([rows[i] for i in part], len(rows[part[-1]]), 0)
            where = self.model.embedding.device
            for i, reward in zip(part, self.model.rewards(ids_BT.to(where), last_B.to(where)).tolist(), strict=True):
                found[i] = reward
        return found


def save(folder: Path, model: RewardModel, tokenizer: SavesItself, card: str | None = None) -> None:
    """Write a folder that ``AutoModelForSequenceClassification`` opens; ``config.json`` comes last."""
    make_folder(folder)
    (folder / CONFIG).unlink(missing_ok=True)
    tensors = {**to_tensors(model), HEAD: model.score.weight.detach().cpu().contiguous()}
    with replacing(folder / WEIGHTS) as part:
        save_tensors(tensors, part)
    tokenizer.save(folder)
    if card is not None:
        write_text(folder / "card.md", card)
    said = model.config.to_hf()
    (causal,) = said["architectures"]
    kind = causal.replace("ForCausalLM", "").replace("LMHeadModel", "") + "ForSequenceClassification"
    stored = str(model.embedding.dtype).removeprefix("torch.")
    end = {"pad_token_id": tokenizer.end_id, "eos_token_id": tokenizer.end_id, "bos_token_id": tokenizer.end_id}
    write_json(
        folder / CONFIG,
        {**said, **end, "architectures": [kind], "num_labels": 1, "dtype": stored, "torch_dtype": stored},
    )
