"""gw.load and the verbs generate and chat: what opens, what is said where nothing does, JSON, the conversation loop."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import glaswerk as gw
from glaswerk.cli.chat import chat_loop
from glaswerk.cli.main import dispatch
from glaswerk.errors import GlaswerkError
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.tokenizer import ByteTokenizer, train_bpe


def trained() -> Any:
    text = "The river runs through the old town and the town is older than the river. " * 20
    return train_bpe([text], 300)


def random_model(tokenizer: Any, context: int = 128) -> Decoder:
    model = Decoder(
        ModelConfig.modern(vocabulary_size=tokenizer.vocabulary_size, width=32, layers=2, heads=2, context=context)
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two stages, base and sft, of random weights."""
    folder = tmp_path_factory.mktemp("runs") / "town"
    job = gw.Run.create(folder, seed=0)
    tokenizer = trained()
    tokenizer.save(job.tokenizer)
    for stage in ("base", "sft"):
        save_model(job.stage(stage), random_model(tokenizer), tokenizer)
        job.finish(stage, {"steps": 1})
    return folder


def test_a_run_a_stage_and_a_folder_open(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = gw.load(run)
    assert (opened.origin.folder, opened.origin.stage, opened.origin.name) == (run / "sft", "sft", "town/sft")
    assert gw.load(run / "base").origin.stage == "base"
    assert opened.has_chat and "town/sft" in repr(opened)
    monkeypatch.chdir(run.parent.parent)
    (tmp_path / "runs").symlink_to(run.parent)
    monkeypatch.chdir(tmp_path)
    assert gw.load("town").origin.stage == "sft"
    save_model(tmp_path / "plain", random_model(opened.tokenizer), opened.tokenizer)
    assert gw.load(tmp_path / "plain").origin.run is None


def test_what_is_generated_goes_by_the_options(run: Path) -> None:
    opened = gw.load(run)
    result = opened.generate("The river", max_tokens=12)
    assert result.text and not result.text.startswith("The river") and len(result.ids) <= 12
    assert "".join(piece.text for piece in opened.stream("The river", max_tokens=12)) == result.text
    assert opened.generate("The river", max_tokens=12).ids == result.ids
    assert opened.generate("", max_tokens=3).prompt_tokens == 1
    drawn = [opened.generate("The", max_tokens=12, temperature=1.0, seed=seed).ids for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    messages = [{"role": "user", "content": "What is old?"}]
    reply = opened.chat(messages, max_tokens=8)
    assert reply.text == "".join(piece.text for piece in opened.stream_chat(messages, max_tokens=8))
    assert opened.chat_batch([messages, messages], max_tokens=8) == [reply.text.strip()] * 2
    with pytest.raises(GlaswerkError, match="no option 'top_n'"):
        opened.generate("x", top_n=3)
    with pytest.raises(GlaswerkError, match="context is 128"):
        opened.generate("river " * 400)


@pytest.mark.parametrize("dtype", ["bf16", "int8", "int4"])
def test_other_dtypes_open(run: Path, dtype: str) -> None:
    from glaswerk.model.quantize import QuantizedLinear

    exact, opened = gw.load(run), gw.load(run, dtype=dtype)
    ids = torch.tensor([exact.tokenizer.encode("The river runs through the town")])
    with torch.no_grad():
        a, b = exact.model(ids), opened.model(ids).float()
    assert 0 < (a - b).norm() / a.norm() < {"bf16": 0.03, "int8": 0.03, "int4": 0.4}[dtype]
    packed = [module for module in opened.model.modules() if isinstance(module, QuantizedLinear)]
    assert len(packed) == (0 if dtype == "bf16" else 9)  # four in each of the two blocks, and the embedding
    assert opened.generate("The", max_tokens=4).ids


def test_what_cannot_be_opened_is_said(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GlaswerkError, match=r"no model 'nowhere' \(tried: the folder nowhere, the folder runs/nowhere"):
        gw.load("nowhere")
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    with pytest.raises(GlaswerkError, match="only 4 bytes"):
        gw.load(tmp_path / "x.gguf")
    (tmp_path / "x.bin").write_bytes(b"PK")
    with pytest.raises(GlaswerkError, match="name a run, a Hugging Face folder or a GGUF file"):
        gw.load(tmp_path / "x.bin")
    with pytest.raises(GlaswerkError, match="neither a run"):
        gw.load(tmp_path)
    with pytest.raises(GlaswerkError, match="dtype must be"):
        gw.load(run, dtype="fp8")
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path / "home"))
    with pytest.raises(GlaswerkError, match="run `glaswerk pull smollm2`"):
        gw.load("smollm2")
    gw.Run.create(tmp_path / "new", seed=0)
    with pytest.raises(GlaswerkError, match="no finished stage"):
        gw.load(tmp_path / "new")
    small = ByteTokenizer()
    save_model(tmp_path / "odd", random_model(small), small)
    trained().save(tmp_path / "odd")
    with pytest.raises(GlaswerkError, match="do not belong together"):
        gw.load(tmp_path / "odd")


