"""The main job as one readable page: raw text in, a small assistant out, every step kept in a run.

read, clean, drop duplicates, split -> tokenizer -> plan -> base model -> assistant -> evaluation -> answers. Each step
looks first whether it is done already; so the same call goes on where an earlier one stopped, and a finished run is
only opened. Left out: how any of it works; each room owns its part.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from glaswerk import __version__, planning, runtime
from glaswerk.align import corpus_conversations, load_chats, quiz
from glaswerk.align.own_pairs import ASKED
from glaswerk.corpora import Packed, build, documents, fingerprint, pack
from glaswerk.corpora.catalogue import CORPORA
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate import score_answers
from glaswerk.generate import SamplingOptions, complete
from glaswerk.home import read_json
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.lora import LoRAConfig
from glaswerk.model.weights import load_model
from glaswerk.opened import OpenedModel, load
from glaswerk.progress import Progress
from glaswerk.run import Run
from glaswerk.stages import (
    called,
    finish_stage,
    score_held_out,
    score_held_out_answers,
    stage_report,
    unstarted_is_removed,
)
from glaswerk.tokenizer import Tokenizer, render_chat, train_bpe
from glaswerk.tokenizer import load as load_tokenizer
from glaswerk.train import Checkpoints, Conversations, TrainPlan, Windows, next_token_loss, train
from glaswerk.tuning.adapted import ADAPTER_RATE, attached, baked
from glaswerk.tuning.aligning import make

DEFAULT_CORPUS = "wikipedia-en"
#: how many answers the held-out measure asks for
QUIZ = 50
#: what comes after the assistant: preferences where the budget allows it and they help, in any case, or nothing
ALIGN = ("auto", "dpo", "none")
#: the budget in minutes from which it allows it, and the share of it that preferences take
ALIGN_FROM, ALIGN_SHARE = 10.0, 0.2
#: right answers that a stage may lose and still count as a help
MAY_LOSE = 0.1


def run(
    sources: Sequence[str] = (DEFAULT_CORPUS,),
    *,
    minutes: float = 5.0,
    out: Path | None = None,
    shape: str = "modern",
    chats: Sequence[Path] = (),
    questions: Sequence[str] = (),
    strict: bool = False,
    align: str = "auto",
    seed: int = 0,
    progress: Progress | None = None,
    began: float | None = None,
) -> dict[str, Any]:
    """Do the main job within ``minutes`` and return its report: ``run, corpus, tokenizer, stages, evaluation, answers,
    seconds``.

    ``began`` is when the budget's clock started (``time.perf_counter``). Raises :class:`GlaswerkError` in one line for
    whatever the user can mend, ``KeyboardInterrupt`` after saving when interrupted.
    """
    began = time.perf_counter() if began is None else began
    show = progress or Progress()
    check_options(minutes, shape, seed)
    if align not in ALIGN:
        raise GlaswerkError(f"--align {align} is no way on from the assistant: choose {', '.join(ALIGN)}")
    prefers = align == "dpo" or (align == "auto" and minutes >= ALIGN_FROM)
    sources = list(sources) or [DEFAULT_CORPUS]
    conversations = [messages for file in chats for messages in load_chats(file)]
    runtime.deterministic()
    runtime.seed_everything(seed)
    job = open_run(sources, out, seed=seed, minutes=minutes, shape=shape, show=show)
    with job.lock(), unstarted_is_removed(job, "corpus"):
        corpus = read_corpus(job, sources, seed, strict, show)
        tokenizer = learn_tokenizer(job, corpus, show)
        plan = make_plan(job, minutes * (1 - ALIGN_SHARE * prefers), shape, began, show)
        model = train_base(job, tokenizer, plan, show)
        train_assistant(job, tokenizer, plan, model, conversations, show)
        if prefers:
            prefer(job, ALIGN_SHARE * minutes, align == "dpo", show)
        opened = load(str(job.path))
        evaluation = evaluate(job, opened, show)
        answers = answer(job, opened, questions, show)
    return {
        "run": str(job.path),
        "corpus": corpus,
        "tokenizer": job.data["tokenizer"],
        "stages": [{"name": name, **facts} for name, facts in job.data["stages"].items()],
        "evaluation": evaluation,
        "answers": answers,
        "seconds": round(time.perf_counter() - began, 1),
    }


def check_options(minutes: float, shape: str, seed: int) -> None:
    """Refuse a budget, a shape or a seed that cannot be meant."""
    if not 0 <= seed < 2**62:
        raise GlaswerkError(f"--seed {seed} is out of range: give a whole number from 0 to 2^62")
    if not 0.1 <= minutes <= 100_000:
        raise GlaswerkError(
            f"--minutes {minutes:g} is no budget to train in: give at least 0.5, for example --minutes 5"
        )
    if shape not in ("modern", "classic"):
        raise GlaswerkError(f"there is no shape {shape!r}: choose modern or classic")


def default_out(sources: Sequence[str]) -> Path:
    """``runs/<corpus>``, named after the first source."""
    stem = re.sub(r"[^\w.-]+", "-", Path(sources[0]).stem if Path(sources[0]).suffix else Path(sources[0]).name)
    return Path("runs") / (stem.strip("-.") or "texts")


def open_run(sources: Sequence[str], out: Path | None, *, seed: int, minutes: float, shape: str, show: Progress) -> Run:
    """The run to go on with, or a new one. A folder that holds the run of another corpus or shape is refused."""
    folder = out or default_out(sources)
    identity = {"corpus": fingerprint(sources, show), "shape": shape, "seed": seed}
    if not Run.is_run(folder) or not {"corpus", "plan"} & Run(folder).data.keys():
        names = [source if source in CORPORA else Path(source).name for source in sources]
        return Run.create(
            folder, seed=seed, minutes=minutes, shape=shape, sources=names, identity=identity,
            versions={"glaswerk": __version__, "torch": torch.__version__},
        )  # fmt: skip
    job = Run(folder)
    was = job.data.get("identity", {})
    said = {"corpus": "other texts (or texts that changed since)"}
    for key in identity:
        if was.get(key) != identity[key]:
            what = said.get(key, f"{key} {was.get(key)}")
            raise GlaswerkError(
                f"{folder} is a run on {what}: choose another --out, or delete that folder to start anew"
            )
    if "plan" not in job.data:
        job.data["minutes"] = minutes
    if job.data.get("minutes") != minutes:
        show.note(
            f"{folder} was planned for --minutes {job.data.get('minutes'):g} and keeps that plan; "
            "a new --out starts anew"
        )
    return job


def read_corpus(job: Run, sources: Sequence[str], seed: int, strict: bool, show: Progress) -> dict[str, Any]:
    """Read, clean, deduplicate and split into ``corpus/``; returns the report's counts."""
    if not (job.corpus / "report.json").is_file():
        build(sources, job.corpus, seed=seed, strict=strict, progress=show)
    report = read_json(job.corpus / "report.json")
    if "corpus" not in job.data:
        job.data["corpus"] = {
            "documents": report["documents"],
            "characters": report["characters"],
            "dropped": {reason: item["documents"] for reason, item in report["dropped"].items()},
            "sources": report["sources"],
        }
        job.save()
    return dict(job.data["corpus"])


