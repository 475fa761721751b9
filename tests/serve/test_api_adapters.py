"""LoRA adapters chosen by a request's ``model``: each answers as its merged model alone would, in one batch with the
others, shares no page with them, and is traced and embedded as itself; what is no adapter is one line.
"""

from __future__ import annotations

import copy
import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import torch
from api_server import SETTINGS, Running, learned, running, small_model, start, two_adapters
from test_api_tools import values

from glaswerk.cli.main import dispatch
from glaswerk.found import Origin, find_adapters
from glaswerk.generate import SamplingOptions, complete
from glaswerk.generate.engine import Engine
from glaswerk.model import adapter, lora
from glaswerk.model.native import many
from glaswerk.model.weights import save_model
from glaswerk.opened import OpenedModel, load
from glaswerk.run import Run
from glaswerk.serve.api.models import Models, with_adapters
from glaswerk.tokenizer import train_bpe

NAMES = ("small", "formal", "tuned/sft")
SAID = [{"role": "user", "content": "What is the answer?"}]
TEXT = "The cat sat on the mat because it was tired. " * 4


@pytest.fixture(scope="module")
def base() -> OpenedModel:
    return small_model()


@pytest.fixture(scope="module")
def files(base: OpenedModel, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return two_adapters(base, tmp_path_factory.mktemp("adapters"))


@pytest.fixture(scope="module")
def merged(base: OpenedModel) -> dict[str, OpenedModel]:
    """The oracle: each as a model of its own, without adapters."""
    alone = {"small": copy.deepcopy(base.model), "formal": learned(base, 1), "tuned/sft": learned(base, 2)}
    return {
        name: OpenedModel(lora.bake(model).eval(), base.tokenizer, Origin(Path(name)), base.speech)
        for name, model in alone.items()
    }


def together(base: OpenedModel, files: list[Path]) -> Models:
    """The base's own weights stay as they are: it gets the adapters in a copy."""
    own = OpenedModel(copy.deepcopy(base.model), base.tokenizer, base.origin, base.speech)
    return with_adapters(own, find_adapters(own.origin, files))


@pytest.fixture(scope="module")
def served(base: OpenedModel, files: list[Path]) -> Iterator[Running]:
    models = together(base, files)
    with running(models.base, SETTINGS, models) as found:
        yield found


def test_base_and_adapters_are_listed_and_any_other_name_is_none(served: Running) -> None:
    client = served.client()
    assert [(one.id, one.parent) for one in client.models.list().data] == [
        ("small", None), ("formal", "small"), ("tuned/sft", "small"),
    ]  # fmt: skip
    assert client.models.retrieve("tuned/sft").parent == "small"
    for ask in (
        lambda: client.chat.completions.create(model="sft", messages=SAID),
        lambda: client.completions.create(model="1", prompt="x"),  # the engine's own name of it
        lambda: client.embeddings.create(model="tuned", input="x"),
        lambda: client.models.retrieve("formal/"),
    ):
        with pytest.raises(openai.NotFoundError, match="this server has small, formal, tuned/sft"):
            ask()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_each_answers_as_its_merged_model(
    served: Running, merged: dict[str, OpenedModel], name: str, stream: bool
) -> None:
    opened, client = merged[name], served.client()
    ids = opened.chat_ids(SAID)
    expected = complete(opened.model, opened.tokenizer, ids, SamplingOptions(max_tokens=16), opened.end_ids)
    how: dict[str, Any] = {"model": name, "max_tokens": 16, "temperature": 0}
    if stream:
        chunks = list(client.chat.completions.create(messages=SAID, stream=True, **how))
        assert {chunk.model for chunk in chunks} == {name}
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == expected.text
        return
    answer = client.chat.completions.create(messages=SAID, logprobs=True, **how)
    assert answer.choices[0].message.content == expected.text and answer.model == name
    with torch.inference_mode():
        log_TV = opened.model(torch.tensor([[*ids, *expected.ids]]))[0].log_softmax(-1)
    for place, (number, told) in enumerate(zip(expected.ids, answer.choices[0].logprobs.content, strict=False)):
        assert told.logprob == pytest.approx(float(log_TV[len(ids) - 1 + place, number]), abs=1e-3)
    plain = client.completions.create(prompt=ids, **how)
    assert plain.choices[0].text == expected.text and plain.model == name
    others = {
        complete(other.model, other.tokenizer, ids, SamplingOptions(max_tokens=16), other.end_ids).text
        for other in merged.values()
    }
    assert len(others) == 3, "they say different things"


@pytest.mark.parametrize("quantized", [False, True])
def test_in_one_batch_each_gives_exactly_what_it_gives_alone(
    quantized: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit of every log-probability, with ``invariant``; and it was one batch."""
    base = small_model(width=64)
    files = two_adapters(base, tmp_path)
    save_model(tmp_path / "small", base.model, base.tokenizer)
    opened = load(tmp_path / "small", "int8" if quantized else "fp32")
    models = with_adapters(opened, find_adapters(opened.origin, files))

    def ask(served: Running, name: str, number: int) -> Any:
        answer = served.client().completions.create(
            model=name, prompt=f"{TEXT} {number}", max_tokens=12, temperature=0.7, seed=number, logprobs=5
        )
        return answer.choices[0].model_dump()

    asked = [(name, number) for number in range(4) for name in NAMES]
    settings = replace(SETTINGS, invariant=True, rows=len(asked))
    with running(opened, settings, models) as served:
        with torch.inference_mode():
            in_place = quantized and many.fast(torch.zeros(1))
        assert (served.service.worker.engine.passes is not None) == in_place
        alone = [ask(served, *one) for one in asked]
        served.until_quiet()
    assert len({one["text"] for one in alone}) == len(asked)

    company: list[set[str | None]] = []
    step, all_there = Engine.step, threading.Event()

    def watched(engine: Engine) -> Any:
        if not all_there.wait(0.02) and len(engine.queue) + len(engine.running) < len(asked):
            return []
        all_there.set()
        company.append({request.adapter for request in engine.running})
        return step(engine)

    monkeypatch.setattr(Engine, "step", watched)
    with running(opened, settings, models) as served, ThreadPoolExecutor(len(asked)) as pool:
        found = list(pool.map(lambda one: ask(served, *one), asked))
        served.until_quiet()
    assert found == alone
    assert {None, "1", "2"} in company


def test_a_quantized_base_knows_its_adapters_by_the_weights_on_disk(tmp_path: Path) -> None:
    """Its own numbers are rounded: without the file every adapter would be refused, or none could be."""
    base = small_model(width=64)
    files = two_adapters(base, tmp_path)
    save_model(tmp_path / "small", base.model, base.tokenizer)
    opened = load(tmp_path / "small", "int8")
    assert adapter.fingerprint(opened.model) != adapter.fingerprint(base.model)
    models = with_adapters(opened, find_adapters(opened.origin, files))
    assert list(models.named) == list(NAMES)
    with torch.inference_mode(), models.named["formal"].alone():
        found = opened.model(torch.tensor([[1, 2, 3]]))
    wide = learned(base, 1).eval()
    with torch.inference_mode():
        expected = wide(torch.tensor([[1, 2, 3]]))
        plain = base.model(torch.tensor([[1, 2, 3]]))
    assert (found - expected).square().mean().sqrt() < 0.1 * expected.std() < (plain - expected).square().mean().sqrt()


def test_a_page_is_never_shared_between_adapters(served: Running) -> None:
    """One key, one prompt: what one model computed is of no use to the other."""
    client = served.client()
    cached = {}
    for turn in range(2):
        for name in NAMES:
            answer = client.completions.create(model=name, prompt="Once more: " + TEXT, max_tokens=2)
            cached[name, turn] = answer.usage.prompt_tokens_details.cached_tokens
    assert [cached[name, 0] for name in NAMES] == [0, 0, 0]
    assert all(cached[name, 1] >= 16 for name in NAMES)


def test_a_trace_is_that_of_the_adapter(served: Running, merged: dict[str, OpenedModel]) -> None:
    wanted = ["blocks.1.residual", "blocks.0.attention.head_outputs", "lens", "candidates"]
    first = []
    for name in (*NAMES, "small"):
        answer = served.client().chat.completions.create(
            model=name, messages=SAID, max_tokens=3, temperature=0, extra_body={"glaswerk": {"trace": wanted}}
        )
        told = answer.choices[0].glaswerk["trace"]
        ids = [token["id"] for token in told["tokens"]]
        expected = merged[name].trace(ids)
        for step in told["steps"]:
            assert np.allclose(values(step), expected[step["name"]].numpy(), atol=1e-4)
        best = expected["probabilities"][0, told["start"] - 1]
        assert told["candidates"][0][0]["id"] == int(best.argmax()) == told["lens"][-1]["id"][0]
        assert told["candidates"][0][0]["probability"] == pytest.approx(float(best.max()), abs=1e-4)
        first.append(told["candidates"][0])
    assert first[0] == first[3] and first[0] != first[1] != first[2], "the base is the base again"


def test_an_embedding_is_that_of_the_adapter(served: Running, merged: dict[str, OpenedModel]) -> None:
    for name in NAMES:
        answer = served.client().embeddings.create(model=name, input="Paris ist die Hauptstadt.")
        opened = merged[name]
        with torch.inference_mode():
            mean = opened.model.hidden(torch.tensor([opened.prompt_ids("Paris ist die Hauptstadt.")]))[0].mean(0)
        assert np.allclose(answer.data[0].embedding, (mean / mean.norm()).numpy(), atol=1e-4)
        assert answer.model == name


def test_figures_and_the_log_tell_whose_tokens_they_were(
    base: OpenedModel, files: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    models = together(base, files)
    with running(models.base, SETTINGS, models) as served, served.http() as http, caplog.at_level("INFO"):
        prompt = served.client().completions.create(model="formal", prompt="A cat", max_tokens=3, n=2).usage
        served.client().embeddings.create(model="tuned/sft", input=[1, 2, 3, 4])
        served.until_quiet()
        lines = http.get("/metrics").text.splitlines()
    told = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[:1] != "#"}
    tokens = {name: value for name, value in told.items() if name.startswith("glaswerk_model_tokens_total")}
    assert tokens == {
        'glaswerk_model_tokens_total{model="formal",of="prompt"}': prompt.prompt_tokens,
        'glaswerk_model_tokens_total{model="formal",of="reply"}': prompt.completion_tokens,
        'glaswerk_model_tokens_total{model="tuned/sft",of="prompt"}': 4,
    }
    logged = [record.fields for record in caplog.records if record.name == "glaswerk.serve.access"]
    assert [one.get("model") for one in logged] == ["formal", "tuned/sft", None]


def test_an_adapter_is_spoken_to_as_its_own_files_say(base: OpenedModel, tmp_path: Path) -> None:
    """A stage brings its tokenizer's folder; another template there holds for it alone."""
    peft, stage = two_adapters(base, tmp_path)
    template = "{% for m in messages %}<|im_start|>{{ m.role }} says {{ m.content }}<|im_end|>{% endfor %}"
    (stage / "chat_template.jinja").write_text(template)
    models = together(base, [peft, stage])
    with running(models.base, SETTINGS, models) as served:
        used = {
            name: served.client().chat.completions.create(model=name, messages=SAID, max_tokens=1).usage.prompt_tokens
            for name in NAMES
        }
    assert used["small"] == used["formal"] == len(base.chat_ids(SAID)) != used["tuned/sft"]
    assert used["tuned/sft"] == 2 + len(base.tokenizer.encode("user says What is the answer?"))


# ---------------------------------------------------------------------------------------------- the command line
def test_the_verb_takes_them_after_the_model(base: OpenedModel, files: list[Path], tmp_path: Path) -> None:
    process, said = start(tmp_path, *map(str, files))
    try:
        assert said["model"] == "small" and said["adapters"] == ["formal", "tuned/sft"]
        client = openai.OpenAI(base_url=said["url"], api_key="a-key-of-the-tests", max_retries=0)
        answers = {
            name: client.completions.create(model=name, prompt=TEXT, max_tokens=8, temperature=0).choices[0].text
            for name in NAMES
        }
        assert len(set(answers.values())) == 3
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.fixture(scope="module")
def shelf(base: OpenedModel, files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What people may name by mistake."""
    folder = tmp_path_factory.mktemp("shelf")
    save_model(folder / "small", base.model, base.tokenizer)
    save_model(folder / "other", small_model(context=256, width=64).model, base.tokenizer)
    shutil.copytree(files[0].parent, folder, dirs_exist_ok=True)
    (folder / "empty").mkdir()
    shutil.copytree(files[0], folder / "damaged")
    with open(folder / "damaged" / adapter.WEIGHTS, "r+b") as file:
        file.truncate(5000)
    whole = Run.create(folder / "whole", seed=0)
    judge = Run.create(folder / "judge", seed=0)
    for job, name in ((whole, "base"), (judge, "reward")):
        save_model(job.stage(name), base.model, base.tokenizer)
        job.data["stages"][name] = {}
        job.save()
    shutil.copytree(files[0], judge.stage("reward") / "adapter")
    shutil.copytree(folder / "tuned", folder / "words")
    train_bpe(["Ganz andere Worte, und noch mehr davon. " * 40], 400).save(folder / "words" / "sft")
    return folder


@pytest.mark.parametrize(
    ("model", "adapters", "says"),
    [
        ("small", ["nowhere"], "there is no adapter"),
        ("small", ["empty"], "is no adapter (no adapter_config.json)"),
        ("small", ["whole/base"], "whole/base holds no adapter, all its weights are its own"),
        ("small", ["whole"], "whole/base holds no adapter"),
        ("small", ["small"], "small holds no adapter"),
        ("small", ["judge/reward"], "judge/reward judges replies and writes none"),
        ("small", ["formal", "tuned", "formal"], "two models would have the name formal"),
        ("small", ["tuned/sft/adapter", "tuned"], "two models would have the name tuned/sft"),
        ("other", ["formal"], "is an adapter for other weights, those of small"),
        ("tuned", ["formal"], "is an adapter for other weights, those of small"),
        ("small", ["words"], "words/sft has another vocabulary than small"),
        ("small", ["damaged"], "damaged"),
    ],
)
def test_what_is_no_adapter_of_the_model_is_one_line_before_the_server_starts(
    shelf: Path, model: str, adapters: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    places = [str(shelf / name) for name in (model, *adapters)]
    assert dispatch(["serve", *places, "--port", "0"]) == 1
    said = capsys.readouterr()
    assert says in said.err and len(said.err.splitlines()) == 1 and not said.out
