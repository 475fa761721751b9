"""Chapter 8 in a browser: what is missing is said with the command that makes it, the reader's own ratings teach a
reward model, and what a page makes of DPO's log-probabilities is what the library makes of them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from browser import TEXT, Visit, lab

from glaswerk.align.advantages import gae, kl_k1, token_rewards
from glaswerk.align.losses import dpo_loss
from glaswerk.align.pairs import load_pairs
from glaswerk.course import demo
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.opened import load
from glaswerk.run import Run
from glaswerk.tokenizer import train_bpe

PAGE = "en/chapters/08-assistant/"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with a base and an assistant, and no DPO yet."""
    tokenizer = train_bpe([TEXT], 500)
    model = Decoder(ModelConfig.modern(vocabulary_size=500, width=64, layers=2, heads=2, context=512))
    job = Run.create(tmp_path_factory.mktemp("assistant") / "talk", seed=0)
    for number, stage in enumerate(("base", "sft")):
        generator = torch.Generator().manual_seed(number)
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
        save_model(job.stage(stage), model, tokenizer)
        job.finish(stage, {"val_bits_per_byte": 2.0 + number})
    return job


def recordings(folder: Path) -> Path:
    """What two recipes would write, one seed of it, with numbers that are easy to tell apart."""
    for name, by, which, along in (
        ("tradeoff", "method", ("ppo", "dpo", "grpo"), "step"), ("hacking", "way", ("bad", "held", "better"), "round"),
    ):  # fmt: skip
        rows = [
            {by: each, "seed": 0, along: 8 * at, "plain": 0.1 * place + 0.01 * at, "reward": 0.5 + 0.01 * place,
             "kl": 2.0 * at + place, "plain_interval": 0.01, "reward_interval": 0.01, "kl_interval": 0.5,
             "replies": [[f"X{n}", f"{each} {at} {n}"] if name == "hacking" else f"{each} {at} {n}" for n in range(3)]}
            for place, each in enumerate(which) for at in range(3)
        ]  # fmt: skip
        summary = [{**row, "seeds": 1} for row in rows]
        (folder / f"{name}.json").write_text(json.dumps({"rows": rows, "summary": summary}), "utf-8")
    return folder