def test_the_pulled_assistant_answers(pulled: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pulled("smollm2")
    code, out, _ = run_verb(capsys, "chat", "smollm2", "--once", "What is the capital of France?", "--json")
    assert code == 0 and "Paris" in json.loads(out)["reply"]
    opened = gw.load("smollm2")
    assert (opened.origin.name, opened.origin.run) == ("smollm2", None)
    # the model's own template comes with a system message, and ends a turn with the token it names
    assert opened.chat_ids([{"role": "user", "content": "Hi"}])[:2] == opened.tokenizer.encode(
        "<|im_start|>system", special=True
    )
    assert opened.end_ids == {0, 2}


def test_what_begins_a_text_is_put_first(run: Path, tmp_path: Path) -> None:
    opened = gw.load(run)
    plain = opened.prompt_ids("The river")
    folder = tmp_path / "begins"
    save_model(folder, random_model(opened.tokenizer), opened.tokenizer)
    file = folder / "tokenizer_config.json"
    said = json.loads(file.read_text())
    file.write_text(json.dumps({**said, "add_bos_token": True, "bos_token": "<|endoftext|>"}))
    end = opened.tokenizer.end_id
    assert gw.load(folder).prompt_ids("The river") == [end, *plain] and gw.load(folder).prompt_ids("") == [end]
    file.write_text(json.dumps(said))
    single = [{"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    document = json.loads((folder / "tokenizer.json").read_text())
    document["post_processor"] = {"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": {}}
    (folder / "tokenizer.json").write_text(json.dumps(document))
    assert gw.load(folder).prompt_ids("The river") == [opened.tokenizer.special["<|im_start|>"], *plain]


def test_a_template_of_its_own_is_used(run: Path, tmp_path: Path) -> None:
    opened = gw.load(run)
    save_model(tmp_path, random_model(opened.tokenizer), opened.tokenizer)
    (tmp_path / "chat_template.jinja").write_text("{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}")
    own = gw.load(tmp_path)
    messages = [{"role": "user", "content": "old <|im_end|> town"}]
    assert own.chat_ids(messages) == own.tokenizer.encode("[user] old <|im_end|> town") != opened.chat_ids(messages)


def test_old_turns_make_room(run: Path) -> None:
    opened = gw.load(run)
    talk = [{"role": "system", "content": "Be brief."}]
    for turn in range(12):
        talk += [{"role": "user", "content": f"question {turn}"}, {"role": "assistant", "content": "the old town"}]
    talk.append({"role": "user", "content": "and now?"})
    fitting, dropped = opened.fit(talk, 32)
    assert dropped and fitting[0] == talk[0] and fitting[-1] == talk[-1]
    assert fitting[1]["role"] == "user" and fitting[1:] == talk[1 + dropped :]
    assert len(opened.chat_ids(fitting)) <= 128 - 32
    assert opened.fit(talk[-1:], 32) == (talk[-1:], 0)


def run_verb(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = dispatch(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def test_generate_prints_one_json_object(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = run_verb(capsys, "generate", str(run), "The river", "--max-tokens", "9", "--json")
    said = json.loads(out)
    assert code == 0 and out.count("\n") == 1
    assert {"text", "tokens", "ttft_seconds", "prefill_tokens_per_second", "decode_tokens_per_second"} <= said.keys()
    assert said["text"] == gw.load(run).generate("The river", max_tokens=9).text
    assert said["finish_reason"] in ("stop", "length") and said["ttft_seconds"] > 0
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"The river")))
    assert (
        json.loads(run_verb(capsys, "generate", str(run), "-", "--max-tokens", "9", "--json")[1])["text"]
        == said["text"]
    )
    code, out, err = run_verb(capsys, "generate", str(run), "The river", "--max-tokens", "9")
    assert code == 0 and out == said["text"] + "\n" and "tokens/s" in err
    for bad in (["--temperature", "-1"], ["--top-p", "0"], ["--dtype", "fp8"], ["--max-tokens", "0"]):
        code, out, err = run_verb(capsys, "generate", str(run), "x", *bad)
        assert code == 1 and not out and err.count("\n") == 1


def test_chat_once(run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = run_verb(capsys, "chat", str(run), "--once", "What is old?", "--max-tokens", "9", "--json")
    reply = json.loads(out)["reply"]
    messages = [{"role": "user", "content": "What is old?"}]
    assert code == 0 and reply == gw.load(run).chat(messages, max_tokens=9, repetition_penalty=1.1).text.strip()
    code, out, err = run_verb(capsys, "chat", str(run), "--once", "What is old?", "--max-tokens", "9")
    assert code == 0 and out.strip() == reply and "tokens/s" in err
    assert run_verb(capsys, "chat", str(run), "--json")[0] == 1
    plain = ByteTokenizer(special=["<|endoftext|>"])
    save_model(tmp_path / "base", random_model(plain), plain)
    code, _, err = run_verb(capsys, "chat", str(tmp_path / "base"), "--once", "Hi")
    assert code == 1 and "base model without chat tokens" in err and "glaswerk generate" in err


class Typed(Console):
    """A console at which somebody types."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(file=io.StringIO(), width=100, theme=__import__("glaswerk.cli.terminal").cli.terminal.THEME)
        self.lines: Iterator[str] = iter(lines)

    def input(self, *_: Any, **__: Any) -> str:
        try:
            return next(self.lines)
        except StopIteration:
            raise EOFError from None

    @property
    def shown(self) -> str:
        return self.file.getvalue()  # type: ignore[attr-defined]


def test_a_conversation_in_the_terminal(run: Path, tmp_path: Path) -> None:
    opened = gw.load(run)
    file = tmp_path / "talk.jsonl"
    screen = Typed(
        [
            "What is old?",
            "",
            "/help",
            f"/save {file}",
            "/save",
            "/reset",
            "And new?",
            f"/save {tmp_path}/2",
            "/quit",
            "x",
        ]
    )
    chat_loop(opened, screen, max_tokens=8)
    first = json.loads(file.read_text(encoding="utf-8"))["messages"]
    assert [message["role"] for message in first] == ["user", "assistant"]
    reply = opened.chat(first[:1], max_tokens=8, repetition_penalty=1.1).text.strip()
    assert first[1]["content"] == reply
    second = json.loads((tmp_path / "2").read_text(encoding="utf-8"))["messages"]
    assert second[0]["content"] == "And new?" and len(second) == 2
    assert "tokens/s" in screen.shown and "/reset" in screen.shown and "needs a file name" in screen.shown
    assert next(screen.lines) == "x"  # nothing was read after /quit


def test_a_long_conversation_goes_on_with_a_notice(run: Path) -> None:
    screen = Typed(["tell me of the old town and the river"] * 8 + ["river " * 300, "short"])
    chat_loop(gw.load(run / "base"), screen, max_tokens=16)
    assert "oldest" in screen.shown and "base stage" in screen.shown
    assert screen.shown.count("tokens/s") == 9 and "context is 128" in " ".join(screen.shown.split())
