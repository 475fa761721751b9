"""The model in the browser (``glaswerk/web/forward``) computes what Python computes: every value of a trace to 1e-4 of
its tensor's largest, for every feature of the decoder; every text the same ids. The comparison itself is
``parity.test.js``, run by node on what is written here."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from glaswerk.errors import GlaswerkError
from glaswerk.found import Origin
from glaswerk.generate.sampling import SamplingOptions, candidates
from glaswerk.lens.trace import Step, Trace
from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.opened import OpenedModel, load
from glaswerk.serve import data, site, site_model
from glaswerk.serve.holder import Holder
from glaswerk.tokenizer import train_bpe
from glaswerk.tokenizer.interface import valid_unicode

HERE = Path(__file__).resolve().parent
TEXT = "Paris ist die Hauptstadt von Frankreich. The cat sat on the mat because it was tired. It's 1234 o'clock.\n" * 30
PROMPTS = ["The cat sat on Größe 12 🦜.", "P"]
V = 420
#: GPT-2, Llama 2 and 3, Qwen2, Qwen3 in small, and a mixture that no family has
SHAPES = {
    "qwen3": ModelConfig.modern(
        vocabulary_size=V, width=48, layers=2, heads=4, kv_heads=2, head_width=16, mlp_width=70, context=64, tied=False
    ),
    "gpt2": ModelConfig.classic(vocabulary_size=V, width=48, layers=2, heads=4, context=64),
    "llama3": ModelConfig.modern(
        vocabulary_size=V, width=48, layers=2, heads=6, kv_heads=2, head_width=8, context=512, qk_norm=False,
        rope_theta=500_000.0, rope_llama3=(8.0, 1.0, 4.0, 64),
    ),
    "qwen2": ModelConfig.modern(
        vocabulary_size=V, width=48, layers=2, heads=4, kv_heads=1, context=64, qk_norm=False, attention_bias=True
    ),
    "mixed": ModelConfig(
        vocabulary_size=V, width=30, layers=1, heads=3, kv_heads=3, head_width=10, mlp_width=33, context=64,
        norm="layer", activation="swiglu", qk_norm=True, output_bias=True, mlp_bias=True,
    ),
}  # fmt: skip
#: the same with matrices in 8 bits
INT8 = {"qwen3-int8": SHAPES["qwen3"], "gpt2-int8": SHAPES["gpt2"]}


def node() -> str:
    """node, new enough for `node --test`."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed: apt-get install nodejs")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.removeprefix("v").split(".")[0]) < 20:
        pytest.skip(f"node {version.strip()} is older than 20")
    return found


def opened(config: ModelConfig, tokenizer: Any, folder: Path) -> OpenedModel:
    model = Decoder(config).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.15)
    folder.mkdir(exist_ok=True)
    return OpenedModel(model, tokenizer, Origin(folder))


def texts() -> list[str]:
    """Everyday text, every kind of character, and nonsense."""
    draw = random.Random(3)
    kinds = [
        "aZ's 'LL",
        "  \n\t\r\n",
        "0123 ²½",
        "äß日語 русский मराठी",
        "\u00a0\u2003\u0085\u001c\ufeff\u180e",
        "🦜👩‍💻e\u0301ſK",
        "\x00\x1f\x7f",
    ]
    made = ["".join(draw.choice(draw.choice(kinds)) for _ in range(draw.randrange(60))) for _ in range(300)]
    every = ["".join(map(chr, range(start, start + 64))) for start in range(0, 0x3100, 64)]
    return ["", "Hello, I'll say it's 12345 o'CLOCK.", "half \ud83d of a pair", *made, *every]


def rows(holder: Holder) -> list[dict[str, Any]]:
    """Rows of weights of every kind, and questions that are refused."""
    parts = ["q", "k", "v", "output", "q_normed", "k_normed", "weights"]
    names = [f"blocks.0.{part}" for part in ("attention_norm", "mlp_norm", "mlp.pre", "mlp.up", "mlp.output")]
    names += [*(f"blocks.0.attention.{part}" for part in parts), "norm", "logits", "blocks.9.mlp.pre", "nothing"]
    told: list[dict[str, Any]] = []
    for name in names:
        for place in (0, 5, 10**6):
            args = {"step": name, "place": place}
            try:
                told.append({"args": args, "told": json.loads(data.answer(holder, "row", args))})
            except GlaswerkError as error:
                told.append({"args": args, "error": str(error)})
    return told