@pytest.fixture(scope="module")
def page(chromium: Any, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    demo.demos("08-assistant")
    recorded = sys.modules["glaswerk_chapter_assistant_recorded"]
    with (
        pytest.MonkeyPatch.context() as patch,
        lab(run.path, run.path.parent) as root,
    ):
        patch.setattr(recorded, "HERE", recordings(tmp_path_factory.mktemp("recordings")))
        with Visit(chromium, root + PAGE) as visit:
            assert not visit.settle()
            visit.page.wait_for_function("() => !document.querySelector('.later progress')", timeout=60_000)
            yield visit.page
            assert not visit.said


def number(page: Any, figure: str, name: str) -> float:
    """What a figure shows under a name."""
    text = page.locator(f"glaswerk-{figure} [data-name={name}]").first.inner_text()
    return float(re.sub(r"[^\d.−-].*", "", text).replace("−", "-"))


def test_a_stage_that_is_not_there_comes_with_its_command(page: Any) -> None:
    assert page.locator("glaswerk-parting .stage-texts dt").count() == 2
    missing = page.locator("glaswerk-parting [data-name=missing]").inner_text()
    assert "dpo" in missing and "glaswerk align talk --method dpo" in missing
    assert "dpo" in page.locator("glaswerk-forgetting [data-name=missing]").inner_text()
    assert number(page, "forgetting", "sft") == 3.0


def test_ways_that_were_not_gone_come_with_their_command(page: Any) -> None:
    figure = page.locator("glaswerk-ways")
    assert figure.locator("[data-stage]").count() == 1 and number(page, "ways", "kl-sft") == 0
    said = figure.locator("[data-name=missing]").inner_text()
    assert "dpo, ppo, grpo" in said and "glaswerk align talk --method dpo" in said


def test_the_page_reckons_as_the_library(page: Any, run: Run) -> None:
    told = json.loads(demo.call("08-assistant", "steps", {}, load(run.path)))
    at = 9
    slider = page.locator("glaswerk-dpo-steps input[data-key=step]")
    slider.fill(str(at))
    for place, beta in enumerate((0.01, 0.03, 0.1, 0.3, 1.0)):
        page.locator("glaswerk-dpo-steps input[data-key=beta]").fill(str(place))
        good, bad = (
            sum(told[side]["log_probs"][at]) - sum(told[side]["log_probs"][0]) for side in ("chosen", "rejected")
        )
        assert number(page, "dpo-steps", "margin") == pytest.approx(beta * (good - bad), abs=2e-3)
        loss = float(dpo_loss(torch.tensor([good]), torch.tensor([bad]), beta))
        assert number(page, "dpo-steps", "loss") == pytest.approx(loss, abs=2e-4)
    assert page.locator("glaswerk-dpo-steps .written > div").count() == 2


def test_the_numbers_under_a_token_are_the_librarys(page: Any, run: Run) -> None:
    model = load(run.path)
    parts = [json.loads(demo.call("08-assistant", "rollouts", {"part": part}, model)) for part in range(4)]
    looks = [look for part in parts for look in part["looks"]]
    figure = page.locator("glaswerk-ppo-rollout")
    place = len(looks) - 2  # the newest that was learned from is what the figure opens with
    figure.locator("select[data-key=question]").select_option(index=1)
    reply = next(each for each in looks[place]["replies"] if each["question"] == 1)
    count = len(reply["tokens"])
    numbers = {name: torch.tensor([reply[name]]) for name in ("old", "reference", "new", "values", "advantages")}
    mask_BN, reward_B = torch.ones(1, count, dtype=torch.bool), torch.tensor([reply["reward"]])
    kl_BN = kl_k1(numbers["old"], numbers["reference"])
    rewards_BN = token_rewards(kl_BN, reward_B, mask_BN, parts[0]["beta"])
    advantages_BN = gae(rewards_BN, numbers["values"], mask_BN, parts[0]["gamma"], parts[0]["lam"])
    surprises_BN = gae(rewards_BN, numbers["values"], mask_BN, parts[0]["gamma"], 0.0)
    ratio_BN = (numbers["new"] - numbers["old"]).exp()
    scrubber = figure.locator("input[data-key=token]")
    for at in (0, count // 2, count - 1):
        scrubber.fill(str(at))
        assert number(page, "ppo-rollout", "kl") == pytest.approx(float(kl_BN[0, at]), abs=1e-3)
        assert number(page, "ppo-rollout", "reward") == pytest.approx(float(rewards_BN[0, at]), abs=1e-3)
        assert number(page, "ppo-rollout", "surprise") == pytest.approx(float(surprises_BN[0, at]), abs=2e-3)
        assert number(page, "ppo-rollout", "advantage") == pytest.approx(float(advantages_BN[0, at]), abs=2e-3)
        assert number(page, "ppo-rollout", "ratio") == pytest.approx(float(ratio_BN[0, at]), abs=2e-3)
    # a token under the pointer is shown, and gone when the pointer leaves; a click holds it
    columns = figure.locator(".bands .column")
    assert columns.count() == count
    held = figure.locator("[data-name=kl]").inner_text()
    columns.nth(1).locator(".grip").hover()
    assert figure.locator(".bands .column.on").count() == 1 and scrubber.input_value() == "1"
    page.mouse.move(2, 2)
    page.wait_for_function("() => document.querySelector('glaswerk-ppo-rollout [data-key=token]').value !== '1'")
    assert figure.locator("[data-name=kl]").inner_text() == held
    columns.nth(1).locator(".grip").click()
    page.mouse.move(2, 2)
    assert scrubber.input_value() == "1" and "ppo-rollout.token=1" in page.url
    scrubber.press("ArrowRight")
    assert "ppo-rollout.token=2" in page.url
    figure.locator("button.reset").click()
    page.wait_for_function("() => !document.querySelector('.later progress')", timeout=60_000)


def test_what_recipes_measured_is_shown_point_by_point(page: Any) -> None:
    for figure, which in (("tradeoff", ("ppo", "dpo", "grpo")), ("hacking", ("bad", "held", "better"))):
        slider = page.locator(f"glaswerk-{figure} input[data-key=at]")
        for at in (0, 2, 1):
            slider.fill(str(at))
            for place, each in enumerate(which):
                assert number(page, figure, f"plain-{each}") == pytest.approx(0.1 * place + 0.01 * at)
                assert number(page, figure, f"kl-{each}") == pytest.approx(2.0 * at + place)
            said = page.locator(f"glaswerk-{figure} .written").all_inner_texts()
            assert all(f"{each} {at} 2" in " ".join(said) for each in which)
            assert f"{which[0]} {at + 1} 2" not in " ".join(said)


def test_ones_own_principle_is_applied(page: Any, run: Run) -> None:
    figure = page.locator("glaswerk-constitution")
    page.wait_for_function("() => !document.querySelector('glaswerk-constitution .later progress')", timeout=60_000)
    before = figure.locator("[data-name=critique]").inner_text()
    figure.locator(".principles textarea").nth(1).fill("Speak of glass only.")
    page.wait_for_function(
        "before => document.querySelector('glaswerk-constitution [data-name=critique]').innerText !== before &&"
        " !document.querySelector('glaswerk-constitution .later progress')", arg=before, timeout=60_000,
    )  # fmt: skip
    assert figure.locator(".principles input[type=radio]").nth(1).is_checked()
    mine = [each.input_value() for each in figure.locator(".principles textarea").all()]
    asked = {"judge": "self", "principles": mine, "principle": 1, "question": 0, "part": 3}
    told = json.loads(demo.call("08-assistant", "constitution", asked, load(run.path)))
    assert told["principles"][1] == "Speak of glass only." and len(told["principles"]) == len(mine)
    for name in ("answer", "critique", "revision"):
        assert " ".join(told[name].split()) in " ".join(figure.locator(f"[data-name={name}]").inner_text().split())
    for at in (0, 1):
        shown = figure.locator(f"[data-name=order-{at}]").inner_text()
        assert float(shown.rstrip(" %\u00a0\u202f")) == pytest.approx(100 * told["verdict"][at], abs=0.51)
    said, both = figure.locator("[data-name=verdict]").inner_text(), told["verdict"][2]
    assert ("Too near" in said) == (both is None)
    assert both is None or said.startswith("The revision" if both > 0.5 else "The answer")
    figure.locator("button.reset").click()


def test_ones_own_ratings_teach_a_reward_model(page: Any, run: Run, tmp_path: Path) -> None:
    figure = page.locator("glaswerk-ratings")
    for side in ("left", "right", "left"):
        assert figure.locator("[data-name=pairs]").count() == 0
        figure.locator(f"[data-name={side}]").click()
    figure.locator("[data-name=pairs]").wait_for(timeout=30_000)
    assert number(page, "ratings", "pairs") == 3 and "ratings.ratings=0l1r2l" in page.url
    # the file is what `glaswerk align --data` reads
    with page.expect_download() as download:
        figure.locator("[data-name=keep]").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    told = json.loads(demo.call("08-assistant", "pairs", {}, load(run.path)))["pairs"]
    for place, (pair, better) in enumerate(zip(load_pairs(file), (0, 1, 0), strict=True)):
        assert pair.messages == [{"role": "user", "content": told[place]["question"]}]
        assert [pair.chosen, pair.rejected] == [told[place]["replies"][better], told[place]["replies"][1 - better]]
    figure.locator("[data-name=cheat]").fill("Paris ist")
    figure.locator("[data-name=judged]").wait_for(timeout=30_000)
    told = json.loads(
        demo.call(
            "08-assistant",
            "judged",
            {"rater": "me", "ratings": ["0l", "1r", "2l"], "number": 3, "reply": "Paris ist"},
            load(run.path),
        )
    )
    said = figure.locator("[data-name=judged]").inner_text().replace("−", "-")
    assert float(re.search(r"-?\d+\.\d+", said)[0]) == pytest.approx(told["reward"], abs=0.02)
    figure.locator("button.reset").click()
    page.wait_for_function("() => !document.querySelector('glaswerk-ratings [data-name=pairs]')", timeout=30_000)


def test_a_place_where_stages_part_can_be_chosen(page: Any, run: Run) -> None:
    told = json.loads(demo.call("08-assistant", "stages", {}, load(run.path)))
    strip = page.locator("glaswerk-parting .look-strip button")
    assert strip.count() == len(told["path"])
    place = len(told["path"]) - 1
    strip.nth(place).click()
    shown = page.locator("glaswerk-parting [data-name=p-0-0]").inner_text()
    assert float(shown.rstrip(" %\u00a0\u202f")) == pytest.approx(100 * told["places"][place]["table"][0][0], rel=0.06)
