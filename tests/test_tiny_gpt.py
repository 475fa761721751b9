"""The one-page GPT: the same logits as the library's decoder with the same weights, and it learns, alone."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from demos import tiny_gpt
from glaswerk.model import Decoder, ModelConfig

#: the page's names -> the library's
NAMES = (
    ("embedding.weight", "embedding"),
    ("position.weight", "position"),
    (".up.", ".mlp.up."),
    (".down.", ".mlp.down."),
)


def library_name(name: str) -> str:
    for ours, theirs in NAMES:
        name = name.replace(ours, theirs)
    return name


@pytest.fixture
def pair() -> tuple[tiny_gpt.GPT, Decoder]:
    """The page's model with weights far from their beginnings, and the library's with the very same."""
    torch.manual_seed(0)
    tiny = tiny_gpt.GPT(vocabulary=50, context=24, width=32, heads=4, layers=3)
    with torch.no_grad():
        for weight in tiny.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    decoder = Decoder(ModelConfig.classic(vocabulary_size=50, width=32, layers=3, heads=4, context=24)).eval()
    decoder.load_state_dict({library_name(name): value for name, value in tiny.state_dict().items()})
    return tiny, decoder


@pytest.mark.parametrize("length", [1, 7, 24])
def test_logits_equal_the_librarys(pair: tuple[tiny_gpt.GPT, Decoder], length: int) -> None:
    tiny, decoder = pair
    ids_BT = torch.randint(50, (3, length))
    with torch.no_grad():
        ours, theirs = tiny(ids_BT), decoder(ids_BT)
    assert ours.shape == (3, length, 50)
    assert ours.std() > 0.5, "logits near zero would agree with anything"
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_gradients_equal_the_librarys(pair: tuple[tiny_gpt.GPT, Decoder]) -> None:
    tiny, decoder = pair
    ids_BT = torch.randint(50, (3, 24))
    for model in pair:
        model(ids_BT).logsumexp(-1).sum().backward()
    theirs = dict(decoder.named_parameters())
    for name, weight in tiny.named_parameters():
        torch.testing.assert_close(weight.grad, theirs[library_name(name)].grad, rtol=1e-3, atol=1e-4)


def test_it_starts_at_blind_guessing_and_learns(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(tiny_gpt, "CONTEXT", 16)
    monkeypatch.setattr(tiny_gpt, "BATCH", 8)
    torch.manual_seed(0)
    ids = torch.arange(11).repeat(100)  # after n comes n + 1: a text that can be learned completely
    model = tiny_gpt.GPT(vocabulary=11, context=16, width=32, heads=2, layers=2)
    tiny_gpt.train(model, ids, ids, steps=300)
    losses = [float(line.split("loss")[1]) for line in capsys.readouterr().out.splitlines()]
    assert losses[0] == pytest.approx(math.log(11), abs=0.1)
    assert losses[-1] < 0.1
    assert tiny_gpt.sample(model, [4], 8) == [4, 5, 6, 7, 8, 9, 10, 0, 1]


def test_the_page_is_one_page() -> None:
    lines = Path(tiny_gpt.__file__).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150


def test_a_missing_or_small_file_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = tmp_path / "small.txt"
    small.write_text("too little", encoding="utf-8")
    for file, reason in ((tmp_path / "none.txt", "No such file"), (small, "20,000 characters")):
        monkeypatch.setattr("sys.argv", ["tiny_gpt.py", str(file)])
        with pytest.raises(SystemExit) as stopped:
            tiny_gpt.main()
        line = str(stopped.value)
        assert reason in line and "python demos/tiny_gpt.py book.txt" in line and "\n" not in line


def test_the_whole_page_is_the_same_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    book = tmp_path / "book.txt"
    book.write_text("".join(f"{n} green bottles on the wall.\n" for n in range(900)), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["tiny_gpt.py", str(book)])
    for name, value in (("STEPS", 20), ("BATCH", 2), ("LAYERS", 1), ("WIDTH", 32)):
        monkeypatch.setattr(tiny_gpt, name, value)
    told = []
    for _ in range(2):
        tiny_gpt.main()
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
    assert "step    20" in told[0] and "what it writes now:" in told[0]