def learn_tokenizer(job: Run, corpus: dict[str, Any], show: Progress) -> Tokenizer:
    """Train the tokenizer on the training split and pack the corpus with it."""
    if (job.corpus / "index.json").is_file() and "tokenizer" in job.data:
        return load_tokenizer(str(job.tokenizer))
    size, reason = planning.vocabulary_for(corpus["characters"])
    began = time.perf_counter()
    show.start("tokenizer")
    pattern, cuts = planning.pattern_for(document.headed for document in islice(documents(job.corpus, "train"), 500))
    if cuts:
        show.note(cuts)
    tokenizer = train_bpe((document.headed for document in documents(job.corpus, "train")), size, pattern)
    tokenizer.save(job.tokenizer)
    fewer = "" if tokenizer.vocabulary_size == size else " (no pair is left to merge)"
    show.done(f"{tokenizer.vocabulary_size:,} tokens by byte-pair encoding{fewer}: {reason}")
    index = pack(job.corpus, tokenizer.encode_arrays, tokenizer.vocabulary_size, tokenizer.end_id, progress=show)
    tokens = sum(index[split]["tokens"] for split in ("train", "val"))
    text_bytes = sum(index[split]["bytes"] for split in ("train", "val"))
    job.data["tokenizer"] = {
        "vocabulary": tokenizer.vocabulary_size,
        "bytes_per_token": round(text_bytes / max(1, tokens), 3),
        "seconds": round(time.perf_counter() - began, 2),
    }
    job.save()
    return tokenizer


