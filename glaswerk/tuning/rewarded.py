"""``ppo`` and ``grpo``: a stage that learns from rewards, round by round: answer, be graded, learn.

Rewards come from a task's ``grade`` or from the run's reward model (``lessons.py``). A round changes the weights in
place; those of the last round that was well are kept in memory, so that a policy that goes astray (``divergence.py``)
leaves a stage behind that did not. Going on after an interruption continues with the last whole round. Left out: what a
round does (``align/rounds.py``).
"""

from __future__ import annotations

import copy
import json
import math
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from glaswerk.align.divergence import Guard
from glaswerk.align.grpo import GRPO
from glaswerk.align.ppo import PPO, ValuedPolicy
from glaswerk.align.rounds import Learner, Method, NothingToLearn, Round
from glaswerk.errors import GlaswerkError
from glaswerk.home import make_folder, replacing
from glaswerk.model import Decoder
from glaswerk.train import Checkpoints, TrainResult
from glaswerk.train.interrupt import Interrupt
from glaswerk.train.loop import Diverged
from glaswerk.train.resume import trained
from glaswerk.tuning.adapted import ADAPTER_RATE
from glaswerk.tuning.lessons import Lesson, lesson
from glaswerk.tuning.measured import finish_tuned, honest
from glaswerk.tuning.planned import Budget, forget
from glaswerk.tuning.work import Work

#: prompts in a round, replies to each, and replies in a step; and rounds that are useful, at most
PROMPTS, GROUP, BATCH, MOST_ROUNDS = 16, 16, 64, 400
#: rounds on a throw-away copy that show the speed; the first is not timed
TRIED = 3
#: rounds in a row without a difference in reward: after so many at the start there is nothing to learn, after so many
#: later it has been learned
IDLE = 5
#: what is left of the rate in the last round
LAST = 0.1
#: rounds of which rollouts are kept for looking, and how many prompts and replies of each
LOOKS, SHOWN, REPLIES = 10, 2, 4
ROLLOUTS_FILE = "rollouts.jsonl"
#: questions that a reward model is asked about
QUESTIONS = 2000


def ppo(work: Work) -> None:
    """Proximal policy optimisation (Schulman et al. 2017; Ouyang et al. 2022), with a value head that is not kept."""
    rewarded(work, PPO(group=GROUP, batch=BATCH, beta=work.beta))


def grpo(work: Work) -> None:
    """Group-relative policy optimisation (Shao et al. 2024)."""
    rewarded(work, GRPO(group=GROUP, batch=BATCH, beta=work.beta))


def rewarded(work: Work, method: Method) -> None:
    """The stage: what it is measured by before and after is the same, on items that it never learns from."""
    opened, job = work.opened, work.job
    given = lesson(job, opened, work.task, QUESTIONS, work.show)
    method = replace(method, max_tokens=given.max_tokens, rate=ADAPTER_RATE if work.rank else method.rate)
    dtype = torch.bfloat16 if work.machine.dtype == "bf16" else None
    opened.model.compute_dtype = dtype
    since = time.perf_counter()
    before, honesty = given.measured(opened, work.show), honest(job, opened, work.show)
    measuring = time.perf_counter() - since
    reference = copy.deepcopy(opened.model)
    opened.model = ValuedPolicy.of(opened.model) if isinstance(method, PPO) else opened.model
    policy = opened.model
    work.attach(policy)
    course = Course(work, method, given, reference, measuring)
    result = course.run(policy)
    policy.eval()
    after = given.measured(opened, work.show)
    more: dict[str, Any] = {"from": work.parent, "reward": given.source, "metric": given.metric}
    more |= {"measured_before": round(before.value, 4), "measured": round(after.value, 4)}
    more |= {"interval": [round(after.low, 4), round(after.high, 4)], **course.facts()}
    keep_rollouts(work)
    work.show.start(work.name)
    state = course.state
    if after.value <= before.value and not state.solved:
        work.show.note(
            f"{given.metric} is not higher than before ({before.value:.3f}, now {after.value:.3f}); {state.skipped} of "
            f"{state.round} rounds had no difference in reward: what is hardly ever rewarded is hardly learned"
        )
    finish_tuned(job, work.name, opened, work.baked(policy), result, honesty, more, work.show)


