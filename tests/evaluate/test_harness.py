"""lm-evaluation-harness is the oracle: on the same items, through transformers and through us, it finds the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glaswerk.errors import GlaswerkError
from glaswerk.evaluate import open_task, score
from glaswerk.evaluate.harness import harness_model, harness_task
from glaswerk.evaluate.task import chosen
from glaswerk.opened import OpenedModel, load

lm_eval = pytest.importorskip("lm_eval", reason="lm-eval is not installed: run `make setup-bench`")

TASKS = [
    ("mmlu-en", "mmlu-dev", 0),
    ("mmlu-de", "mmlu-dev", 1),
    ("hellaswag", "hellaswag-100", 0),
    ("truthfulqa", "truthfulqa-100", 0),
]


@pytest.fixture(scope="module")
def offline() -> Any:
    """What it looks up on the net is not wanted here."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
            patch.setenv(name, "1")
        patch.setenv("TQDM_DISABLE", "1")
        yield


@pytest.fixture(scope="module")
def theirs(folders: dict[str, Path], offline: Any) -> Any:
    """Its own model class over transformers."""
    from lm_eval.models.huggingface import HFLM

    return HFLM(str(folders["modern"]), device="cpu", batch_size=8, dtype="float32")


def results(model: Any, task: Any, name: str) -> tuple[dict[str, Any], list[list[float]]]:
    """Its figures, and the log-likelihoods of each item's options."""
    from lm_eval.evaluator import evaluate

    found = evaluate(lm=model, task_dict={name: task}, bootstrap_iters=0, log_samples=True)
    assert found is not None
    samples = sorted(found["samples"][name], key=lambda sample: sample["doc_id"])
    nats = [[float(reply[0][0]) for reply in sample["resps"]] for sample in samples]
    return found["results"][name], nats


@pytest.mark.parametrize(("name", "data", "shots"), TASKS)
def test_the_same_accuracy(
    name: str, data: str, shots: int, opened: OpenedModel, theirs: Any, pulled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Items of real benchmarks; those too long for this small model's context are cut by both in the same way."""
    pulled(data)
    task, limit = open_task(name), 12
    found = score(opened, task, limit=limit, shots=shots)
    ours = {measure.metric: measure.value for measure in found.measures}
    for model in (theirs, harness_model(opened)):
        figures, nats = results(model, harness_task(task, list(chosen(task, limit)), shots), name)
        assert figures["acc,none"] == pytest.approx(ours["accuracy"], abs=1e-3)
        assert figures["acc_bytes,none"] == pytest.approx(ours["accuracy per byte"], abs=1e-3)
        for sample, row in zip(found.samples, nats, strict=True):
            assert sample.nats == pytest.approx(row, abs=2e-3)


def test_the_same_perplexity_of_a_whole_text(opened: OpenedModel, theirs: Any) -> None:
    from lm_eval.api.instance import Instance

    text = "The river runs through the old town. Wie heißt der Fluss? Er heißt nicht. " * 30
    request = [Instance("loglikelihood_rolling", {}, (text,), 0)]
    assert len(opened.tokenizer.encode(text)) > 2 * opened.model.config.context
    assert harness_model(opened).loglikelihood_rolling(request)[0] == pytest.approx(
        theirs.loglikelihood_rolling(request, disable_tqdm=True)[0], rel=1e-4
    )


def test_the_same_greedy_text(opened: OpenedModel, theirs: Any) -> None:
    from lm_eval.api.instance import Instance

    how = {"until": ["."], "max_gen_toks": 12, "do_sample": False}
    request = [Instance("generate_until", {}, ("The river runs through", how), 0)]
    assert harness_model(opened).generate_until(request) == theirs.generate_until(request, disable_tqdm=True)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "data", "shots"), TASKS)
def test_the_same_accuracy_of_a_real_model(name: str, data: str, shots: int, pulled: Any, tmp_path: Path) -> None:
    """SmolLM2 in fp32 on 24 items each."""
    from lm_eval.models.huggingface import HFLM

    from glaswerk.model.weights import save_model

    pulled(data)
    pulled("smollm2")
    real = load("smollm2", "fp32")
    save_model(tmp_path, real.model, real.tokenizer)
    theirs = HFLM(str(tmp_path), device="cpu", batch_size=8, dtype="float32")
    task = open_task(name)
    found = score(real, task, limit=24, shots=shots)
    ours = {measure.metric: measure.value for measure in found.measures}
    figures, nats = results(theirs, harness_task(task, list(chosen(task, 24)), shots), name)
    assert figures["acc,none"] == pytest.approx(ours["accuracy"], abs=1e-3)
    assert figures["acc_bytes,none"] == pytest.approx(ours["accuracy per byte"], abs=1e-3)
    for sample, row in zip(found.samples, nats, strict=True):
        assert sample.nats == pytest.approx(row, abs=2e-3)


def test_only_choices_can_be_asked(opened: OpenedModel) -> None:
    with pytest.raises(GlaswerkError, match="arithmetic has no options"):
        harness_task(open_task("arithmetic"), [0])
