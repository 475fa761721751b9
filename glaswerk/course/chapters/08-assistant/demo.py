"""What chapter 8 computes: one prompt through the stages of the open model's run, a conversation as tokens and which of
them are learned, what each stage cost, and the numbers of the prose.

Beside this file: ``talk.py`` writes questions and answers as tokens (``talks.toml`` has them), ``ratings.py`` trains a
reward model on ratings, ``steps.py`` takes steps of DPO, ``rollouts.py`` practises in rounds of PPO, ``ways.py``
lays the stages after SFT side by side, ``principles.py`` has an answer criticised and revised, ``recorded.py``
tells what recipes measured. Nothing here changes the open model.

Shapes: L layers, H heads, R places of the answer, T time, V vocabulary.
"""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from glaswerk import generate
from glaswerk.course.demo import demo, load_module, packed

if TYPE_CHECKING:
    from glaswerk.opened import OpenedModel


def beside(name: str) -> ModuleType:
    """A file of this folder as a module: the folder's name begins with a number, so ``import`` cannot."""
    return load_module(Path(__file__).with_name(f"{name}.py"), f"glaswerk_chapter_assistant_{name}")


talk = beside("talk")
ratings, steps_module = beside("ratings"), beside("steps")
practice, ways_module = beside("rollouts"), beside("ways")
pairs, learned, judged, steps = ratings.pairs, ratings.learned, ratings.judged, steps_module.steps
rollouts, ways, constitution = practice.rollouts, ways_module.ways, beside("principles").constitution

recorded = beside("recorded")
tradeoff, hacking = recorded.tradeoff, recorded.hacking

#: the stages that this chapter is about, the earliest first, and how many tokens each writes
STAGES, WRITTEN = ("base", "sft", "dpo"), 24
OFFERED, run_of, questions_of = talk.OFFERED, talk.run_of, talk.questions_of
#: the longest question that a reader types
LONGEST = 300


# ---------------------------------------------------------------------------------------------- stages
@demo(language={"en", "de"}, number=(0, OFFERED - 1), prompt=LONGEST, form={"chat", "text"})
def stages(
    model: OpenedModel, language: str = "en", number: int = 0, prompt: str = "", form: str = "chat"
) -> dict[str, Any]:
    """One prompt through all stages of the open model's run: what each writes, likeliest token by token; and along the
    answer of the last stage, at each place, every stage's favourite, how probable each stage finds each favourite, and
    where each head looks from there. ``form``: as a conversation, or as plain text with labels."""
    there = ways_module.stages_of(model, STAGES)
    offered = questions_of(model, language)
    question = prompt.strip() or offered[number]
    ids = talk.asked(model, question, language, form == "chat")
    most = model.model.config.context - WRITTEN
    ids = ids[-most:]
    written = {name: greedy(each, ids) for name, each in there.items()}
    path = [*written.values()][-1]
    told = [alone(each, ids, path) for each in there.values()]
    favourites = torch.stack([probabilities_RV.argmax(-1) for probabilities_RV, _ in told], 1)
    run = run_of(model)
    return {
        "model": model.origin.name, "question": question, "questions": offered, "number": number, "form": form,
        "chat": model.has_chat, "run": None if run is None else run.argument,
        "missing": [name for name in STAGES if name not in there] if run is not None else [*STAGES],
        "stages": [
            {"name": name, "text": each.tokenizer.decode(written[name]), "tokens": talk.chips(each, written[name])}
            for name, each in there.items()
        ],
        "prompt_tokens": talk.chips(model, ids), "path": talk.chips(model, path),
        "places": [
            {
                "favourites": talk.chips(model, row.tolist()),
                # [stage][favourite of stage]
                "table": [probabilities_RV[place, row].tolist() for probabilities_RV, _ in told],
                "taken": [float(probabilities_RV[place, path[place]]) for probabilities_RV, _ in told],
            }
            for place, row in enumerate(favourites)
        ],
        "first": next((place for place, row in enumerate(favourites) if len(set(row.tolist())) > 1), None),
        # [stage, L, H, R, T], 255 stands for 1
        "looks": packed(np.stack([(looks * 255).round().byte().numpy() for _, looks in told])),
    }  # fmt: skip


def greedy(model: OpenedModel, ids: list[int]) -> list[int]:
    """What a model writes after ``ids``, with the token that ends it where it came to an end."""
    found = generate.batch(model.model, model.tokenizer, [ids], **model.how({"max_tokens": WRITTEN}))[0]
    if found.finish_reason == "length":
        return list(found.ids)
    with torch.no_grad():
        return [*found.ids, int(model.model(torch.tensor([[*ids, *found.ids]]))[0, -1].argmax())]


