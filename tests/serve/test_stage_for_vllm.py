"""A stage folder served by vLLM as it is: its config, tokenizer and ends are read the way vLLM reads them. With vLLM
installed (or its wheel unpacked on the path) its own parser and its list of models are asked, too.
"""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest
import torch
import transformers
from api_server import TEXT

from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.tokenizer import train_bpe


@pytest.fixture(params=["modern", "classic"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder as every stage of a run is one."""
    tokenizer = train_bpe([TEXT], 500)
    make = ModelConfig.modern if request.param == "modern" else ModelConfig.classic
    model = Decoder(make(vocabulary_size=tokenizer.vocabulary_size, width=48, layers=2, heads=4, context=64))
    model.reset_parameters(torch.Generator().manual_seed(1))
    save_model(tmp_path / "sft", model, tokenizer)
    return tmp_path / "sft"


def test_what_vllm_asks_transformers_for_is_there(stage: Path) -> None:
    config = transformers.AutoConfig.from_pretrained(stage, trust_remote_code=False)
    assert config.architectures[0] in ("Qwen3ForCausalLM", "GPT2LMHeadModel")
    tokenizer = transformers.AutoTokenizer.from_pretrained(stage)
    said = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], add_generation_prompt=True, tokenize=False
    )
    assert said == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    ends = transformers.GenerationConfig.from_pretrained(stage).eos_token_id
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") in (ends if isinstance(ends, list) else [ends])


def test_vllm_itself_reads_the_config_and_knows_the_model(stage: Path) -> None:
    found = importlib.util.find_spec("vllm")
    if found is None or found.origin is None:
        pytest.skip("vLLM is not installed: pip install vllm, where it has a build")
    reading = pytest.importorskip("vllm.transformers_utils.config")
    config = reading.get_config(str(stage), trust_remote_code=False)
    registry = Path(found.origin).parent / "model_executor" / "models" / "registry.py"
    names = {node.value for node in ast.walk(ast.parse(registry.read_text("utf-8"))) if isinstance(node, ast.Constant)}
    assert config.architectures[0] in names
    assert config.num_hidden_layers == 2 and config.num_attention_heads == 4
