"""``glaswerk tokenizer``: what each subcommand prints and how it fails. (In this process: a start costs 0.3
s.)
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glaswerk.cli.main import dispatch
from glaswerk.errors import GlaswerkError
from glaswerk.tokenizer import load
from glaswerk.tokenizer.chip import chip
from tests.tokenizer.conftest import TEXTS


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    (tmp_path / "text.txt").write_text("".join(TEXTS) * 3, encoding="utf-8")
    words = ["tokenizer", "train", str(tmp_path / "text.txt"), "--vocabulary", "320", "--out", str(tmp_path / "t")]
    assert dispatch([*words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["vocabulary"] == 320 and said["merges"] == 320 - 256 - 3 and said["bytes_per_token"] > 1
    return tmp_path / "t"


def test_train_encode_decode(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "The fox <|im_end|> Größe 😀\n"
    assert dispatch(["tokenizer", "encode", text, "--tokenizer", str(folder), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ids"] == load(folder).encode(text) and len(said["tokens"]) == len(said["ids"])
    assert dispatch(["tokenizer", "decode", *map(str, said["ids"]), "--tokenizer", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == text
    assert dispatch(["tokenizer", "encode", text, "--tokenizer", str(folder), "--special", "--json"]) == 0
    assert 319 in json.loads(capsys.readouterr().out)["ids"]


def test_words_for_people(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["tokenizer", "encode", "a [b] c\n", "--tokenizer", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "·" in shown and "⏎" in shown and "[" in shown and "Next:" in shown.splitlines()[-1]
    assert dispatch(["tokenizer", "compare", "--tokenizer", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "EN tokens" in shown and "DE tokens" in shown


def test_known_ids_of_gpt2(pulled, capsys: pytest.CaptureFixture[str]) -> None:
    pulled("gpt2")
    assert dispatch(["tokenizer", "encode", "Hello", "--tokenizer", "gpt2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ids": [15496], "tokens": ["Hello"]}
    assert dispatch(["tokenizer", "compare", "10000", "--tokenizer", "gpt2", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["texts"][0]["tokenizers"]["gpt2"]
    assert said["count"] == len(said["ids"]) == 1 and said["bytes_per_token"] == 5


def test_the_tokenizer_of_a_gguf_file_and_of_a_pulled_model(pulled, capsys: pytest.CaptureFixture[str]) -> None:
    """SmolLM2 writes digits one by one, so no other vocabulary here gives these ids."""
    (file,) = pulled("smollm2").glob("*.gguf")
    said = []
    for name in (str(file), "smollm2"):
        assert dispatch(["tokenizer", "encode", "Hello 123", "--tokenizer", name, "--json"]) == 0
        said.append(json.loads(capsys.readouterr().out))
    assert said[0] == said[1]
    assert said[0]["tokens"] == ["Hello", " ", "1", "2", "3"]


def test_a_gguf_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + bytes(40))
    with pytest.raises(GlaswerkError, match=r"x\.gguf"):
        load(tmp_path / "x.gguf")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["encode", "x", "--tokenizer", "no/such"], "no tokenizer at"),
        (["decode", "999999999", "--tokenizer", "FOLDER"], "is no id"),
        (["decode", "-1", "--tokenizer", "FOLDER"], ""),
        (["train", "no-such-file.txt", "--out", "x"], "no-such-file.txt"),
        (["train", "EMPTY", "--out", "x"], ""),
        (["train", "TEXT", "--vocabulary", "7", "--out", "x"], "too small"),
        (["train", "TEXT", "--pattern", "gpt9", "--out", "x"], "gpt9"),
    ],
)
def test_bad_input_is_one_clear_line(
    words: list[str], hint: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    (folder.parent / "empty.txt").write_text("")
    places = {"FOLDER": str(folder), "TEXT": "text.txt", "EMPTY": "empty.txt"}
    assert dispatch(["tokenizer", *(places.get(word, word) for word in words)]) in (1, 2)
    shown = capsys.readouterr()
    assert hint in shown.err and "Traceback" not in shown.err
    assert not (folder.parent / "x").exists()


def test_tokens_for_the_eye() -> None:
    assert chip(b" a\n\t\r") == "·a⏎⇥␍"
    assert chip(b"\xe2\x82") == "e2 82" and chip("€".encode()) == "€"
    assert chip(b"\x00") == "<00>" and chip("\u202e".encode()) == "<202e>"
