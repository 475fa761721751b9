"""Chapter 8: stages are compared on the same tokens, formats are the library's, so is the reward model, which is kept
from the pairs it is asked about, and so are DPO's log-probabilities and losses; exercises."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from functools import partialmethod
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from glaswerk import pull
from glaswerk.align.batches import ended
from glaswerk.align.constitution import Local, our_principles, revised, to_compare, verdicts
from glaswerk.align.divergence import Guard
from glaswerk.align.losses import bradley_terry_loss, dpo_loss
from glaswerk.align.reward import Judge, RewardModel
from glaswerk.align.reward import save as save_reward
from glaswerk.align.rollout import Rollouts, roll_out
from glaswerk.course import LANGUAGES, demo
from glaswerk.course.chapter import load_chapter, shape
from glaswerk.course.demo import load_module
from glaswerk.course.glossary import glossary
from glaswerk.course.outline import entry
from glaswerk.course.render import Renderer
from glaswerk.errors import GlaswerkError
from glaswerk.found import Origin
from glaswerk.home import make_folder
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.quantize import quantize
from glaswerk.model.weights import save_model
from glaswerk.opened import OpenedModel, load
from glaswerk.run import Run
from glaswerk.tokenizer import train_bpe
from glaswerk.tokenizer.chat import render_chat
from glaswerk.tokenizer.speech import Speech
from glaswerk.train.loop import Diverged

CHAPTER = "08-assistant"
FOLDER = entry(CHAPTER).folder
ROOT = Path(__file__).resolve().parents[2]
TEXT = (FOLDER / "talks.toml").read_text("utf-8")


def decoder(seed: int, scale: float = 0.2) -> Decoder:
    model = Decoder(ModelConfig.modern(vocabulary_size=400, width=32, layers=2, heads=2, context=256))
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = scale * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.fixture(scope="module", params=["plain", "quantized", "without chat"])
def model(request: pytest.FixtureRequest) -> OpenedModel:
    """A small model with random weights that belongs to no run."""
    tokenizer = train_bpe(
        [TEXT * 3], 400, special=("<|endoftext|>",) if request.param == "without chat" else ("<|endoftext|>", *MARKS)
    )
    made = decoder(8)
    if request.param == "quantized":
        quantize(made.blocks, 4)
    return OpenedModel(made, tokenizer, Origin(Path("small")), Speech(tokenizer, None, None, frozenset()))


MARKS = ("<|im_start|>", "<|im_end|>")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with three stages, each a little further than the one before, and German texts."""
    tokenizer = train_bpe([TEXT * 3], 400)
    job = Run.create(tmp_path_factory.mktemp("runs") / "talk", seed=0)
    make_folder(job.corpus)
    names = ("Vulkan", "Biene", "Mond", "Zweitakt 2", "Fluss")
    rows = [
        {"title": name, "text": f"{name} ist das, was hier und nicht dort ist, und das ist der Text. " * 3,
         "source": "", "topic": "", "split": "train"}
        for name in names
    ]  # fmt: skip
    (job.corpus / "documents.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    made = decoder(8)
    for number, stage in enumerate(("base", "sft", "dpo")):
        save_model(job.stage(stage), made, tokenizer)
        job.finish(stage, {"val_bits_per_byte": 2.0 + number / 10, "steps": 10})
        generator = torch.Generator().manual_seed(number)
        for parameter in made.parameters():
            parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    return job


@pytest.fixture(scope="module")
def ratings() -> ModuleType:
    demo.demos(CHAPTER)
    return sys.modules["glaswerk_chapter_assistant_ratings"]


@pytest.fixture(scope="module")
def steps() -> ModuleType:
    demo.demos(CHAPTER)
    return sys.modules["glaswerk_chapter_assistant_steps"]


def told(model: OpenedModel | None, name: str, **arguments: object) -> dict:
    return json.loads(demo.call(CHAPTER, name, arguments, model))


# ---------------------------------------------------------------------------------------------- stages
def test_stages_are_compared_on_the_same_tokens(run: Run) -> None:
    found = told(load(run.path), "stages")
    assert [stage["name"] for stage in found["stages"]] == ["base", "sft", "dpo"] and not found["missing"]
    assert found["question"] == "Sag bitte etwas über Vulkan." and "Zweitakt" not in str(found["questions"])
    assert len(found["questions"]) == 6 and found["questions"][3] == "Was ist ein Vulkan?"
    prompt, path = ([token["id"] for token in found[key]] for key in ("prompt_tokens", "path"))
    assert path == [token["id"] for token in found["stages"][-1]["tokens"]]
    # each stage by itself, with nothing of the chapter: favourites, probabilities, weights
    each = [load(run.stage(name)) for name in ("base", "sft", "dpo")]
    assert prompt == each[0].chat_ids([{"role": "user", "content": found["question"]}])
    shape_, raw = found["looks"]["shape"], np.frombuffer(base64_of(found["looks"]), np.uint8)
    looks = raw.reshape(shape_) / 255
    assert shape_ == [3, 2, 2, len(path), len(prompt) + len(path) - 1]
    with torch.no_grad():
        logits = [stage.model(torch.tensor([[*prompt, *path[:-1]]]))[0, len(prompt) - 1 :] for stage in each]
    probabilities = [part.softmax(-1) for part in logits]
    for at, place in enumerate(found["places"]):
        favourites = [int(part[at].argmax()) for part in logits]
        assert [token["id"] for token in place["favourites"]] == favourites
        wanted = [[float(part[at, favourite]) for favourite in favourites] for part in probabilities]
        assert np.allclose(place["table"], wanted, atol=1e-5)
        assert place["taken"] == pytest.approx([float(part[at, path[at]]) for part in probabilities], abs=1e-5)
        assert path[at] == favourites[-1]  # the last stage wrote it
    parted = [place for place in found["places"] if len({token["id"] for token in place["favourites"]}) > 1]
    assert parted and found["places"][found["first"]] == parted[0]
    for number, stage in enumerate(each):
        trace = stage.trace([*prompt, *path[:-1]])
        weights = trace["blocks.1.attention.weights"][0, :, len(prompt) - 1 :]
        assert np.abs(looks[number, 1] - weights.numpy()).max() <= 0.5 / 255 + 1e-6


def base64_of(packed: dict) -> bytes:
    import base64

    return base64.b64decode(packed["base64"])


def test_a_run_without_dpo_and_a_model_without_a_run_say_what_is_missing(run: Run, model: OpenedModel) -> None:
    found = told(model, "stages")
    assert [stage["name"] for stage in found["stages"]] == ["small"] and found["run"] is None and found["first"] is None
    assert found["missing"] == ["base", "sft", "dpo"] == told(model, "costs")["missing"]
    del run.data["stages"]["dpo"]
    run.save()
    try:
        found = told(load(run.stage("sft")), "stages", form="text", prompt="Was?")
        assert [stage["name"] for stage in found["stages"]] == ["base", "sft"] and found["missing"] == ["dpo"]
        assert found["question"] == "Was?" and MARKS[0] not in [token["text"] for token in found["prompt_tokens"]]
    finally:
        run.data["stages"]["dpo"] = {"val_bits_per_byte": 2.2, "steps": 10}
        run.save()


def test_what_stages_cost_is_what_the_run_wrote_down(run: Run) -> None:
    found = told(load(run.path), "costs")
    assert [(stage["name"], stage["bits"]) for stage in found["stages"]] == [("base", 2.0), ("sft", 2.1), ("dpo", 2.2)]


# ---------------------------------------------------------------------------------------------- formats
@pytest.mark.parametrize("talk", ["question", "turns", "typed"])
def test_formats_and_masks_are_the_librarys(model: OpenedModel, talk: str) -> None:
    found = told(model, "marks", talk=talk)
    text = found["formats"]["text"]
    assert not any(token["special"] for token in text["tokens"]) and 0 < text["learned"] < len(text["tokens"])
    if not model.has_chat:
        assert found["formats"]["chatml"] is found["formats"]["own"] is None
        return
    ids, mask = render_chat(model.tokenizer, found["messages"])
    for name in ("own", "chatml"):
        tokens = found["formats"][name]["tokens"]
        assert ([token["id"] for token in tokens], [int(token["learned"]) for token in tokens]) == (ids, mask)
        # two marks a turn, whatever was typed
        assert sum(token["special"] for token in tokens) == 2 * len(found["messages"])
    assert found["same"] and not found["template"]
    assert talk != "typed" or MARKS[1] in found["messages"][0]["content"]


# ---------------------------------------------------------------------------------------------- ratings
def test_the_reward_is_what_a_reward_model_of_the_library_reads(ratings: ModuleType) -> None:
    tokenizer = train_bpe([TEXT * 3], 400)
    opened = OpenedModel(decoder(8), tokenizer, Origin(Path("small")), Speech(tokenizer, None, None, frozenset()))
    found = ratings.replies_of(opened, "en")
    pairs = ratings.by_rule(found, "longer")
    score_C, losses = ratings.learn(found.states_RC, pairs)
    judge = RewardModel.of(opened.model)
    spread_C = found.last_RC.std(0).clamp_min(1e-6) * found.last_RC.shape[1] ** 0.5
    judge.score.weight.data = (score_C / spread_C)[None]
    rows = [
        render_chat(tokenizer, [{"role": "user", "content": question}, {"role": "assistant", "content": reply}])[0]
        for question, reply in zip(
            [q for q in ratings.talk.talks("en")["questions"] for _ in range(2)], found.texts, strict=True
        )
    ]
    with torch.no_grad():
        rewards = judge.rewards(*ended(rows, max(map(len, rows)), 0))
    ours = found.states_RC @ score_C
    assert torch.allclose(rewards - rewards.mean(), ours - ours.mean(), atol=2e-3)  # up to a constant
    chosen, rejected = torch.tensor(pairs).T
    assert losses[0] == pytest.approx(math.log(2)) and losses[-1] < 0.5 * losses[0]
    assert float(bradley_terry_loss(rewards[chosen], rewards[rejected])) < losses[0]


def test_rules_rate_as_they_say(model: OpenedModel, ratings: ModuleType) -> None:
    found = ratings.replies_of(model, "en")
    for good, bad in ratings.by_rule(found, "longer"):
        assert good // 2 == bad // 2 and found.tokens[good] > found.tokens[bad]
        assert (bad, good) in ratings.by_rule(found, "shorter")
    for good, bad in ratings.by_rule(found, "varied"):
        assert ratings.variety(found.texts[good]) > ratings.variety(found.texts[bad])
    assert ratings.variety("a b a b") == 0.5 and ratings.whole("One. Two, thr") == "One."


def test_a_pair_kept_back_is_judged_by_who_never_saw_it(ratings: ModuleType) -> None:
    draw = torch.Generator().manual_seed(8)
    states_RC = torch.randn(24, 6, generator=draw)
    states_RC[0::2, 0] += 4.0  # every first reply has something that the other has not
    pairs = [(2 * n, 2 * n + 1) for n in range(12)]
    assert sum(ratings.kept_back(states_RC, pairs)) >= 11
    # the last pair is rated the other way round than all others: whoever learned from these must get it wrong
    odd = [*pairs[:-1], pairs[-1][::-1]]
    assert ratings.kept_back(states_RC, odd)[-1] == 0.0
    noise = torch.randn(60, 200, generator=draw)
    random = [(2 * n, 2 * n + 1) for n in range(30)]
    score, _ = ratings.learn(noise, random)
    assert ratings.preferred(noise[0::2] @ score, noise[1::2] @ score) == 1.0  # learned by heart ...
    assert 0.2 < np.mean(ratings.kept_back(noise, random)) < 0.8  # ... and nothing of it holds elsewhere


def test_the_readers_own_ratings_are_learned(model: OpenedModel, ratings: ModuleType) -> None:
    mine = ["0l", "3r", "5l", "0r"]  # the last word on a pair counts
    found = told(model, "learned", rater="me", ratings=mine)
    assert found["pairs"] == 3 and len(found["replies"]) == 2 * ratings.COUNT
    marked = {place: one["rated"] for place, one in enumerate(found["replies"]) if one["rated"]}
    assert marked == {0: -1, 1: 1, 6: -1, 7: 1, 10: 1, 11: -1}
    reward = [one["reward"] for one in found["replies"]]
    length = [one["tokens"] for one in found["replies"]]
    if found["length"] is not None:
        assert found["length"] == pytest.approx(np.corrcoef(length, reward)[0, 1], abs=1e-6)
    for word in found["words"]:
        inside = [word["word"] in ratings.words(one["text"]) for one in found["replies"]]
        gap = np.mean([r for r, there in zip(reward, inside, strict=True) if there]) - np.mean(
            [r for r, there in zip(reward, inside, strict=True) if not there]
        )
        assert sum(inside) == word["replies"] and word["gap"] == pytest.approx(gap, abs=1e-6)
    # a reply of one's own that is one of the model's gets that one's reward
    own = told(model, "judged", rater="me", ratings=mine, number=2, reply=found["replies"][4]["text"])
    assert own["reward"] == pytest.approx(reward[4], abs=2e-2)
    assert told(model, "pairs")["pairs"][2]["replies"] == [one["text"] for one in found["replies"][4:6]]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("learned", {"rater": "me", "ratings": ["0l", "1r"]}), ("learned", {"rater": "me", "ratings": ["99l"] * 3}),
        ("learned", {"rater": "me", "ratings": ["0x"] * 3}), ("learned", {"rater": "nobody"}),
        ("judged", {"number": 16}),
        ("learned", {"ratings": ["0l"] * 17}), ("judged", {"reply": "x" * 401}), ("steps", {"pair": "other"}),
        ("stages", {"prompt": "x" * 301}), ("stages", {"number": 6}), ("marks", {"talk": "../x"}),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line(name: str, arguments: dict[str, object]) -> None:
    tokenizer = train_bpe([TEXT * 3], 400)
    small = OpenedModel(decoder(8), tokenizer, Origin(Path("small")), Speech(tokenizer, None, None, frozenset()))
    with pytest.raises(GlaswerkError) as caught:
        told(small, name, **arguments)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------------------------------------- DPO
@pytest.mark.parametrize("pair", ["unknown", "turned"])
def test_steps_of_dpo_are_the_librarys(model: OpenedModel, steps: ModuleType, pair: str) -> None:
    before = {name: value.clone() for name, value in model.model.state_dict().items()}
    found = told(model, "steps", pair=pair)
    assert len(found["train_losses"]) == found["steps"] == found["done"]
    sides = [found["chosen"], found["rejected"]]
    for side in sides:
        assert len(side["log_probs"]) == found["steps"] + 1
        assert all(len(row) == len(side["tokens"]) for row in side["log_probs"])
    # the loss of each step is that of the log-probabilities before it
    for step, loss in enumerate(found["train_losses"]):
        good, bad = (sum(side["log_probs"][step]) - sum(side["log_probs"][0]) for side in sides)
        wanted = float(dpo_loss(torch.tensor([good]), torch.tensor([bad]), found["beta"]))
        assert loss == pytest.approx(wanted, rel=1e-3, abs=1e-5)
    assert found["train_losses"][0] == pytest.approx(math.log(2)) and found["train_losses"][-1] < 0.6
    # before the first step: the open model itself, token by token
    if not any("quantized" in type(layer).__name__.lower() for layer in model.model.modules()):
        talk = steps.talk
        for side in sides:
            ids, mask = talk.ended(model, found["question"], side["text"], "en")
            with torch.no_grad():
                log_probs = F.log_softmax(model.model(torch.tensor([ids[:-1]]))[0], -1)
            wanted = [float(log_probs[at - 1, ids[at]]) for at in range(1, len(ids)) if mask[at]]
            assert side["log_probs"][0] == pytest.approx(wanted, abs=1e-4)
            assert [token["id"] for token in side["tokens"]] == [i for i, learn in zip(ids, mask, strict=True) if learn]
    said = found["losses"]
    assert said["questions"][0] == found["question"] != said["questions"][1]
    own = sides[0] if pair == "turned" else sides[1]
    assert said["before"][0] == own["text"]  # one answer of each pair is the model's own
    after = model.model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def test_parts_are_one_training(steps: ModuleType) -> None:
    tokenizer = train_bpe([TEXT * 3], 400)
    twins = [OpenedModel(decoder(8), tokenizer, Origin(Path("small")), Speech(tokenizer, None, None, frozenset()))
             for _ in range(2)]  # fmt: skip
    parts = [told(twins[0], "steps", pair="known", part=part) for part in range(steps.PARTS)]
    whole = told(twins[1], "steps", pair="known")
    assert parts[-1] == whole and "losses" not in parts[0]
    assert parts[1]["chosen"]["log_probs"] == whole["chosen"]["log_probs"][: 2 * steps.STEPS // steps.PARTS + 1]
    assert told(twins[1], "steps", pair="turned")["question"] == whole["question"]


# ---------------------------------------------------------------------------------------------- PPO
@pytest.fixture(scope="module")
def practice() -> ModuleType:
    demo.demos(CHAPTER)
    found = sys.modules["glaswerk_chapter_assistant_rollouts"]
    # the words of a model with random weights hardly ever come twice, its letters do
    found.ratings.RULES["varied"] = lambda text, tokens: len(set(text)) / max(1, len(text))
    return found


def small() -> OpenedModel:
    tokenizer = train_bpe([TEXT * 3], 400)
    return OpenedModel(decoder(8), tokenizer, Origin(Path("small")), Speech(tokenizer, None, None, frozenset()))


def practised(model: OpenedModel, parts: int, **arguments: object) -> dict:
    """All parts put together, as the page does."""
    found = [told(model, "rollouts", part=part, **arguments) for part in range(parts)]
    joined = {key: [each for part in found for each in part[key]] for key in ("rounds", "looks")}
    return {**found[-1], **joined}


def test_each_token_of_a_rollout_is_as_the_formulas_say(model: OpenedModel, practice: ModuleType) -> None:
    before = {name: value.clone() for name, value in model.model.state_dict().items()}
    found = practised(model, practice.PARTS)
    assert found["reward"] == "varied" and "judge" not in found["rewards"] and not found["ended"]
    assert len(found["rounds"]) == found["whole"] + 1 and len(found["looks"]) == practice.PARTS + 1
    assert found["rounds"][0]["reward"] == pytest.approx(0, abs=1e-3) and found["rounds"][0]["kl"] == 0
    assert found["rounds"][-1]["kl"] > 0
    for at, one in enumerate(found["rounds"]):  # what is learned from is one of those that could reward
        assert one["by"]["varied"] == pytest.approx(one["reward"], abs=2e-4) and set(one["by"]) == set(found["rewards"])
        assert one["by"]["longer"] == pytest.approx(-one["by"]["shorter"], abs=2e-4)
        assert at or not any(round(value, 3) for value in one["by"].values())
    moved = []
    for look in found["looks"]:
        for reply in look["replies"]:
            count = len(reply["tokens"])
            rows = [reply[name] for name in ("old", "reference", "values", "advantages", "others")]
            assert {len(row) for row in rows} == {count}
            rewards = [found["beta"] * (r - o) for o, r in zip(reply["old"], reply["reference"], strict=True)]
            rewards[-1] += reply["reward"]
            values = [*reply["values"], 0.0]
            surprises = [r + found["gamma"] * values[t + 1] - values[t] for t, r in enumerate(rewards)]
            fade = found["gamma"] * found["lam"]
            for t, advantage in enumerate(reply["advantages"]):  # the sum itself, without the recursion
                wanted = sum(fade**k * surprise for k, surprise in enumerate(surprises[t:]))
                assert advantage == pytest.approx(wanted, abs=2e-3)
            if look["round"] == 0:
                assert reply["old"] == pytest.approx(reply["reference"], abs=1e-4) and not any(reply["values"])
            if look["round"] == found["whole"]:
                assert reply["new"] is None and any(reply["values"])
            else:
                white = [(a - look["mean"]) / look["deviation"] for a in reply["advantages"]]
                moved += [w * (n - o) for w, n, o in zip(white, reply["new"], reply["old"], strict=True)]
            for others, text, old in zip(reply["others"], reply["tokens"], reply["old"], strict=True):
                assert len(others) == practice.OTHERS and all(
                    len(each) == 4 - (reply["new"] is None) for each in others
                )
                shares = [each[2] for each in others]
                assert shares == sorted(shares, reverse=True) and sum(shares) + math.exp(old) < 1.001
                assert text not in [each[0] for each in others] or "<" in text or len(text) > 1
    assert np.mean(moved) > 0  # what was better than expected became likelier
    after = model.model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert set(found["losses"]) == {"before", "after"} and len(found["losses"]["after"]) == len(found["questions"])


def test_what_is_drawn_first_is_the_open_models_own(practice: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small()
    told_to: list[tuple] = []
    looked = practice.Practice.look
    monkeypatch.setattr(
        practice.Practice, "look", lambda self, *given: (told_to.append(given), looked(self, *given))[1]
    )
    found = practice.rollouts(model, part=0)
    (rollouts, reward_B, _, prepared, _, learned), look = told_to[0], found["looks"][0]
    assert learned
    # whitening, as the library does it
    raw_BN, mask_BN = prepared["returns"] - prepared["values"], rollouts.mask_BN
    white_BN = ((raw_BN - look["mean"]) / look["deviation"]).masked_fill(~mask_BN, 0)
    assert torch.allclose(white_BN, prepared["advantages"], atol=1e-4)
    # rewards: in standard deviations of these very replies
    raw = torch.tensor([practice.ratings.RULES["varied"](text, 0) for text in rollouts.replies])
    assert torch.allclose(reward_B, (raw - raw.mean()) / raw.std(), atol=1e-5)
    assert practice.SHOWN * len(found["questions"]) == len(look["replies"])
    for place, row in enumerate(practice.shown(rollouts)):
        reply = look["replies"][place]
        assert reply["reward"] == pytest.approx(float(reward_B[row]), abs=1e-4)
        columns = rollouts.columns_BN[row, : len(reply["tokens"])]
        with torch.no_grad():
            probabilities = model.model(rollouts.ids_BT[row : row + 1])[0, columns].softmax(-1)
        taken = rollouts.targets_BN[row, : len(columns)]
        wanted = probabilities[torch.arange(len(columns)), taken].log().tolist()
        assert reply["old"] == pytest.approx(wanted, abs=1e-3)
        for at, others in enumerate(reply["others"]):
            rest = probabilities[at].clone()
            rest[taken[at]] = 0
            assert [each[2] for each in others] == pytest.approx(rest.topk(practice.OTHERS).values.tolist(), abs=1e-3)


def test_parts_of_a_practice_are_one_practice(practice: ModuleType) -> None:
    twins = small(), small()
    parts = practised(twins[0], practice.PARTS, reward="varied")
    whole = told(twins[1], "rollouts", reward="varied", part=practice.PARTS - 1)
    assert parts["losses"] == whole["losses"] and parts["rounds"][-len(whole["rounds"]) :] == whole["rounds"]
    assert parts["looks"][-len(whole["looks"]) :] == whole["looks"]


def test_a_reward_that_is_the_same_for_all_is_said(practice: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(practice.ratings.RULES, "longer", lambda text, tokens: 1.0)
    found = practised(small(), practice.PARTS, reward="longer")
    assert found["ended"] == "same" and found["losses"] and [look["round"] for look in found["looks"]] == [0]
    assert all(reply["new"] is None and reply["reward"] == 0 for reply in found["looks"][0]["replies"])
    # the same where it becomes so later: what was learned stays
    grades = iter([0.0, 1.0] * (practice.ASKED * practice.SMALL.group // 2) + [1.0] * 10_000)
    monkeypatch.setitem(practice.ratings.RULES, "shorter", lambda text, tokens: next(grades))
    found = practised(small(), practice.PARTS, reward="shorter")
    assert found["ended"] == "same" and len(found["rounds"]) == 2
    assert [look["round"] for look in found["looks"]] == [0, 1]


def test_a_policy_that_goes_astray_is_stopped(practice: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    class AfterOne(Guard):
        def check(self, **seen: float) -> None:  # type: ignore[override]
            if self.first is not None:
                raise Diverged("the second round finds it astray")
            super().check(**seen)

    monkeypatch.setattr(practice.Learner, "__init__", partialmethod(practice.Learner.__init__, guard=AfterOne()))
    found = practised(small(), practice.PARTS)
    assert found["ended"] == "astray" and found["losses"] == {}
    assert len(found["rounds"]) == len(found["looks"]) == 1 and found["looks"][0]["replies"][0]["new"]


def test_the_runs_reward_model_rewards(run: Run, practice: ModuleType) -> None:
    opened = load(run.path)
    judge = RewardModel.of(opened.model)
    judge.score.weight.data = torch.randn(judge.score.weight.shape, generator=torch.Generator().manual_seed(1))
    save_reward(run.stage("reward"), judge, opened.tokenizer)
    run.finish("reward", {"steps": 1})
    try:
        found = told(opened, "rollouts", language="de")
        assert found["reward"] == "judge" and found["run"] == run.argument
        assert found["questions"][0] == "Was ist ein Brelumian?" and len(found["questions"]) == practice.ASKED
        mine = Judge.open(run.stage("reward"), opened.speech)
        look = found["looks"][0]
        raw = mine.rewards(
            [
                [{"role": "user", "content": found["questions"][each["question"]]},
                 {"role": "assistant", "content": each["text"]}]
                for each in look["replies"]
            ]
        )  # fmt: skip
        got = [each["reward"] for each in look["replies"]]
        slope, shift = np.polyfit(raw, got, 1)  # the same up to scale and shift, which all replies of the round give
        assert slope > 0 and np.allclose(np.polyval([slope, shift], raw), got, atol=2e-3)
    finally:
        del run.data["stages"]["reward"]
        run.save()


# ---------------------------------------------------------------------------------------------- ways on from SFT
def test_ways_are_measured_from_where_they_begin(
    run: Run, practice: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = sys.modules["glaswerk_chapter_assistant_ways"]
    monkeypatch.setitem(ways.practice.ratings.RULES, "varied", practice.ratings.RULES["varied"])
    opened = load(run.path)
    parts = [told(opened, "ways", language="de", part=part) for part in range(2)]
    found = parts[1]
    whole = told(opened, "ways", language="de", part=len(ways.WAYS))
    assert whole["losses"] and whole["stages"] == found["stages"] and found["count"] == 2
    assert parts[0]["stages"] == found["stages"][:1] and found["missing"] == ["ppo", "grpo", "constitution"]
    sft, dpo = found["stages"]
    assert (sft["name"], dpo["name"]) == ("sft", "dpo") and sft["kl"] == 0 and abs(dpo["kl"]) > 1e-3
    assert sft["reward"] == pytest.approx(0, abs=1e-5) and found["reward"] == "varied"
    # the KL of the same replies, token by token, by whole distributions' log-probabilities
    first, second = load(run.stage("sft")), load(run.stage("dpo"))
    prompts = [ways.talk.asked(second, question, "de") for question in found["questions"]]

    def drawn_by(stage: OpenedModel) -> Rollouts:
        how = {"max_tokens": ways.TOKENS, "seed": 0, "end_ids": stage.end_ids}
        return roll_out(stage.model, stage.tokenizer, prompts, ways.DRAWN, **how)

    drawn = drawn_by(second)
    rewards, kls = [], []
    for row, text in enumerate(drawn.replies):
        count = int(drawn.mask_BN[row].sum())
        columns, targets = drawn.columns_BN[row, :count], drawn.targets_BN[row, :count]
        with torch.no_grad():
            both = [each.model(drawn.ids_BT[row : row + 1])[0, columns].log_softmax(-1) for each in (first, second)]
        apart = [float(both[0][at, target] - both[1][at, target]) for at, target in enumerate(targets.tolist())]
        kls.append(-sum(apart))
        rewards.append(len(set(text)) / max(1, len(text)))
    assert dpo["kl"] == pytest.approx(np.mean(kls), rel=1e-3)
    assert dpo["kl_interval"][0] < dpo["kl"] < dpo["kl_interval"][1]
    own = drawn_by(first).replies
    scale = [len(set(text)) / max(1, len(text)) for text in own]
    wanted = (np.mean(rewards) - np.mean(scale)) / np.std(scale, ddof=1)
    assert dpo["reward"] == pytest.approx(wanted, abs=1e-4)
    assert all(len(stage["replies"]) == len(found["questions"]) for stage in (sft, dpo))


def test_a_model_without_a_run_is_its_own_only_way() -> None:
    found = told(small(), "ways")
    assert [stage["name"] for stage in found["stages"]] == ["small"] and found["run"] is None
    assert found["stages"][0]["kl"] == 0


# ---------------------------------------------------------------------------------------------- a constitution
def roomy(seed: int = 8) -> OpenedModel:
    """A model whose context holds a whole rewriting."""
    tokenizer = train_bpe([TEXT * 3], 400)
    made = Decoder(ModelConfig.modern(vocabulary_size=400, width=32, layers=2, heads=2, context=1024))
    generator = torch.Generator().manual_seed(seed)
    for parameter in made.parameters():
        parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator)
    return OpenedModel(made, tokenizer, Origin(Path("roomy")), Speech(tokenizer, None, None, frozenset()))


@pytest.fixture(scope="module")
def principles() -> ModuleType:
    demo.demos(CHAPTER)
    return sys.modules["glaswerk_chapter_assistant_principles"]


@pytest.mark.parametrize("who", ["self", "smollm2"])
def test_a_rewriting_is_the_librarys(principles: ModuleType, monkeypatch: pytest.MonkeyPatch, who: str) -> None:
    model, other = roomy(), roomy(9)
    monkeypatch.setattr(pull, "is_pulled", lambda name: True)
    monkeypatch.setattr(principles, "larger", lambda: other)
    mine = ["Be kind.", "Speak of glass only."]
    parts = [
        told(model, "constitution", judge=who, principles=mine, principle=1, question=1, part=part)
        for part in range(principles.PARTS)
    ]
    found = parts[-1]
    assert [tuple(name in part for name in ("critique", "revision", "verdict")) for part in parts] == [
        (False, False, False), (True, False, False), (True, True, False), (True, True, True),
    ]  # fmt: skip
    assert found["principles"] == mine and found["judges"] == ["self", "smollm2"] and found["judge"] == who
    judge = Local(model if who == "self" else other)
    asked = ([found["question"]], [found["answer"]], [mine[1]])
    (wanted,) = revised(judge, *asked, max_tokens=principles.TOKENS, seed=0)
    assert (found["critique"], found["revision"]) == (wanted.critique, wanted.revision)
    assert wanted.critique and wanted.revision
    question, answer, principle = (one[0] for one in asked)
    first, second = judge.prefer(
        [
            to_compare(question, answer, wanted.revision, principle),
            to_compare(question, wanted.revision, answer, principle),
        ]
    )
    assert found["verdict"][:2] == pytest.approx([1 - first, second])
    (better,) = verdicts(judge, [question], [answer], [wanted.revision], [principle])
    assert found["verdict"][2] == (None if better is None else pytest.approx(1 - better))
    # nothing was written: the constitution that ships, in the language of the model
    assert told(model, "constitution", language="de")["principles"] == our_principles("de")
    assert len(found["questions"]) == principles.practice.ASKED + 2


def test_what_a_judge_cannot_do_is_said(principles: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "is_pulled", lambda name: False)
    found = told(small(), "constitution", principles=["glass " * 39], part=principles.PARTS - 1)
    assert found["critique"] is found["revision"] is found["verdict"] is None and found["answer"]
    assert found["failures"]["too long for the judge's context"] and found["judges"] == ["self"]
    tokenizer = train_bpe([TEXT * 3], 400, special=("<|endoftext|>",))
    mute = OpenedModel(decoder(8), tokenizer, Origin(Path("mute")), Speech(tokenizer, None, None, frozenset()))
    for model, arguments in (
        (mute, {}), (small(), {"principles": ["?!"]}), (small(), {"principles": ["Be kind."], "principle": 1}),
        (small(), {"principles": ["Be kind."] * 9}), (small(), {"principles": ["x" * 241]}),
    ):  # fmt: skip
        with pytest.raises(GlaswerkError) as caught:
            told(model, "constitution", **arguments)
        assert "\n" not in str(caught.value) and caught.value.german != str(caught.value)


# ---------------------------------------------------------------------------------------------- recordings
@pytest.mark.parametrize(
    ("name", "recipe", "by", "along"),
    [("tradeoff", "preference_tradeoff", "method", "step"), ("hacking", "reward_hacking", "way", "round")],
)
def test_recordings_are_a_recipes(
    name: str, recipe: str, by: str, along: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo.demos(CHAPTER)
    recorded = sys.modules["glaswerk_chapter_assistant_recorded"]
    found = getattr(recorded, name)()
    assert (ROOT / "recipes" / f"{recipe}.py").is_file() and f"recipes.{recipe} " in found["command"]
    for told in found["summary"]:  # means over the seeds that lie beside them
        same = [row for row in found["rows"] if (row[by], row[along]) == (told[by], told[along])]
        assert len(same) == told["seeds"] == found["seeds"]
        for key in ("plain", "reward", "kl"):
            assert told[key] == pytest.approx(np.mean([row[key] for row in same]), abs=1e-3)
            assert told[f"{key}_interval"] >= 0
    assert {row[along] for row in found["rows"]} == {told[along] for told in found["summary"]}
    monkeypatch.setattr(recorded, "HERE", tmp_path)
    assert getattr(recorded, name)()["rows"] == [] and getattr(recorded, name)()["seeds"] == 0


# ---------------------------------------------------------------------------------------------- numbers, texts
def test_the_numbers_of_the_prose() -> None:
    found = told(None, "numbers")
    assert found["margin"] == pytest.approx(0.1 * (2 + 3)) and found["loss"] == pytest.approx(-math.log(0.622459), 1e-4)
    assert found["start"] == pytest.approx(math.log(2)) and found["bt"] == pytest.approx(0.7311, abs=1e-4)
    assert found["bt_loss"] == pytest.approx(-math.log(found["bt"]))
    assert found["bt_wrong"] - found["bt_loss"] == pytest.approx(1)
    assert found["r_last"] == pytest.approx(1 - 0.1 * 0.5) and found["a_last"] == pytest.approx(0.95 - 0.6)
    assert found["d_before"] == pytest.approx(0.01 + 0.6 - 0.5)
    assert found["a_before"] == pytest.approx(0.11 + 0.95 * 0.35)
    assert found["group_same"] == 0 and found["group_one"] == pytest.approx(-(7 / 8) / (1 / 8) ** 0.5, rel=1e-3)
    assert found["group_one"] + 7 * found["group_rest"] == pytest.approx(0, abs=1e-5)
    assert found["loss_large"] == pytest.approx(math.log1p(math.exp(-5)), rel=1e-4)


def test_both_languages_have_the_same_shape_and_the_same_talks() -> None:
    chapter = load_chapter(CHAPTER)
    assert shape(chapter.prose["en"]) == shape(chapter.prose["de"])
    for language in LANGUAGES:
        html = Renderer(language).page(chapter.prose[language], CHAPTER)
        assert "{=" not in html and ("0,693" if language == "de" else "0.693") in html
    talk = load_module(FOLDER / "talk.py", "talk_of_test_08")
    en, de = talk.talks("en"), talk.talks("de")
    assert len(en["questions"]) == len(de["questions"]) and len(set(de["questions"])) == len(de["questions"])
    for name, messages in en["conversations"].items():
        assert [role for role, _ in messages] == [role for role, _ in de["conversations"][name]]
    mine = [key for key, term in glossary().items() if term.chapter == "assistant"]
    assert {"ppo", "advantage", "value-head", "dpo", "reward-model", "chat-template", "sft", "reference-model"} <= set(
        mine
    )


# ---------------------------------------------------------------------------------------------- exercises
def right_dpo(policy: tuple, reference: tuple, beta: float) -> tuple:
    margin = beta * ((policy[0] - reference[0]) - (policy[1] - reference[1]))
    loss = max(0.0, -margin) + math.log1p(math.exp(-abs(margin)))
    return margin, 1 / (1 + math.exp(-margin)), loss


def wrong_dpo(policy: tuple, reference: tuple, beta: float) -> tuple:
    return right_dpo(policy, (0.0, 0.0), beta)


def right_mask(tokens: list) -> list:
    learned, role, inside, found = False, "", 0, []
    for token in tokens:
        if token == MARKS[0]:
            inside, learned = 1, False
            found.append(0)
        elif inside == 1:
            role, inside = token, 2
            found.append(0)
        elif inside == 2:
            learned, inside = role == "assistant", 3
            found.append(0)
        else:
            found.append(int(learned))
            learned = learned and token != MARKS[1]
    return found


def wrong_mask(tokens: list) -> list:
    return [int(learn and token != MARKS[1]) for token, learn in zip(tokens, right_mask(tokens), strict=True)]


def right_advantages(
    kl: list[float], reward: float, values: list[float], beta: float, gamma: float, lam: float
) -> list[float]:
    rewards = [-beta * each for each in kl]
    rewards[-1] += reward
    after = [*values[1:], 0.0]
    surprises = [r + gamma * later - v for r, v, later in zip(rewards, values, after, strict=True)]
    return [sum((gamma * lam) ** k * d for k, d in enumerate(surprises[t:])) for t in range(len(kl))]


def right_clipped(ratio: float, advantage: float, clip: float) -> float:
    return -min(ratio * advantage, max(1 - clip, min(1 + clip, ratio)) * advantage)


def unclipped(ratio: float, advantage: float, clip: float) -> float:
    return -ratio * advantage


def test_the_exercise_on_advantages_wants_all_of_it() -> None:
    check = load_module(FOLDER / "exercises" / "check_advantages.py", "check_advantages_of_test").check
    module = ModuleType("answer")
    module.advantages, module.loss = right_advantages, right_clipped  # type: ignore[attr-defined]
    check(module)
    module.loss = unclipped  # type: ignore[attr-defined]
    with pytest.raises(AssertionError, match="clip"):
        check(module)
    module.advantages = lambda *given: right_advantages(*given[:-1], 1.0)  # type: ignore[attr-defined]
    with pytest.raises(AssertionError, match="token 0 has"):
        check(module)
    with pytest.raises(NotImplementedError):
        check(load_module(FOLDER / "exercises" / "advantages.py", "stub_advantages_of_test"))


@pytest.mark.parametrize(
    ("name", "function", "right", "wrong"),
    [("preference", "dpo", right_dpo, wrong_dpo), ("mask", "mask", right_mask, wrong_mask)],
)
def test_exercises_accept_a_right_answer_and_refuse_a_wrong_one(
    name: str, function: str, right: Callable, wrong: Callable
) -> None:
    check = load_module(FOLDER / "exercises" / f"check_{name}.py", f"check_{name}_of_test").check
    module = ModuleType("answer")
    setattr(module, function, right)
    check(module)
    setattr(module, function, wrong)
    with pytest.raises(AssertionError):
        check(module)
    with pytest.raises(NotImplementedError):
        check(load_module(FOLDER / "exercises" / f"{name}.py", f"stub_{name}_of_test"))