def make_plan(
    job: Run, minutes: float, shape: str, began: float, show: Progress, sft_share: float = planning.SFT_SHARE
) -> dict[str, Any]:
    """Measure this machine once and derive everything else; kept in ``run.json``."""
    if "plan" not in job.data:
        show.start("plan")
        unique = len(Packed(job.corpus).train)
        machine = planning.measure_machine()
        job.data["plan"] = planning.plan_run(
            minutes=minutes, elapsed=time.perf_counter() - began, shape=shape, unique_tokens=unique,
            vocabulary=job.data["tokenizer"]["vocabulary"], machine=machine, seed=job.data["seed"], note=show.note,
            sft_share=sft_share,
        )  # fmt: skip
        job.save()
        config = ModelConfig(**job.data["plan"]["model"])
        show.done(f"{config.layers} layers, {config.width} wide, context {config.context}, {shape} shape")
    if sft_share and "sft" not in job.data["plan"]:  # the base was planned alone, by `glaswerk pretrain`
        base = job.data["plan"]["base"]
        job.data["plan"]["sft"] = planning.sft_plan(base, planning.two_passes(base, Packed(job.corpus).info))
        job.save()
    return dict(job.data["plan"])


def train_base(job: Run, tokenizer: Tokenizer, plan: dict[str, Any], show: Progress) -> Decoder:
    """The base model: predict the next token of the training split."""
    if job.finished("base"):
        return load_model(job.stage("base")).to(runtime.device())
    stage = TrainPlan(**plan["base"])
    packed = Packed(job.corpus)
    model = new_model(plan, job.data["seed"])

    held_out = packed.val if len(packed.val) > 1 else packed.train  # a corpus of one document has nothing to hold out
    opening = held_out[: min(12, len(held_out))].tolist()

    def sample() -> str:
        model.eval()
        more = complete(model, tokenizer, opening, SamplingOptions(max_tokens=32, repetition_penalty=1.1))
        return " ".join((tokenizer.decode(opening) + more.text).split())

    result = train(
        model, Windows(packed.train, stage.time, stage.batch, job.data["seed"]), next_token_loss, stage, stage="base",
        checkpoints=Checkpoints(job.resume("base")), log=job, sample=sample,
        peak=planning.Machine(**plan["machine"]).peak, progress=show,
    )  # fmt: skip
    score = score_held_out(model, packed, stage)
    finish_stage(job, "base", model, tokenizer, result, score.loss, score.bits_per_byte, show)
    return model


