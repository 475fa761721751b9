"""What the tests of the API share: a small model that can chat, a real server for it, the official client."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import torch

from glaswerk.found import Origin
from glaswerk.model import Decoder, ModelConfig, adapter, lora
from glaswerk.model.weights import save_model
from glaswerk.opened import OpenedModel
from glaswerk.run import ADAPTER, Run
from glaswerk.serve.api.models import Models
from glaswerk.serve.api.server import Server, make_server
from glaswerk.serve.api.settings import Settings
from glaswerk.serve.server import open_socket
from glaswerk.tokenizer import train_bpe
from glaswerk.tokenizer.speech import Speech

ROOT = Path(__file__).resolve().parents[2]
KEY, OTHER_KEY = "a-key-of-the-tests", "another-key-of-the-tests"
TEXT = (
    "Paris ist die Hauptstadt von Frankreich. The cat sat on the mat because it was tired. "
    '[{"name": "weather", "arguments": {"city": "Berlin"}}] {"answer": 42, "name": "yes"}\n' * 30
)
CONTEXT = 512


def small_model(context: int = CONTEXT, width: int = 48) -> OpenedModel:
    """Random weights, a tokenizer trained here (with the chat marks), nothing on the disk."""
    tokenizer = train_bpe([TEXT], 500)
    config = ModelConfig.modern(
        vocabulary_size=tokenizer.vocabulary_size, width=width, layers=2, heads=4, context=context, tied=False
    )
    model = Decoder(config)
    generator = torch.Generator().manual_seed(4)
    model.reset_parameters(generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.25)
    ends = frozenset(tokenizer.special[name] for name in ("<|endoftext|>", "<|im_end|>"))
    speech = Speech(tokenizer, None, None, ends)
    return OpenedModel(model.eval(), tokenizer, Origin(Path("small")), speech)


def learned(base: OpenedModel, seed: int) -> Decoder:
    """The base with an adapter that has something to say."""
    model = copy.deepcopy(base.model)
    lora.attach(model, lora.LoRAConfig(4, 8.0), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for pair in lora.pairs(model, "default"):
        pair.b.data.normal_(0.0, 0.3, generator=generator)
    return model


def two_adapters(base: OpenedModel, folder: Path) -> list[Path]:
    """Two adapters of the base, as they come: a folder in PEFT's format, and a stage of a run with the merged model."""
    adapter.save(folder / "formal", learned(base, 1), base="small")
    job = Run.create(folder / "tuned", seed=0)
    model = learned(base, 2)
    adapter.save(job.stage("sft") / ADAPTER, model, base="small")
    save_model(job.stage("sft"), lora.bake(model), base.tokenizer)
    job.data["stages"]["sft"] = {}
    job.save()
    return [folder / "formal", job.stage("sft")]


@dataclass
class Running:
    """A server that runs: its address, what is behind it, and clients for it."""

    url: str
    server: Server
    opened: OpenedModel
    thread: threading.Thread

    @property
    def service(self) -> Any:
        return self.server.service

    def client(self, key: str = KEY) -> openai.OpenAI:
        """The official client; it does not try again by itself, so that a test sees what was answered."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, timeout=60)

    def http(self, key: str | None = KEY) -> httpx.Client:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def quiet(self) -> bool:
        """Whether nobody is there any more, and nothing is held for anybody."""
        room, worker = self.service.room, self.service.worker
        engine = worker.engine
        return not (room.taken or worker.jobs or engine.busy) and engine.pages.available == engine.pages.count

    def until_quiet(self, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not self.quiet():
            assert time.monotonic() < deadline, "somebody is still there"
            time.sleep(0.02)


@contextmanager
def running(opened: OpenedModel, settings: Settings, models: Models | None = None) -> Iterator[Running]:
    """A real server in a thread, with adapters of ``opened`` where ``models`` are given."""
    socket = open_socket(0)
    there = threading.Event()
    server = make_server(models or Models(opened), settings, there.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    assert there.wait(60)
    try:
        yield Running(f"http://127.0.0.1:{socket.getsockname()[1]}", server, opened, thread)
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive(), "the server does not end"


SETTINGS = Settings(keys=(KEY, OTHER_KEY), rows=4, queue=64, memory=64, drain=10)


def start(
    tmp_path: Path, *arguments: str, log: int = subprocess.PIPE, **environment: str
) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """``glaswerk serve`` in a process of its own, as people start it; and what it says when it is ready."""
    folder = tmp_path / "small"
    if not folder.exists():
        opened = small_model()
        save_model(folder, opened.model, opened.tokenizer)
    process = subprocess.Popen(
        [sys.executable, "-m", "glaswerk", "serve", str(folder), "--port", "0", "--json", *arguments],
        cwd=ROOT, env={**os.environ, "GLASWERK_API_KEYS": KEY, **environment}, text=True,
        stdout=subprocess.PIPE, stderr=log,
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.stderr and process.stderr.read()
    return process, json.loads(line)