@dataclass
class State:
    """What going on needs beside weights, optimizer and random numbers."""

    round: int = 0
    seconds: float = 0.0
    tokens: int = 0
    idle: int = 0
    skipped: int = 0
    events: int = 0
    #: the reward of the first round, which the guard compares with
    first: float | None = None
    #: reward, KL and entropy of the last round that learned
    last: dict[str, float] = field(default_factory=dict)
    #: why it ended before its last round, and whether that is because there is nothing better to get
    ended: str = ""
    solved: bool = False


@dataclass
class Course:
    """All rounds of a stage."""

    work: Work
    method: Method
    lesson: Lesson
    reference: Decoder
    #: seconds that measuring took before, and will take again
    measuring: float
    state: State = field(default_factory=State)
    #: what a round without a difference in reward said last
    nothing: str = "no reward differed"

    def facts(self) -> dict[str, Any]:
        """What the stage says of its rounds."""
        state = self.state
        found: dict[str, Any] = {"rounds": state.round, "rounds_without_difference": state.skipped}
        found |= {f"last_{key}": round(value, 4) for key, value in state.last.items()}
        return found | ({"ended": state.ended} if state.ended else {})

    def learner(self, policy: Decoder) -> Learner:
        """A policy with a fresh optimizer and guard."""
        opened = self.work.opened
        return Learner(policy, self.reference, opened.tokenizer, self.method, end_ids=opened.end_ids, guard=Guard())

    def one(self, learner: Learner, number: int) -> Round:
        """Round ``number``, from 0; all it draws follows from the run's seed."""
        seed, rounds = self.work.job.data["seed"], max(1, self.rounds)
        places = self.lesson.chosen(number, PROMPTS, seed)
        prompts = [self.lesson.prompts[place] for place in places]
        draw = (seed * MOST_ROUNDS + number) * PROMPTS * self.method.group
        factor = 1 - (1 - LAST) * number / rounds
        return learner.round(prompts, lambda rollouts: self.lesson.reward(places, rollouts), draw, factor)

    @property
    def rounds(self) -> int:
        """As planned; 0 while that is not known."""
        return int(self.work.job.data["plan"][self.work.name].get("rounds", 0))

    def plan(self, policy: Decoder) -> None:
        """How many rounds: what was asked for, or what the budget has room for at the speed of a few on a copy."""
        work = self.work
        kept = work.job.data["plan"][work.name]
        if "rounds" in kept:
            return
        rounds = work.steps or self.affordable(policy)
        kept |= {"rounds": rounds, "method": asdict(self.method)}
        work.job.save()

    def affordable(self, policy: Decoder) -> int:
        """Rounds within what is left of the budget."""
        work, budget = self.work, Budget(self.work.began, 60 * self.work.minutes, None, MOST_ROUNDS)
        learner, seconds = self.learner(copy.deepcopy(policy)), []
        work.show.start("speed", TRIED, "rounds")
        for number in range(TRIED):
            since = time.perf_counter()
            try:
                self.one(learner, number)
            except NothingToLearn:
                continue
            finally:
                seconds.append(time.perf_counter() - since)
                work.show.advance(1)
        each = sum(seconds[1:]) / len(seconds[1:])
        rounds = int(min(MOST_ROUNDS, max(IDLE, (budget.left - self.measuring) / each)))
        why = "all that help" if rounds == MOST_ROUNDS else "what the minutes have room for"
        work.show.done(f"{rounds:,} rounds of {PROMPTS} x {self.method.group} replies at {each:.1f} s: {why}")
        return rounds

    # ------------------------------------------------------------------------------------------ the rounds
    def run(self, policy: Decoder) -> TrainResult:
        """All rounds; in place. Raises :class:`GlaswerkError` where nothing can be learned or no round was well."""
        work = self.work
        self.plan(policy)
        learner = self.learner(policy)
        checkpoints = Checkpoints(work.job.resume(work.name) / "rounds")
        self.take_up(learner, checkpoints)
        state = self.state
        learner.guard.first = state.first
        good = {name: value.detach().clone() for name, value in trained(policy).items()}
        every = max(1, self.rounds // LOOKS)
        work.show.start(work.name, self.rounds, "rounds")
        work.show.advance(state.round)
        with Interrupt() as interrupt:
            while state.round < self.rounds and not state.ended:
                since, before = time.perf_counter(), {n: v.detach().clone() for n, v in trained(policy).items()}
                try:
                    seen = self.one(learner, state.round)
                except NothingToLearn as nothing:
                    self.idle(nothing)
                except Diverged as astray:
                    self.astray(policy, good, astray)
                else:
                    state.idle = 0
                    if seen.kl <= learner.guard.most_kl / 2:
                        good = before
                    self.tell(seen, every)
                state.round, state.first = state.round + 1, learner.guard.first
                state.seconds += time.perf_counter() - since
                work.show.advance(1, **{key: f"{value:.3f}" for key, value in state.last.items()})
                if interrupt.asked or (state.round % every == 0 and state.round < self.rounds):
                    state.events = work.job.events_size()
                    checkpoints.save(state.round, trained(policy), learner.optimizer.state(), {"state": asdict(state)})
                if interrupt.asked:
                    raise KeyboardInterrupt
                self.watch_the_clock()
        if not state.last and not state.solved:
            forget(work.job, work.name)
            rounds = "a single round" if state.round == 1 else f"{state.round} rounds"
            raise GlaswerkError(f"{work.name} learned nothing in {rounds}: {self.nothing}")
        speed = state.tokens / state.seconds if state.seconds else 0.0
        said = f"; ended early: {state.ended}" if state.ended else ""
        work.show.done(f"{state.round:,} rounds, {state.tokens:,} tokens written and learned from{said}")
        return TrainResult(state.round, state.tokens, state.seconds, speed, state.last.get("loss", math.nan), False)

    def tell(self, seen: Round, every: int) -> None:
        """One event a round; some rollouts with all that was computed for each of their tokens."""
        work, state = self.work, self.state
        state.tokens += seen.tokens
        state.last = {name: getattr(seen, name) for name in ("reward", "kl", "entropy", "loss")}
        facts = {name: round(getattr(seen, name), 5) for name in ("reward", "kl", "entropy", "ended", "taught", "loss")}
        work.job.emit(kind="round", stage=work.name, step=state.round + 1, tokens=state.tokens, **facts)
        if state.round % every == 0 or state.round + 1 == self.rounds:
            file = work.job.resume(work.name) / ROLLOUTS_FILE
            make_folder(file.parent)
            with open(file, "a", encoding="utf-8") as log:
                for row in looked_at(seen, state.round + 1, work):
                    log.write(json.dumps(row, ensure_ascii=False) + "\n")

    def idle(self, nothing: NothingToLearn) -> None:
        """A round without a difference in reward: a task that is solved or too hard, or a reward that is the same for
        all."""
        state = self.state
        state.idle, state.skipped, self.nothing = state.idle + 1, state.skipped + 1, str(nothing)
        if self.lesson.best is not None and nothing.reward >= self.lesson.best:
            if state.idle >= IDLE:
                state.ended = f"all replies of {IDLE} rounds got the best reward there is"
                state.solved = True
        elif state.idle >= (2 * IDLE if state.last else IDLE):
            state.ended = f"{state.idle} rounds in a row had no difference in reward"

    def astray(self, policy: Decoder, good: dict[str, Tensor], astray: Diverged) -> None:
        """Back to the last weights that were well; where none have learned yet there is no stage."""
        work = self.work
        if not self.state.last:
            forget(work.job, work.name)
            raise GlaswerkError(f"{work.name} went astray in its first round, nothing is kept: {astray}") from astray
        with torch.no_grad():
            for name, value in trained(policy).items():
                value.copy_(good[name])
        self.state.ended = f"went astray after round {self.state.round}: {astray}"
        work.show.note(f"{work.name}: {astray}; the weights of the last round that was well are kept")

    def watch_the_clock(self) -> None:
        """Replies that became longer make rounds slower than planned: the minutes count."""
        work = self.work
        if work.steps is None and self.state.round < self.rounds and not self.state.ended:
            past = time.perf_counter() - work.began
            if past + self.measuring > 60 * work.minutes:
                self.state.ended = "the minutes are over"

    def take_up(self, learner: Learner, checkpoints: Checkpoints) -> None:
        """Go on after the newest checkpoint, if there is one. Raises :class:`GlaswerkError` if it is no one of this."""
        work = self.work
        file, found = work.job.resume(work.name) / ROLLOUTS_FILE, checkpoints.latest()
        if found is None:
            work.job.cut_events(work.name)
            file.unlink(missing_ok=True)
            return
        facts, folder = found
        try:
            self.state = State(**facts["state"])
            weights, optimizer = checkpoints.load(folder)
            if weights.keys() != trained(learner.model).keys():
                raise KeyError("model")
            learner.model.load_state_dict(weights, strict=False)
            learner.optimizer.load(optimizer)
        except (KeyError, TypeError, ValueError, RuntimeError, OSError, SafetensorError) as error:
            raise GlaswerkError(f"{folder} is not a checkpoint of this model: delete {folder.parent}") from error
        work.job.cut_events(work.name, self.state.events)
        if file.is_file():
            lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
            with replacing(file) as part:
                part.write_text("".join(line for line in lines if before(line, self.state.round)), encoding="utf-8")
        work.show.note(f"{work.name}: going on after round {self.state.round:,} of {self.rounds:,}")


def before(line: str, round: int) -> bool:
    """Whether a whole line of rollouts is of a round up to this one."""
    try:
        return bool(json.loads(line)["round"] <= round)
    except ValueError:  # cut short by a crash
        return False


def looked_at(seen: Round, number: int, work: Work) -> list[dict[str, Any]]:
    """Some rollouts of a round as plain JSON, with everything that is known of each of their tokens; the log-
    probabilities of policy and reference, and what the method prepared (of PPO: KL, rewards, values, advantages)."""
    rollouts, decode = seen.rollouts, work.opened.tokenizer.decode
    rows = []
    for prompt in range(min(SHOWN, len(rollouts.replies) // rollouts.group)):
        for reply in range(min(REPLIES, rollouts.group)):
            row = prompt * rollouts.group + reply
            count = int(rollouts.mask_BN[row].sum())
            begin = int(rollouts.columns_BN[row, 0]) + 1
            kept: dict[str, Any] = {
                "round": number,
                "prompt": decode(rollouts.ids_BT[row, :begin].tolist()),
                "reply": rollouts.replies[row],
                "reward": round(float(seen.reward_B[row]), 4),
                "ended": rollouts.ended[row],
                "tokens": [decode([id]) for id in rollouts.targets_BN[row, :count].tolist()],
                "log_probs": rounded(rollouts.log_probs_BN[row, :count]),
                "reference": rounded(seen.reference_BN[row, :count]),
            }
            for name, part in seen.prepared.items():
                if name not in kept:
                    kept[name] = rounded(part[row, :count]) if part.ndim == 2 else round(float(part[row]), 4)
            rows.append(kept)
    return rows


def rounded(values: Tensor) -> list[float]:
    """Four digits are enough to look at."""
    return [round(value, 4) for value in values.tolist()]


def keep_rollouts(work: Work) -> None:
    """The rollouts stay with the stage."""
    kept = work.job.resume(work.name) / ROLLOUTS_FILE
    if kept.is_file():
        make_folder(work.job.stage(work.name))
        with replacing(work.job.stage(work.name) / ROLLOUTS_FILE) as part:
            part.write_bytes(kept.read_bytes())
