"""glaswerk export: what llama.cpp and transformers make of a model that was trained here, and what is refused."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import glaswerk as gw
from glaswerk.cli.main import dispatch
from glaswerk.errors import GlaswerkError
from glaswerk.export import export
from glaswerk.formats.gguf import GGUFFile
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.tokenizer import SPECIAL, ByteTokenizer, CharacterTokenizer, Tokenizer, train_bpe
from glaswerk.tokenizer.speech import Speech

TEXT = (
    "The river runs through the old town, and in 1492 the town was older than the river.\n"
    "It's said that 12 bridges cross it; nobody's counted them. Größe, naïve, ÉCOLE!\n\n"
    "def cross(bridge):\n    return bridge + 1\n"
)
CHARACTERS = "abcdeHELLO  0123456789\n\t\r.,'!?äßé€日本語😀\u0301\u00a0\u2003²½"


def random_texts(count: int) -> list[str]:
    draw = random.Random(0)
    parts = [*CHARACTERS, "'s", "'LL", " the", "\r\n", "  \n ", "<|im_end|>", "town"]
    return [*SPECIAL, TEXT, *("".join(draw.choices(parts, k=draw.randint(0, 30))) for _ in range(count))]


def trained(tokenizer: Tokenizer, shape: str) -> Decoder:
    """A small model that has learnt a text nearly by heart, so that its likeliest tokens are clear."""
    make = ModelConfig.modern if shape == "modern" else ModelConfig.classic
    torch.manual_seed(0)
    model = Decoder(make(vocabulary_size=tokenizer.vocabulary_size, width=64, layers=2, heads=2, context=128))
    ids = torch.tensor([tokenizer.encode(TEXT * 3)[:128]])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(120):
        loss = F.cross_entropy(model(ids)[0, :-1], ids[0, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    return model.eval()


@pytest.fixture(scope="module", params=["modern-gpt4", "classic-gpt2"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with one stage, sft."""
    shape, pattern = request.param.split("-")
    folder = tmp_path_factory.mktemp("runs") / "town"
    job = gw.Run.create(folder, seed=0)
    tokenizer = train_bpe([TEXT * 5], 360, pattern=pattern)
    save_model(job.stage("sft"), trained(tokenizer, shape), tokenizer, card="# the town's own card\n")
    job.finish("sft", {"steps": 1})
    return folder


@pytest.mark.parametrize("dtype", ["f16", "q8_0", "q4_0"])
def test_llama_cpp_reads_it_with_equal_ids_and_text(run: Path, dtype: str, tmp_path: Path) -> None:
    llama_cpp = pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed (it needs a compiler)")
    path = export(run, "gguf", tmp_path, dtype)
    assert path.name == f"town-sft-{dtype.upper()}.gguf"
    theirs = llama_cpp.Llama(str(path), n_ctx=128, n_threads=1, verbose=False)
    ours = gw.load(path, "fp32")
    source = gw.load(run)
    for text in random_texts(300):
        ids = theirs.tokenize(text.encode(), add_bos=True, special=False)
        assert ids == ours.tokenizer.encode(text) == source.tokenizer.encode(text), text
    messages = [{"role": "user", "content": "What is old?"}]
    rendered = source.tokenizer.decode(source.chat_ids(messages))
    assert theirs.tokenize(rendered.encode(), add_bos=True, special=True) == source.chat_ids(messages)
    assert ours.chat_ids(messages) == source.chat_ids(messages)
    assert (
        theirs.metadata["tokenizer.chat_template"]
        == json.loads((run / "sft" / "tokenizer_config.json").read_text())["chat_template"]
    )
    said = theirs.create_completion("The river runs", max_tokens=24, temperature=0, repeat_penalty=1.0)
    assert said["choices"][0]["text"] == ours.generate("The river runs", max_tokens=24).text
    if dtype != "q4_0":  # at 4 bits a model this small is another one
        assert (
            ours.generate("The river runs", max_tokens=24).ids == source.generate("The river runs", max_tokens=24).ids
        )
    assert theirs.token_eos() == ours.tokenizer.special["<|im_end|>"] and ours.end_ids == source.end_ids