def cuts() -> dict[str, Any]:
    """An answer "next" of 4,000 logits spread as a real model's, and what the library draws from after some cuts,
    largest first. ``most``: by how many tokens the page may keep more or fewer."""
    logits_BV = torch.randn(1, 4000, generator=torch.Generator().manual_seed(9)) * 3
    tokens = SimpleNamespace(vocabulary_size=4000, token_bytes=lambda number: b"%d" % number)
    trace = Trace(Decoder(SHAPES["gpt2"]), tokens, "m", "p", [0], [Step("logits", "", lambda: logits_BV[None])], "")  # type: ignore[arg-type]
    holder = SimpleNamespace(trace=lambda _: trace, busy=nullcontext(), name="m")
    next_ = json.loads(data.next_token(holder, {"prompt": "p"}))  # type: ignore[arg-type]
    found = []
    for given in (
        {},
        {"temperature": 0.3},
        {"temperature": 2.0},
        {"top_k": 40},
        {"top_k": 700},
        {"top_p": 0.5},
        {"temperature": 1.7, "top_p": 0.95},
        {"min_p": 0.1},
        {"top_k": 90, "top_p": 0.9, "min_p": 0.02},
    ):
        options = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, **given}
        shares = candidates(logits_BV, SamplingOptions(**options)).softmax(-1)[0].sort(descending=True).values.tolist()
        found.append({"options": options, "shares": shares, "most": 3 if sum(map(bool, shares)) > 256 else 0})
    return {"next": next_, "cuts": found}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models and what Python computes with them, as files."""
    folder = tmp_path_factory.mktemp("parity")
    cases, encoded = [], []
    for number, (name, config) in enumerate((SHAPES | INT8).items()):
        tokenizer = train_bpe([TEXT], V, pattern=("gpt4", "gpt2", "gpt4o", "digits")[number % 4])
        with pytest.MonkeyPatch.context() as patch:
            if name in INT8:
                patch.setattr(site_model, "MOST_BYTES", 10)
            model = site_model.for_browser(opened(config, tokenizer, folder / name))
            site_model.write_model(model, folder / name)
        for place, prompt in enumerate(PROMPTS):
            told = model.trace(prompt).json() | {"steps": model.trace(prompt).json("*")["steps"]}
            told["precision"] = json.loads((folder / name / "about.json").read_text())["precision"]
            (folder / name / f"trace{place}.json").write_text(json.dumps(told))
        cases.append({"name": name, "prompts": PROMPTS})
        holder = site.open_holder(model)
        (folder / name / "rows.json").write_text(json.dumps(rows(holder)))
        stack = {"prompt": PROMPTS[0], "place": 3}
        told_stack = json.loads(data.answer(holder, "stack", stack))
        (folder / name / "stack.json").write_text(json.dumps({"args": stack, "told": told_stack}))
        if number < 3:
            ids = [(text, tokenizer.encode(text)) for text in texts()]
            encoded.append(
                {
                    "name": name,
                    "texts": [
                        {"text": text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), "ids": found,
                         "decoded": tokenizer.decode(found)}
                        for text, found in ids
                    ],
                }
            )  # fmt: skip
            assert all(tokenizer.decode(found) == valid_unicode(text) for text, found in ids)
        if number == 0:
            asked = {}
            for kind, args in (
                ("tokens", {"text": "Größe 🦜\u200d\n"}),
                ("next", {"prompt": "The cat"}),
                ("step", {"prompt": "The cat", "temperature": 0}),
            ):
                asked[kind] = {"args": args, "told": json.loads(data.answer(holder, kind, args))}
            (folder / name / "asked.json").write_text(json.dumps(asked))
            (folder / "cuts.json").write_text(json.dumps(cuts()))
    (folder / "cases.json").write_text(json.dumps(cases))
    (folder / "texts.json").write_text(json.dumps(encoded))
    return folder


def test_the_browser_computes_what_python_computes(written: Path) -> None:
    done = subprocess.run(
        [node(), "--test", str(HERE / "parity.test.js")],
        env={**os.environ, "GLASWERK_PARITY": str(written)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert f"# pass {4 * len(SHAPES | INT8) + 5}" in done.stdout.replace("ℹ", "#")


@pytest.mark.parametrize(("numbers", "bytes_each"), [("float32", 4), ("bfloat16", 2), ("int8", 1)])
def test_weights_are_as_exact_as_the_file_may_be_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numbers: str, bytes_each: int
) -> None:
    model = opened(SHAPES["qwen3"], train_bpe([TEXT], V), tmp_path / "model")
    total = model.model.parameters_count()["total"]
    monkeypatch.setattr(site_model, "MOST_BYTES", bytes_each * total)
    ours = site_model.for_browser(model)
    site_model.write_model(ours, tmp_path / "site")
    about = json.loads((tmp_path / "site" / "about.json").read_text())
    assert about["precision"]["loaded"] == numbers
    assert (tmp_path / "site" / "weights.safetensors").stat().st_size < 1.25 * bytes_each * total
    given, again = dict(model.model.named_parameters()), dict(site_model.for_browser(ours).model.named_parameters())
    for name, value in ours.model.named_parameters():
        assert torch.equal(value, again[name]), "rounding what is rounded changes nothing"
        error = (value - given[name]).abs()
        if numbers == "float32" or (numbers == "int8" and value.dim() == 1):
            assert not error.any()
        elif numbers == "bfloat16":
            assert (error <= given[name].abs() / 256).all()
        else:
            step = given[name].abs().amax(1, keepdim=True) / 127
            assert (error <= 0.501 * step).all()


def test_a_row_of_zeros_stays_zero_in_8_bits() -> None:
    weight = torch.tensor([[0.0, 0.0], [1.0, -2.0]])
    q, scale = site_model.in_8_bits(weight)
    assert q.tolist() == [[0, 0], [64, -127]]
    assert scale[0] == 0


def test_a_model_that_does_not_fit_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(tmp_path / "model", Decoder(SHAPES["gpt2"]), train_bpe([TEXT], V))
    model = load(str(tmp_path / "model"))
    monkeypatch.setattr(site_model, "MOST_PARAMETERS", 1000)
    with pytest.raises(GlaswerkError, match="parameters, a page runs up to 1,000"):
        site_model.for_browser(model)