def train_assistant(
    job: Run,
    tokenizer: Tokenizer,
    plan: dict[str, Any],
    model: Decoder,
    chats: list[Any],
    show: Progress,
    rank: int | None = None,
    nf4: bool = False,
) -> None:
    """The assistant: questions and answers made from the corpus, and the user's own chats; loss on answers only. With a
    ``rank``, adapters learn beside the frozen base (in 4 bits if ``nf4``), and become part of it at the end."""
    if job.finished("sft"):
        return
    stage = TrainPlan(**plan["sft"])
    name, seed = called(job), job.data["seed"]
    digest = hashlib.sha256(json.dumps(chats).encode()).hexdigest()
    begun = job.resume("sft").is_dir()
    if begun and job.data.get("chats", digest) != digest:
        raise GlaswerkError(
            f"{job.path} learns from other --chat files: give the same ones, or delete {job.resume('sft')}"
        )
    packed = Packed(job.corpus)
    # about as many conversations as the steps have room for twice, from documents spread over the whole corpus
    wanted = max(500, 2 * stage.steps * stage.tokens_per_step // 60)
    count = packed.info["train"]["documents"]
    every, variants = max(1, count // wanted), max(1, min(8, wanted // max(1, count)))
    made = corpus_conversations(islice(documents(job.corpus, "train"), 0, None, every), name, seed, variants=variants)
    rendered = [render_chat(tokenizer, messages) for messages in [*made, *chats]]
    data = Conversations(rendered, stage.time, stage.batch, seed, tokenizer.end_id)
    job.data["chats"] = digest
    job.save()
    known = attached(model, rank, seed, nf4)
    result = train(
        model, data, next_token_loss, stage, stage="sft", checkpoints=Checkpoints(job.resume("sft")), log=job,
        peak=planning.Machine(**plan["machine"]).peak, progress=show,
    )  # fmt: skip
    model = baked(job.stage("sft"), model, rank, f"{job.name}/base", known)
    bits = score_held_out(model, packed, stage).bits_per_byte
    loss = score_held_out_answers(job, model, tokenizer, stage, rendered[:200])
    job.data["plan"]["sft"] = asdict(stage)
    finish_stage(job, "sft", model, tokenizer, result, loss, bits, show)


def prefer(job: Run, minutes: float, always: bool, show: Progress) -> None:
    """DPO on the run's own corpus: the truth over what the model made up, "I do not know" over an answer where it read
    nothing. The stage stays where it helps, or where it was asked for (``always``)."""
    on_trial = "dpo_on_trial" in job.data  # made, and this process ended before it was judged
    if (job.finished("dpo") and not on_trial) or ("no_dpo" in job.data and not always):
        return
    if not job.finished("dpo"):
        job.data["dpo_on_trial"] = True
        try:
            make(job, "dpo", data=("corpus",), minutes=minutes, began=time.perf_counter(), show=show)
        except GlaswerkError as error:
            if always:
                raise
            show.note(f"dpo is left out: {error}")
            return
    helped, why = helps(job.data["stages"]["dpo"])
    show.note(f"dpo {'helps' if helped else 'does not help'}: {why}")
    if not helped and not always:
        job.data["no_dpo"] = why
        del job.data["stages"]["dpo"]
        shutil.rmtree(job.stage("dpo"), ignore_errors=True)
    del job.data["dpo_on_trial"]
    job.save()


def helps(facts: dict[str, Any]) -> tuple[bool, str]:
    """Whether a stage says "I do not know" more often where it should, beyond chance, and more often there than where
    it read about it, without losing many right answers; and the figures."""
    was, now, known = facts["declined_before"], facts["declined"], facts["declined_wrongly"]
    lost = facts["right_before"] - facts["right"]
    told = now - max(was, known) > 1.96 * math.sqrt((now * (1 - now) + 0.25) / ASKED)  # the other share at its widest
    return told and lost <= MAY_LOSE, (
        f"it declines {was:.0%} -> {now:.0%} of {ASKED} titles it never met and {known:.0%} of those it read about; "
        f"right answers {facts['right_before']:.0%} -> {facts['right']:.0%}"
    )


def new_model(plan: dict[str, Any], seed: int) -> Decoder:
    """A decoder with fresh weights that depend on the seed only."""
    model = Decoder(ModelConfig(**plan["model"]))
    model.reset_parameters(torch.Generator().manual_seed(seed))
    return model.to(runtime.device())


def evaluate(job: Run, opened: OpenedModel, show: Progress) -> dict[str, Any]:
    """Answers to questions about documents of both splits in phrasings never trained on, against what they say."""
    if "evaluation" not in job.data:
        show.start("evaluate")
        results: dict[str, Any] = {}
        for split in ("train", "val"):
            asked = quiz(documents(job.corpus, split), QUIZ)
            if asked:
                score, _ = score_answers(lambda questions: reply_to(opened, questions), asked)
                results[split] = {
                    "questions": score.questions,
                    "word_f1": round(score.mean_f1, 3),
                    "named": round(score.share_named, 3),
                }
        job.data["evaluation"] = results
        job.save()
        names = {"train": "texts it read", "val": "texts it never saw"}
        said = [
            f"{names[split]}: word F1 {item['word_f1']:.2f}, {item['named']:.0%} name what was asked about"
            for split, item in results.items()
        ]
        show.done("; ".join(said) or "no titled documents to ask about")
    return dict(job.data["evaluation"])


def answer(job: Run, opened: OpenedModel, questions: Sequence[str], show: Progress) -> list[dict[str, str]]:
    """The user's questions, after a few of our own about what the corpus holds."""
    asked = [*own_questions(job), *questions]
    show.start("answers")
    replies = reply_to(opened, asked)
    show.done(f"{len(asked)} questions")
    return [{"question": question, "answer": reply} for question, reply in zip(asked, replies, strict=True)]


def own_questions(job: Run) -> list[str]:
    """Who it is, and three titles of the training texts: the first with a short, plain name, spread over the corpus."""
    found = [d.title for d in documents(job.corpus, "train") if re.fullmatch(r"[^\W\d_]{4,12}", d.title)]
    picked = [found[place * (len(found) - 1) // 2] for place in range(3)] if len(found) >= 3 else found
    return ["Who are you?", *(f"What is {title}?" for title in dict.fromkeys(picked))]


def reply_to(opened: OpenedModel, questions: Sequence[str]) -> list[str]:
    """Greedy replies with a mild repetition penalty, which keeps small models out of loops."""
    room = opened.model.config.context * 3 // 4

    def ask(question: str) -> list[dict[str, str]]:
        """The question, cut where it would leave no room for an answer."""
        while len(question) > 8 and len(opened.chat_ids([{"role": "user", "content": question}])) > room:
            question = question[: len(question) * 3 // 4]
        return [{"role": "user", "content": question}]

    return opened.chat_batch([ask(question) for question in questions], max_tokens=96, repetition_penalty=1.1)


def pretrain(
    sources: Sequence[str] = (DEFAULT_CORPUS,),
    *,
    steps: int | None = None,
    minutes: float = 5.0,
    out: Path | None = None,
    shape: str = "modern",
    layers: int = 4,
    width: int = 192,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Only the base model. With ``steps`` nothing depends on a clock: equal calls on one machine give equal weights,
    and ``sha256`` of the weights shows it. Without, ``minutes`` decides as in :func:`run`."""
    began = time.perf_counter()
    show = progress or Progress()
    check_options(minutes, shape, seed)
    if layers < 1 or width < 32 or width % 32:
        raise GlaswerkError(f"--layers {layers} --width {width}: at least 1 layer, and a width in multiples of 32")
    if steps is not None and steps < 1:
        raise GlaswerkError(f"--steps {steps} trains nothing: give at least 1")
    runtime.deterministic()
    runtime.seed_everything(seed)
    job = open_run(sources, out or default_out(sources), seed=seed, minutes=minutes, shape=shape, show=show)
    with job.lock(), unstarted_is_removed(job, "corpus"):
        corpus = read_corpus(job, sources, seed, False, show)
        tokenizer = learn_tokenizer(job, corpus, show)
        if steps is not None and "plan" not in job.data:
            job.data["plan"] = planning.fixed_plan(
                steps=steps, shape=shape, vocabulary=tokenizer.vocabulary_size, layers=layers, width=width,
                unique_tokens=len(Packed(job.corpus).train), machine=planning.measure_machine(training=False),
            )  # fmt: skip
            job.save()
        plan = make_plan(job, minutes, shape, began, show, sft_share=0.0)
        if steps is not None and plan["base"]["steps"] != steps:
            raise GlaswerkError(f"{job.path} was planned for {plan['base']['steps']} steps: choose another --out")
        sizes = plan["model"]["layers"], plan["model"]["width"]
        if steps is not None and sizes != (layers, width):
            raise GlaswerkError(f"{job.path} has {sizes[0]} layers of {sizes[1]}: give these, or choose another --out")
        train_base(job, tokenizer, plan, show)
    return stage_report(job, "base", began)


def sft(
    folder: Path,
    *,
    chats: Sequence[Path] = (),
    steps: int | None = None,
    rank: int | None = None,
    nf4: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Only the assistant, from a run's base model: on conversations from its corpus and on ``chats``.

    ``steps`` defaults to what the run's plan says, or two passes over the conversations. ``rank``: LoRA adapters learn,
    not the weights, which may lie in 4 bits meanwhile (``nf4``).
    """
    began = time.perf_counter()
    show = progress or Progress()
    if steps is not None and steps < 1:
        raise GlaswerkError(f"--steps {steps} trains nothing: give at least 1")
    job = Run(folder)
    if job.finished("sft"):
        raise GlaswerkError(f"{folder} has an assistant already: delete {folder / 'sft'} to train it anew")
    if not job.finished("base"):
        raise GlaswerkError(
            f"{folder} has no finished base model yet: `glaswerk pretrain --out {folder}` goes on with it"
        )
    LoRAConfig(1 if rank is None else rank)  # refuses a rank that is none
    if nf4 and rank is None:
        raise GlaswerkError("--nf4 keeps frozen weights in 4 bits, and without --lora none is frozen: give --lora 8")
    conversations = [messages for file in chats for messages in load_chats(file)]
    runtime.deterministic()
    runtime.seed_everything(job.data["seed"])
    with job.lock():
        plan = dict(job.data["plan"])  # the run keeps the plan of a stage that was made, not of one that was tried
        base = plan["base"]
        if steps is not None or "sft" not in plan:
            plan["sft"] = planning.sft_plan(base, steps or planning.two_passes(base, Packed(job.corpus).info))
        if rank is not None:  # adapters want AdamW, and another graph is another compiling
            plan["sft"] = {**plan["sft"], "muon": False, "other_rate": ADAPTER_RATE, "compile": False}
        tokenizer = load_tokenizer(str(job.tokenizer))
        train_assistant(
            job,
            tokenizer,
            plan,
            load_model(job.stage("base")).to(runtime.device()),
            conversations,
            show,
            rank,
            nf4,
        )
    return stage_report(job, "sft", began)


__all__ = ["DEFAULT_CORPUS", "default_out", "pretrain", "run", "sft"]
