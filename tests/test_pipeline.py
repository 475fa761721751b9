"""The main job from the outside: one command from text to answers, gone on with after a kill, refused in one line."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from glaswerk import pull
from glaswerk.cli.main import dispatch
from glaswerk.run import Run

KEYS = {"run", "corpus", "tokenizer", "stages", "evaluation", "answers", "seconds"}
STAGE = {"name", "parameters", "tokens", "seconds", "tokens_per_second", "val_loss", "val_bits_per_byte"}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few hundred real articles as one JSONL file."""
    if not pull.is_pulled("wikipedia-en"):
        pytest.skip("the corpus wikipedia-en is not pulled: `glaswerk pull wikipedia-en`")
    from glaswerk.corpora import read

    file = tmp_path_factory.mktemp("texts") / "articles.jsonl"
    with open(file, "w", encoding="utf-8") as out:
        for number, document in enumerate(read(["wikipedia-en"])):
            if number == 400:
                break
            out.write(json.dumps({"title": document.title, "text": document.text}) + "\n")
    return file


@pytest.fixture(autouse=True)
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compiling takes longer than these runs; tests/train/test_ahead.py covers it."""
    monkeypatch.setenv("GLASWERK_COMPILE", "0")
    import torch

    before = torch.are_deterministic_algorithms_enabled()
    yield
    torch.use_deterministic_algorithms(before)


def call(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = dispatch([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_text_to_answers_and_opened_again(texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chats = tmp_path / "chats.jsonl"
    messages = [{"role": "user", "content": "What colour is our door?"}, {"role": "assistant", "content": "Green."}]
    chats.write_text(json.dumps({"messages": messages}) + "\n", encoding="utf-8")
    out = tmp_path / "run"
    arguments = ["run", texts, "--minutes", "0.6", "--out", out, "--chat", chats, "--ask", "What is art?", "--json"]
    code, printed, said = call(capsys, *arguments)
    assert code == 0, said
    report = json.loads(printed)
    assert set(report) == KEYS
    assert [stage["name"] for stage in report["stages"]] == ["base", "sft"]
    for stage in report["stages"]:
        assert set(stage) == STAGE and stage["parameters"] > 0 and stage["tokens"] > 0
        assert math.isfinite(stage["val_loss"]) and 0.5 < stage["val_bits_per_byte"] < math.inf
    # a model that learned nothing needs log2(vocabulary) bits for each token. How far below that a budget of seconds
    # gets depends on the machine's speed; that training learns is proven with a fixed number of steps below
    untrained = math.log2(report["tokenizer"]["vocabulary"]) / report["tokenizer"]["bytes_per_token"]
    assert report["stages"][0]["val_bits_per_byte"] < untrained
    assert report["corpus"]["documents"] == 400 and isinstance(report["corpus"]["dropped"], dict)
    assert report["tokenizer"]["vocabulary"] >= 512 and report["tokenizer"]["bytes_per_token"] > 1.5
    assert report["answers"][-1]["question"] == "What is art?" and report["answers"][-1]["answer"]
    assert all(
        step in said for step in ("read", "clean", "dedup", "split", "tokenizer", "base", "sft", "evaluate", "answers")
    )
    assert str(tmp_path) not in (out / "run.json").read_text(), "a run holds no absolute path"
    assert not (out / "resume").exists()

    weights = (out / "sft" / "model.safetensors").read_bytes()
    code, printed, _ = call(capsys, *arguments)
    assert code == 0
    again = json.loads(printed)
    assert again["stages"] == report["stages"] and again["answers"] == report["answers"]
    assert (out / "sft" / "model.safetensors").read_bytes() == weights, "a finished run is opened, not trained again"

    code, printed, _ = call(capsys, "chat", out, "--once", "What is art?", "--json")
    assert code == 0 and json.loads(printed)["reply"]
    code, _, said = call(capsys, "run", texts, "--out", out, "--shape", "classic")
    assert code == 1 and "is a run on shape modern" in said and said.count("\n") == 1


def test_a_stage_opens_in_transformers(texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    transformers = pytest.importorskip("transformers")
    import torch

    for shape in ("modern", "classic"):
        out = tmp_path / shape
        arguments = [
            "pretrain",
            texts,
            "--steps",
            "3",
            "--layers",
            "2",
            "--width",
            "64",
            "--shape",
            shape,
            "--out",
            out,
        ]
        code, _, said = call(capsys, *arguments)
        assert code == 0, said
        theirs = transformers.AutoModelForCausalLM.from_pretrained(out / "base").eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(out / "base")
        prompt = "Art is a diverse range"
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        with torch.no_grad():
            continued = theirs.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :]
        code, printed, _ = call(capsys, "generate", out, prompt, "--max-tokens", "12", "--json")
        assert code == 0
        assert json.loads(printed)["text"] == tokenizer.decode(continued, skip_special_tokens=True)


def test_killed_and_gone_on_with_ends_with_the_same_weights(
    texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [texts, "--steps", "130", "--seed", "4", "--layers", "1", "--width", "32", "--json"]
    code, printed, said = call(capsys, "pretrain", *options, "--out", tmp_path / "straight")
    assert code == 0, said
    expected = json.loads(printed)["sha256"]
    # 130 steps are the same on every machine: nearly a third of what an untrained model needs is learned
    assert json.loads(printed)["val_bits_per_byte"] < 3.2
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "glaswerk", "pretrain", *map(str, options), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            if list((out / "resume" / "base").glob("step-*")):  # the checkpoint after 100 steps
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    finally:
        process.wait()
    assert process.returncode == -signal.SIGKILL, "it finished before it could be killed"
    assert not Run(out).finished("base")
    code, printed, said = call(capsys, "pretrain", *options, "--out", out)
    assert code == 0 and "going on after step 100" in said
    assert json.loads(printed)["sha256"] == expected
    steps = [event["step"] for event in Run(out).events() if event["kind"] == "step"]
    assert steps == sorted(set(steps)) and steps[-1] == 130

    code, printed, said = call(capsys, "sft", out, "--steps", "3", "--json")
    assert code == 0 and json.loads(printed)["stage"] == "sft", said
    code, _, said = call(capsys, "sft", out, "--steps", "3")
    assert code == 1 and "has an assistant already" in said


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run", "{texts}", "--minutes", "0"], "--minutes 0 is no budget"),
        (["run", "{texts}", "--minutes", "nan"], "is no budget"),
        (["run", "{texts}", "--shape", "round"], "there is no shape 'round'"),
        (["run", "{empty}"], "holds no files"),
        (["run", "{small}"], "at least 20 kB are needed"),
        (["run", "{binary}"], "binary"),
        (["run", "{missing}"], "there is no file, folder or corpus"),
        (["run", "wikipedia-eng"], "did you mean the corpus 'wikipedia-en'"),
        (["run", "{texts}", "--chat", "{binary}"], "cannot read the chat file"),
        (["run", "{texts}", "--chat", "{small}"], "not valid JSON"),
        (["run", "{texts}", "--out", "{occupied}"], "holds other files and is not a run"),
        (["run", "{texts}", "--out", "{file}/run"], "a file of that name is in the way"),
        (["run", "{texts}", "--minutes", "0.1"], "--minutes 0.1 is too little"),
        (["run", "{texts}", "--seed", "-1"], "--seed -1 is out of range"),
        (["pretrain", "{texts}", "--steps", "0"], "--steps 0 trains nothing"),
        (["pretrain", "{texts}", "--steps", "1", "--width", "16"], "a width in multiples of 32"),
        (["pretrain", "{texts}", "--layers", "2"], "--layers and --width need --steps"),
        (["corpus", "{small}", "--export", "{small}"], "would overwrite the text itself"),
        (["sft", "{missing}"], "there is no model"),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: list[str], line: str, texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {name: tmp_path / name for name in ("empty", "small.txt", "binary.txt", "missing.txt", "occupied", "file")}
    places["empty"].mkdir()
    places["small.txt"].write_text("Too little to learn from.\n" * 9, encoding="utf-8")
    places["binary.txt"].write_bytes(bytes(range(256)) * 300)
    places["occupied"].mkdir()
    (places["occupied"] / "thesis.txt").write_text("mine", encoding="utf-8")
    places["file"].write_text("a file", encoding="utf-8")
    named = {name.removesuffix(".txt"): str(path) for name, path in places.items()} | {"texts": str(texts)}
    given = [argument.format(**named) for argument in arguments]
    if "--out" not in given and given[0] not in ("sft", "corpus"):
        given += ["--out", str(tmp_path / "out")]
    code, printed, said = call(capsys, *given)
    assert code == 1 and printed == ""
    errors = [row for row in said.splitlines() if row.startswith("glaswerk: ")]
    assert len(errors) == 1 and line in errors[0], said
    assert "Traceback" not in said
    assert (places["occupied"] / "thesis.txt").read_text(encoding="utf-8") == "mine"


def test_a_run_of_other_texts_is_refused(texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    options = ["--steps", "2", "--layers", "1", "--width", "32", "--out", out]
    assert call(capsys, "pretrain", texts, *options)[0] == 0
    other = tmp_path / "other.txt"
    other.write_text("Other words stand here, line after line.\n" * 900, encoding="utf-8")
    code, _, said = call(capsys, "pretrain", other, *options)
    assert code == 1 and "is a run on other texts" in said


TINY = ["--layers", "1", "--width", "32"]


def test_a_folder_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sentences without titles, a duplicate, a scrap; pretrained first, then finished by `run`."""
    texts = tmp_path / "texts"
    texts.mkdir()
    lines = [f"Sentence number {n} of this small collection says {n * n} things." for n in range(700)]
    rows = [json.dumps({"text": line}) for line in [*lines, lines[0], "Oh."]]
    (texts / "own.jsonl").write_text("\n".join(rows), encoding="utf-8")
    out = tmp_path / "run"
    code, printed, said = call(capsys, "pretrain", texts, "--steps", "2", *TINY, "--out", out, "--json")
    assert code == 0, said
    assert "NaN" not in (out / "run.json").read_text()
    code, printed, said = call(capsys, "run", texts, "--out", out, "--ask", "How? " * 900, "--json")
    assert code == 0, said
    report = json.loads(printed)
    assert [stage["name"] for stage in report["stages"]] == ["base", "sft"]
    dropped = report["corpus"]["dropped"]
    assert sum(dropped.values()) >= 1 and all(isinstance(count, int) for count in dropped.values())
    assert len(report["answers"]) >= 2, "a question longer than the context is cut, not a failure"