def alone(model: OpenedModel, ids: list[int], path: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """At each place of an answer: the probabilities of the next token ``[R, V]``, and each head's weights from there
    ``[L, H, R, T]``."""
    trace = model.trace([*ids, *path[:-1]])
    begin = len(ids) - 1
    weights = [trace[f"blocks.{layer}.attention.weights"][0, :, begin:] for layer in range(trace.config.layers)]
    known = model.tokenizer.vocabulary_size
    return trace["probabilities"][0, begin:, :known], torch.stack(weights)


# ---------------------------------------------------------------------------------------------- conversations as tokens
@demo(language={"en", "de"}, talk={"question", "turns", "typed"})
def marks(model: OpenedModel, language: str = "en", talk: str = "question") -> dict[str, Any]:
    """One conversation as tokens in three ways: in the open model's own chat format, in ChatML, and as plain text with
    labels. Each token with its id, whether it is a special one, whether it is learned, and whose turn it belongs to.
    None where the tokenizer cannot write it."""
    from glaswerk.align.chats import render
    from glaswerk.evaluate.choice import WORDS
    from glaswerk.tokenizer.chat import render_chat

    messages = [{"role": role, "content": text} for role, text in talks(language)["conversations"][talk]]
    tokenizer = model.tokenizer
    special = set(tokenizer.special.values())
    formats: dict[str, tuple[list[int], list[int]] | None] = {"own": None, "chatml": None}
    if model.has_chat:
        formats["own"] = render(model.speech, messages)
    if {"<|im_start|>", "<|im_end|>"} <= tokenizer.special.keys():
        formats["chatml"] = render_chat(tokenizer, messages)
    ask, answer, _ = WORDS[language]
    ids: list[int] = []
    mask: list[int] = []
    for message in messages:
        spoken = message["role"] == "assistant"
        label = {"assistant": f"{answer} ", "user": f"{ask} "}.get(message["role"], "")
        for text, learn in ((label, False), (message["content"], spoken), ("\n", spoken)):
            part = tokenizer.encode(text) if text else []
            ids += part
            mask += [int(learn)] * len(part)
    formats["text"] = (ids, mask)
    return {
        "model": model.origin.name, "talk": talk, "messages": messages, "marks": len(special),
        "template": model.speech.template is not None, "same": formats["own"] == formats["chatml"],
        "formats": {
            name: None if found is None else {
                "tokens": [{**token, "special": token["id"] in special, "learned": bool(learn)}
                           for token, learn in zip(chips(model, found[0]), found[1], strict=True)],
                "learned": sum(found[1]), "text": tokenizer.decode(found[0]),
            }
            for name, found in formats.items()
        },
    }  # fmt: skip


talks, chips = talk.talks, talk.chips


# ---------------------------------------------------------------------------------------------- what it cost
@demo()
def costs(model: OpenedModel) -> dict[str, Any]:
    """What each stage of the open model's run is worth on held-out texts of its corpus, in bits per byte, as the run
    wrote it down; an empty list where there is no run."""
    run = run_of(model)
    found = []
    for name in dict.fromkeys((*STAGES, *ways_module.WAYS)) if run is not None else ():
        facts = run.data["stages"].get(name) if run is not None else None
        if facts and "val_bits_per_byte" in facts:
            found.append({"name": name, "bits": facts["val_bits_per_byte"]})
    missing = [name for name in STAGES if name not in [each["name"] for each in found]]
    return {
        "model": model.origin.name, "run": None if run is None else run.argument, "missing": missing, "stages": found,
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- numbers
@demo()
def numbers() -> dict[str, float]:
    """The numbers that stand in the prose and the quiz."""
    from glaswerk.align.advantages import gae, group_advantages, token_rewards
    from glaswerk.align.grpo import GRPO
    from glaswerk.align.losses import bradley_terry_loss, dpo_loss

    # log-probabilities of a preferred and another answer, under the policy and under the reference
    policy, reference, beta = (-12.0, -20.0), (-14.0, -17.0), 0.1
    ratios = [p - r for p, r in zip(policy, reference, strict=True)]
    margin = beta * (ratios[0] - ratios[1])
    low, high = 0.5, 1.5

    # the last two tokens of a reply: what each is away from the reference, and what was expected
    kl, values, reward, cost = (-0.1, 0.5), (0.5, 0.6), 1.0, 0.1
    mask_BN, there_BN = torch.ones(1, 2, dtype=torch.bool), torch.tensor([values])
    rewards_BN = token_rewards(torch.tensor([kl]), torch.tensor([reward]), mask_BN, cost)
    advantages_BN = gae(rewards_BN, there_BN, mask_BN, 1.0, practice.LAM)
    (r_before, r_last), (a_before, a_last) = rewards_BN[0].tolist(), advantages_BN[0].tolist()

    # a group of which all replies are right, and one of which one is wrong
    group = GRPO.group
    one, rest, *_ = group_advantages(torch.tensor([0.0] + [1.0] * (group - 1)), group).tolist()
    same = group_advantages(torch.ones(group), group)[0]

    def loss(chosen: float, rejected: float, beta: float = beta) -> float:
        return float(dpo_loss(torch.tensor([chosen]), torch.tensor([rejected]), beta))

    return {
        "policy_chosen": policy[0], "policy_rejected": policy[1], "reference_chosen": reference[0],
        "reference_rejected": reference[1], "ratio_chosen": ratios[0], "lost": -ratios[1], "beta": beta,
        "margin": margin, "sigma": 1 / (1 + math.exp(-margin)), "loss": loss(ratios[0], ratios[1]),
        "start": loss(0.0, 0.0),
        "margin_large": 10 * margin, "loss_large": loss(ratios[0], ratios[1], 10 * beta),
        "reward_high": high, "reward_low": low, "bt": 1 / (1 + math.exp(low - high)),
        "bt_loss": float(bradley_terry_loss(torch.tensor([high]), torch.tensor([low]))),
        "bt_wrong": float(bradley_terry_loss(torch.tensor([low]), torch.tensor([high]))),
        "rated": ratings.COUNT, "kept": ratings.COUNT - 1, "dpo_steps": steps_module.STEPS,
        "lam": practice.LAM, "clip": practice.CLIP, "clip_high": 1 + practice.CLIP, "far": 1.5, "gae_beta": cost,
        "gae_reward": reward, "kl_last": kl[1], "r_last": r_last, "v_last": values[1], "a_last": a_last,
        "r_before": r_before, "v_before": values[0], "d_before": r_before + values[1] - values[0],
        "a_before": a_before, "group": group, "group_same": float(same), "group_one": one, "group_rest": rest,
    }  # fmt: skip
