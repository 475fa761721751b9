"""Rollouts: the stored log-probabilities are a fresh forward's and those that were drawn from; ended or cut is true."""

from __future__ import annotations

import math

import pytest
import torch

from glaswerk.align.losses import token_log_probs
from glaswerk.align.reward import Judge, RewardModel
from glaswerk.align.rollout import Rollouts, graded, judged, log_probs, roll_out
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.task import Messages, Task, pair
from glaswerk.model import Decoder, ModelConfig
from glaswerk.tokenizer import train_bpe
from glaswerk.tokenizer.speech import Speech
from glaswerk.train.data import IGNORE

TOKENIZER = train_bpe(["a small text for a small vocabulary, with user and assistant in it"] * 3, 300)
#: so many end tokens that some replies end and some are cut
ENDS = frozenset(range(40, 60)) | {TOKENIZER.end_id}
PROMPTS = [[70, 71, 72], [80], [90, 91, 92, 93, 94, 95, 96]]


def decoder(shape: str = "modern", dropout: float = 0.0, context: int = 48) -> Decoder:
    made = ModelConfig.modern if shape == "modern" else ModelConfig.classic
    size = TOKENIZER.vocabulary_size
    model = Decoder(made(vocabulary_size=size, width=32, layers=2, heads=2, context=context, dropout=dropout))
    generator = torch.Generator().manual_seed(3)
    for value in model.parameters():
        value.data.normal_(0.0, 0.25, generator=generator)
    model.norm.weight.data.mul_(6)  # some tokens are much likelier than others
    return model


def rolled(model: Decoder, seed: int = 7, group: int = 12, max_tokens: int = 10) -> Rollouts:
    return roll_out(model, TOKENIZER, PROMPTS, group, max_tokens=max_tokens, seed=seed, end_ids=ENDS)