def test_refused_texts_leave_nothing_that_refuses_them_later(
    texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes, out = tmp_path / "notes", tmp_path / "run"
    notes.mkdir()
    (notes / "a.txt").write_text("Too little as yet.\n" * 20, encoding="utf-8")
    assert call(capsys, "run", notes, "--out", out)[0] == 1
    assert not out.exists()
    (notes / "b.jsonl").write_bytes(texts.read_bytes())
    code, _, said = call(capsys, "pretrain", notes, "--steps", "1", *TINY, "--out", out)
    assert code == 0, said
    code, _, said = call(capsys, "pretrain", notes, "--steps", "1", "--width", "64", "--out", out)
    assert code == 1 and "has 1 layers of 32" in said


def test_other_chats_are_refused(texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, chats = tmp_path / "run", tmp_path / "chats.jsonl"
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    chats.write_text(json.dumps(messages), encoding="utf-8")
    assert call(capsys, "pretrain", texts, "--steps", "1", *TINY, "--out", out)[0] == 0
    job = Run(out)
    job.data["chats"] = "of another command"
    job.save()
    job.resume("sft").mkdir(parents=True)  # begun, and not finished
    code, _, said = call(capsys, "sft", out, "--chat", chats, "--steps", "1")
    assert code == 1 and "learns from other --chat files" in said