def test_what_we_read_back_is_what_we_wrote(run: Path, tmp_path: Path) -> None:
    source = gw.load(run)
    ids = torch.tensor([source.tokenizer.encode(TEXT)[:60]])
    with torch.no_grad():
        expected = source.model(ids)
        for dtype, most in (("f16", 2e-3), ("q8_0", 0.03), ("q4_0", 0.5)):
            opened = gw.load(export(run, "gguf", tmp_path, dtype))
            assert (opened.model(ids) - expected).norm() < most * expected.norm()
    assert opened.tokenizer.vocabulary_size == source.tokenizer.vocabulary_size
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "# town/sft" in card and "the town's own card" in card and "Q4_0" in card


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_transformers_reads_it_with_equal_ids_and_text(run: Path, dtype: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = export(run, "hf", tmp_path / "out", dtype)
    ours = gw.load(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for text in random_texts(100):
        assert tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True) == ours.tokenizer.encode(
            text
        )
    messages = [{"role": "user", "content": "What is old?"}]
    theirs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert tokenizer.encode(theirs, add_special_tokens=False) == ours.chat_ids(messages)
    ids = ours.prompt_ids("The river runs")
    said = model.generate(torch.tensor([ids]), max_new_tokens=24, do_sample=False)[0, len(ids) :].tolist()
    assert [number for number in said if number not in ours.end_ids] == ours.generate(
        "The river runs", max_tokens=24
    ).ids
    assert (folder / "README.md").is_file() and gw.load(folder).end_ids == gw.load(run).end_ids


def test_a_model_of_others_keeps_its_template_and_marks(pulled: Any, tmp_path: Path) -> None:
    pulled("smollm2")
    source = gw.load("smollm2")
    folder = export("smollm2", "hf", tmp_path / "smollm2", "bf16")
    opened = gw.load(folder)
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    assert opened.chat_ids(messages) == source.chat_ids(messages) and opened.end_ids == source.end_ids
    assert "Paris" in opened.chat(messages, max_tokens=12).text
    assert "Apache-2.0" in (folder / "README.md").read_text()
    again = GGUFFile(export(folder, "gguf", tmp_path / "gguf", "q8_0")).metadata
    before = GGUFFile(source.origin.folder).metadata
    for name in ("model", "pre", "eos_token_id", "add_bos_token"):
        assert again[f"tokenizer.ggml.{name}"] == before[f"tokenizer.ggml.{name}"]
    for name in ("tokens", "merges"):
        assert list(again[f"tokenizer.ggml.{name}"]) == list(before[f"tokenizer.ggml.{name}"])
    assert again["tokenizer.chat_template"] == before["tokenizer.chat_template"]


@pytest.mark.parametrize(
    ("to", "dtype", "what"),
    [("onnx", "auto", "hf, gguf, site or notebooks"), ("hf", "q8_0", "fp32, bf16"), ("gguf", "int4", "f16, q8_0")],
)
def test_what_there_is_not_is_said(run: Path, to: str, dtype: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(GlaswerkError, match=what):
        export(run, to, tmp_path / "out", dtype)
    assert not (tmp_path / "out").exists()


def folder_of(path: Path, tokenizer: Tokenizer, **sizes: Any) -> Path:
    shape = {"width": 64, "layers": 1, "heads": 2, "context": 32, **sizes}
    save_model(path, Decoder(ModelConfig.modern(vocabulary_size=tokenizer.vocabulary_size, **shape)), tokenizer)
    return path


def test_what_gguf_cannot_express_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    bpe = train_bpe([TEXT], 300)
    cases = {
        "only BPE on bytes": folder_of(tmp_path / "letters", CharacterTokenizer.train([TEXT], SPECIAL)),
        "no name for the way": folder_of(tmp_path / "cuts", train_bpe([TEXT], 300, pattern="gpt4o")),
        "blocks of 32": folder_of(tmp_path / "width", bpe, width=48),
        "QK-norm and biases": folder_of(tmp_path / "biased", bpe, attention_bias=True, output_bias=True),
    }
    for what, folder in cases.items():
        with pytest.raises(GlaswerkError, match=what) as refused:
            export(folder, "gguf", tmp_path / "out", "q8_0")
        assert "\n" not in str(refused.value)
    huge = gw.load(folder_of(tmp_path / "huge", bpe))
    with torch.no_grad():
        huge.model.blocks[0].mlp.down.weight[0, 0] = 1e6
    save_model(tmp_path / "huge", huge.model, bpe)
    with pytest.raises(GlaswerkError, match=r"'blk\.0\.ffn_down\.weight' holds numbers that F16 cannot"):
        export(tmp_path / "huge", "gguf", tmp_path / "out")
    with pytest.raises(GlaswerkError, match="is the model itself"):
        export(tmp_path / "letters", "hf", tmp_path / "letters")
    assert not list(tmp_path.glob("out/*"))
    export(tmp_path / "width", "gguf", tmp_path / "out", "f16")  # fp16 has no blocks


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    bpe = train_bpe([TEXT], 300)
    model, full = folder_of(tmp_path / "model", bpe), folder_of(tmp_path / "another", bpe, width=32)
    before = {file.name: file.read_bytes() for file in full.iterdir()}
    with pytest.raises(GlaswerkError, match=r"another is not empty, .*: choose another folder$"):
        export(model, "hf", full)
    assert {file.name: file.read_bytes() for file in full.iterdir()} == before
    (tmp_path / "empty").mkdir()
    for _ in range(2):  # an earlier export is replaced
        assert gw.load(export(model, "hf", tmp_path / "empty")).model.config.width == 64


def test_a_model_of_bytes_is_a_bpe_without_merges(tmp_path: Path) -> None:
    opened = gw.load(export(folder_of(tmp_path / "bytes", ByteTokenizer()), "gguf", tmp_path))
    assert opened.tokenizer.encode("aé\n") == [97, 195, 169, 10]


def test_the_verb(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["export", str(run), str(tmp_path), "--to", "gguf", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    path = Path(said["path"])
    assert path.name == "town-sft-F16.gguf" and said["bytes"] == path.stat().st_size and said["to"] == "gguf"
    assert dispatch(["export", str(run), str(tmp_path / "hf"), "--to", "hf"]) == 0
    assert "Next: glaswerk generate" in capsys.readouterr().out.replace("\n", " ")
    assert dispatch(["export", str(run), str(tmp_path), "--to", "onnx"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert dispatch(["export", str(run), str(tmp_path)]) == 2


def test_a_padded_vocabulary_is_filled_up(tmp_path: Path) -> None:
    bpe = train_bpe([TEXT], 300)
    config = ModelConfig.modern(vocabulary_size=bpe.vocabulary_size + 12, width=64, layers=1, heads=2, context=32)
    save_model(tmp_path / "m", Decoder(config), bpe)
    opened = gw.load(export(tmp_path / "m", "gguf", tmp_path))
    assert opened.tokenizer.vocabulary_size == bpe.vocabulary_size
    assert opened.model.config.vocabulary_size == config.vocabulary_size
    assert Speech.of_gguf(GGUFFile(opened.origin.folder).metadata).tokenizer.special == bpe.special