@pytest.mark.parametrize("shape", ["modern", "classic"])
def test_stored_log_probabilities_are_a_fresh_forwards(shape: str) -> None:
    """Each reply alone, unpadded, through the whole softmax."""
    model = decoder(shape)
    rollouts = rolled(model)
    for row in range(len(rollouts.replies)):
        tokens = [number for number in rollouts.targets_BN[row].tolist() if number != IGNORE]
        prompt = PROMPTS[row // rollouts.group]
        with torch.no_grad():
            everywhere = model.eval()(torch.tensor([[*prompt, *tokens]]))[0].log_softmax(-1)
        wanted = [float(everywhere[len(prompt) - 1 + at, number]) for at, number in enumerate(tokens)]
        found = rollouts.log_probs_BN[row]
        assert found[: len(tokens)].tolist() == pytest.approx(wanted, abs=1e-4)
        assert not found[len(tokens) :].any()
        assert rollouts.mask_BN[row].tolist() == [at < len(tokens) for at in range(len(found))]


def test_ended_and_cut_are_told_apart() -> None:
    rollouts = rolled(decoder())
    assert 0 < sum(rollouts.ended) < len(rollouts.ended), "the test needs both kinds"
    for row, ended in enumerate(rollouts.ended):
        tokens = rollouts.targets_BN[row][rollouts.mask_BN[row]].tolist()
        assert (tokens[-1] in ENDS) == ended
        assert not any(number in ENDS for number in tokens[:-1])
        assert ended or len(tokens) == 10
        said = tokens[:-1] if ended else tokens
        assert rollouts.replies[row] == TOKENIZER.decode(said).strip()


def test_the_context_cuts_too() -> None:
    model = decoder(context=16)
    rollouts = rolled(model, max_tokens=40)
    for row, ended in enumerate(rollouts.ended):
        prompt = PROMPTS[row // rollouts.group]
        if not ended:
            assert int(rollouts.mask_BN[row].sum()) == 16 - len(prompt)
    assert not all(rollouts.ended)
    assert torch.isfinite(rollouts.log_probs_BN).all()


def test_a_seed_decides_and_neighbours_do_not() -> None:
    model = decoder()
    rollouts = rolled(model)
    assert torch.equal(rollouts.targets_BN, rolled(model).targets_BN)
    assert rollouts.replies != rolled(model, seed=1000).replies
    alone = roll_out(model, TOKENIZER, PROMPTS[:1], 12, max_tokens=10, seed=7, end_ids=ENDS)
    assert alone.replies == rollouts.replies[:12]
    assert len(set(alone.replies)) > 6, "replies of a group are drawn each for itself"


def test_tokens_are_drawn_by_these_probabilities() -> None:
    """Of 3,000 first tokens: the mean log-probability is minus the entropy, and the likeliest token comes as often as
    it should, both within four standard errors. At another temperature neither holds."""
    model = decoder()
    with torch.no_grad():
        log_p = model.eval()(torch.tensor([PROMPTS[0]]))[0, -1].log_softmax(-1).double()
    p = log_p.exp()
    found = roll_out(model, TOKENIZER, PROMPTS[:1], 3000, max_tokens=1, seed=0, end_ids=ENDS)
    mean = float((p * log_p).sum())
    deviation = math.sqrt(float((p * log_p.square()).sum()) - mean**2)
    assert float(found.log_probs_BN.mean()) == pytest.approx(mean, abs=4 * deviation / math.sqrt(3000))
    best = float(p.max())
    share = float((found.targets_BN[:, 0] == p.argmax()).float().mean())
    assert share == pytest.approx(best, abs=4 * math.sqrt(best * (1 - best) / 3000))
    cooler = (log_p / 0.8).softmax(0)
    assert abs(float((cooler * log_p).sum()) - mean) > 8 * deviation / math.sqrt(3000), "the test can tell"


def test_a_reply_is_drawn_alike_whatever_lies_beside_it() -> None:
    """Reply g to prompt p by its seed alone: in another group, after other prompts, with others that end sooner."""
    model = decoder()
    rollouts = rolled(model)
    for p, g in ((0, 5), (1, 0), (2, 11)):
        seed = 7 + p * 12 + g
        alone = roll_out(model, TOKENIZER, [PROMPTS[p]], 1, max_tokens=10, seed=seed, end_ids=ENDS)
        assert alone.replies == rollouts.replies[p * 12 + g : p * 12 + g + 1]


@pytest.mark.parametrize("shape", ["modern", "classic"])
def test_a_shared_prompt_changes_no_log_probability(shape: str) -> None:
    """Replies beside others to their prompt, rows in any order, against whole rows that share nothing."""
    model = decoder(shape)
    rollouts = rolled(model)
    order = torch.randperm(len(rollouts.replies), generator=torch.Generator().manual_seed(1))
    parts = [part[order] for part in (rollouts.ids_BT, rollouts.columns_BN, rollouts.targets_BN)]
    with torch.no_grad():
        whole = token_log_probs(model.eval(), *rollouts.rows(order.tolist())).view(len(order), -1)
    torch.testing.assert_close(log_probs(model, *parts), whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(rollouts.log_probs_BN[order], whole, atol=1e-5, rtol=1e-5)
    model.compute_dtype = torch.bfloat16
    rounded = log_probs(model, *parts)
    assert not torch.equal(rounded, whole), "the test computes in bf16"
    assert float((rounded - whole).abs().mean()) < 0.05


def test_replies_in_bf16_are_drawn_by_their_seed_too() -> None:
    """Which replies are side by side changes roundings, and nearly never a token; the weights stay what they were."""
    model = decoder()
    model.compute_dtype = torch.bfloat16
    before = {name: value.clone() for name, value in model.named_parameters()}
    rollouts = rolled(model)
    alone = roll_out(model, TOKENIZER, PROMPTS[:1], 12, max_tokens=10, seed=7, end_ids=ENDS)
    assert sum(one == other for one, other in zip(alone.replies, rollouts.replies, strict=False)) >= 10
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())


def test_dropout_is_off_and_comes_back() -> None:
    model = decoder("classic", dropout=0.5).train()
    rollouts = rolled(model)
    assert model.training
    again = log_probs(model, rollouts.ids_BT, rollouts.columns_BN, rollouts.targets_BN)
    assert torch.equal(again, rollouts.log_probs_BN)


def test_some_rows_are_the_rows() -> None:
    """What a minibatch takes out is computed as before."""
    model = decoder()
    rollouts = rolled(model)
    members = [5, 30, 11]
    with torch.no_grad():
        found = token_log_probs(model.eval(), *rollouts.rows(members)).view(3, -1)
    torch.testing.assert_close(found, rollouts.log_probs_BN[members], atol=1e-5, rtol=1e-5)


def test_what_cannot_be_rolled_out_is_said() -> None:
    model = decoder()
    for prompts, group in (([], 2), (PROMPTS, 0)):
        with pytest.raises(GlaswerkError, match="at least one prompt and one reply"):
            roll_out(model, TOKENIZER, prompts, group, max_tokens=4, seed=0)
    with pytest.raises(GlaswerkError, match="the model's context is 48"):
        roll_out(model, TOKENIZER, [[1] * 48], 2, max_tokens=4, seed=0)


# ---------------------------------------------------------------------------------------------- rewards
class Vowels(Task):
    """How many letters of the reply are the item's."""

    def __len__(self) -> int:
        return 3

    def conversation(self, i: int) -> Messages:
        return pair(f"only {'aei'[i]}", "aei"[i])

    def grade(self, i: int, reply: str) -> float:
        return reply.count("aei"[i]) / max(1, len(reply))


def test_a_tasks_grades() -> None:
    """The three prompts asked items 2, 0 and 1; each reply is graded for its own."""
    rollouts = rolled(decoder())
    task = Vowels()
    rewards = graded(task, [2, 0, 1], rollouts)
    wanted = [task.grade([2, 0, 1][row // 12], reply) for row, reply in enumerate(rollouts.replies)]
    assert rewards.tolist() == pytest.approx(wanted) and rewards.max() > 0
    with pytest.raises(ValueError):
        graded(task, [2, 0], rollouts)


def test_a_judges_rewards() -> None:
    rollouts = rolled(decoder())
    model = RewardModel.of(decoder(context=160)).eval()
    model.score.weight.data.normal_(generator=torch.Generator().manual_seed(1))
    judge = Judge(model, Speech(TOKENIZER, None, None, ENDS), "test")
    asked = [[{"role": "user", "content": said}] for said in ("one", "two", "three")]
    rewards = judged(judge, asked, rollouts)
    for row in (0, 13, 35):
        talk = [*asked[row // 12], {"role": "assistant", "content": rollouts.replies[row]}]
        assert float(rewards[row]) == pytest.approx(judge.rewards([talk])[0], abs=1e-4)
    assert float(rewards.std()) > 0
