"""32 clients at once over HTTP, streaming: total tokens per second and the time to the first token, against
llama.cpp's server (llama-cpp-python's, with the file as it is or as Q4_0, whichever writes more for four clients); and
a 10 M model of our own against transformers' own server.

Every client sends a prompt of about 400 tokens that all share and a few of its own, and reads 64 tokens, greedy. Every
round has a beginning that no server has met. The clients are the same code for both sides; tokens are counted by
encoding what came. With the same weights (the file as it is) it is told for how many tokens both say the same: not all
64, as both round activations, each in its own way, and the model often finds two tokens nearly as good.

In the second comparison transformers serves with continuous batching, in fp32 or bf16, whichever writes more for four
clients. Beside it stands what no server of it can beat: ``generate`` on all 32 prompts in one batch, in its better
dtype and without any HTTP. Ours runs as ``own_model_decode`` runs it, at 8 bits; both servers' tokens are counted by
their own ``usage``, as random weights write no text.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import torch

from benchmarks import smollm2
from benchmarks.bpe_train import real_texts
from benchmarks.measure import ROOT, interleaved, machine, medians_of, peer, say, spread
from benchmarks.own_model_decode import made
from glaswerk.errors import GlaswerkError
from glaswerk.model.weights import save_model
from glaswerk.tokenizer import Tokenizer, train_bpe

CLIENTS, PREFIX, TOKENS, ROUNDS, THREADS = 32, 400, 64, 3, 2
KEY = "a-key-for-the-benchmark"
#: seconds that a server may take to answer for the first time, and a reply in all
START, REPLY = 120, 600


@dataclass(frozen=True)
class Reply:
    """What a client got, and when its first text was there, in seconds."""

    text: str
    first: float
    #: as the server counts, where it does
    tokens: int


class Server:
    """One side: a process that answers the OpenAI API at ``url``."""

    def __init__(self, command: Sequence[str], port: int, model: str, ready: str = "/v1/models") -> None:
        self.url, self.model = f"http://127.0.0.1:{port}/v1", model
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  # open as long as the process is
        environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), "GLASWERK_API_KEYS": KEY}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=self.log, stderr=self.log)
        self.headers = {"Authorization": f"Bearer {KEY}"}
        until = time.monotonic() + START
        while True:
            if self.process.poll() is not None or time.monotonic() > until:
                self.log.seek(0)
                last = (self.log.read().strip() or "it said nothing").splitlines()[-1]
                self.close()
                raise GlaswerkError(f"{' '.join(command[:4])} does not answer: {last}")
            try:
                httpx.get(f"http://127.0.0.1:{port}{ready}", headers=self.headers, timeout=2).raise_for_status()
                return
            except httpx.HTTPError:
                time.sleep(0.3)

    def ask(self, prompts: Sequence[str]) -> tuple[list[Reply], float]:
        """All of them at once; the replies, and the seconds until the last was whole."""
        return asyncio.run(self._ask(prompts))

    async def _ask(self, prompts: Sequence[str]) -> tuple[list[Reply], float]:
        limits = httpx.Limits(max_connections=len(prompts))
        async with httpx.AsyncClient(timeout=REPLY, limits=limits, headers=self.headers) as client:
            began = time.perf_counter()
            replies = await asyncio.gather(*(self._one(client, prompt, began) for prompt in prompts))
            return list(replies), time.perf_counter() - began

    async def _one(self, client: httpx.AsyncClient, prompt: str, began: float) -> Reply:
        body = {"model": self.model, "prompt": prompt, "max_tokens": TOKENS, "temperature": 0, "stream": True}
        body["stream_options"] = {"include_usage": True}
        text, first, tokens = "", 0.0, 0
        async with client.stream("POST", f"{self.url}/completions", json=body) as answer:
            if answer.status_code != 200:
                raise GlaswerkError(f"{self.url}: {answer.status_code} {(await answer.aread())[:200]!r}")
            async for line in answer.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                event = json.loads(line.removeprefix("data: "))
                text += (event.get("choices") or [{}])[0].get("text") or ""
                tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
                first = first or (time.perf_counter() - began if text else 0.0)
        return Reply(text, first, tokens)

    def close(self) -> None:
        """Let it end."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Load:
    """Rounds of the same prompts for all sides: each side's round number ``n`` is that of the others."""

    def __init__(self, tokenizer: Tokenizer, text: str) -> None:
        self.tokenizer, self.text = tokenizer, text
        self.turns: dict[str, int] = {}
        self.firsts: dict[str, list[float]] = {}
        self.tried: dict[str, list[list[int]]] = {}

    def prompts(self, turn: int) -> list[str]:
        """One round's: a beginning that is new, what all share, and each client's own end."""
        return [f"Part {turn + 1}. {self.text}\n\n{client + 1}. This is" for client in range(CLIENTS)]

    def round(self, name: str, server: Server) -> float:
        """Tokens per second of all clients together."""
        turn = self.turns.get(name, 0)
        self.turns[name] = turn + 1
        replies, seconds = server.ask(self.prompts(turn))
        self.firsts.setdefault(name, []).extend(reply.first for reply in replies)
        return sum(len(self.tokenizer.encode(reply.text)) for reply in replies) / seconds

    def warm(self, name: str, server: Server) -> float:
        """A few replies, so that nothing is done for the first time when it is timed; their tokens per second."""
        replies, seconds = server.ask([f"{number + 1}. {self.text[:200]}" for number in range(4)])
        self.tried[name] = [self.tokenizer.encode(reply.text) for reply in replies]
        return sum(map(len, self.tried[name])) / seconds

    def late(self, name: str) -> float:
        """The 99th percentile of the time to the first token."""
        return float(torch.tensor(self.firsts[name]).quantile(0.99))

    def together(self, one: str, other: str) -> list[int]:
        """How many tokens of each of the four clients' replies are the same, until they part."""
        pairs = zip(self.tried[one], self.tried[other], strict=True)
        return [next((n for n, (a, b) in enumerate(zip(*two, strict=False)) if a != b), TOKENS) for two in pairs]


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def glaswerk(model: str, *more: str) -> Server:
    """Our server."""
    port = free_port()
    command = [sys.executable, "-m", "glaswerk", "serve", model, "--port", str(port), *more]
    return Server(command, port, Path(model).name)


def llama(file: Path) -> Server:
    """llama.cpp's, which else would break off a reply when the next client comes."""
    port = free_port()
    settings = {"model": file, "port": port, "n_ctx": 1024, "interrupt_requests": "false", "verbose": "false"}
    settings |= {"n_threads": THREADS, "n_threads_batch": THREADS}
    options = [str(word) for name, value in settings.items() for word in (f"--{name}", value)]
    return Server([sys.executable, "-m", "llama_cpp.server", *options], port, str(file))


def hugging(folder: str, dtype: str) -> Server:
    """transformers', with continuous batching."""
    port = free_port()
    command = [sys.executable, "-c", "from transformers.cli.transformers import main; main()", "serve", folder]
    command += ["--device", "cpu", "--dtype", dtype, "--continuous-batching", "--port", str(port)]
    command += ["--cb-max-memory-percent", "0.3"]  # else one takes most of the machine's memory for its cache
    # its list of models wants a cache of the hub, which may not be there
    return Server(command, port, folder, "/health")


def run() -> dict[str, Any]:
    """SmolLM2 against llama.cpp, then our own model against transformers."""
    peer("llama_cpp.server")
    torch.set_num_threads(THREADS)
    strangers, own = smollm(), own_model()
    return {**strangers, "own_model": own, "machine": machine()}


def smollm() -> dict[str, Any]:
    """The first comparison."""
    tokenizer = smollm2.opened("auto").tokenizer
    load = Load(tokenizer, tokenizer.decode(smollm2.windows()[0, 1:PREFIX].tolist()))
    servers = {"ours": glaswerk("smollm2")}
    try:
        for kind in ("Q4_1", "Q4_0"):
            servers[f"llama.cpp {kind}"] = llama(smollm2.converted(kind))
        tries = {name: load.warm(name, server) for name, server in servers.items()}
        say(f"four clients: {tries}")
        worse, best = sorted((name for name in servers if name != "ours"), key=lambda name: tries[name])
        servers.pop(worse).close()
        sides: dict[str, Callable[[], float]] = {
            name: partial(load.round, name, server) for name, server in servers.items()
        }
        figures = interleaved(sides, ROUNDS)
    finally:
        for server in servers.values():
            server.close()
    medians = medians_of(figures)
    return {
        "ours": medians["ours"],
        "peer": medians[best],
        "peer_name": f"{best}, llama-cpp-python's server",
        "unit": "tokens/s of 32 clients",
        "ratio": medians["ours"] / medians[best],
        "first_token_p99_seconds": {name: load.late(name) for name in servers},
        "first_token_p99_ratio": load.late("ours") / load.late(best),
        "same_tokens_before_parting": load.together("ours", "llama.cpp Q4_1"),
        "tries": tries,
        "spread": {name: spread(values) for name, values in figures.items()},
    }


def own_model() -> dict[str, Any]:
    """The second one."""
    transformers = peer("transformers")
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = train_bpe(real_texts(), 4096)
        save_model(Path(folder), made(tokenizer.vocabulary_size), tokenizer)
        settings = Path(folder) / "serve.toml"
        settings.write_text('dtype = "int8"\n', encoding="utf-8")
        networks = {
            name: transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
            for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
        }
        text = tokenizer.decode(tokenizer.encode(next(iter(real_texts()))[:10_000])[:PREFIX])
        load = Load(tokenizer, text)
        servers = {"ours": glaswerk(folder, "--config", str(settings))}
        try:
            tries = {}
            for dtype in ("float32", "bfloat16"):
                server = hugging(folder, dtype)
                tries[dtype] = load.warm(dtype, server)
                server.close()
            dtype = max(tries, key=lambda name: tries[name])
            best = f"transformers' server, {dtype}"
            servers[best] = hugging(folder, dtype)
            for name, server in servers.items():
                load.warm(name, server)
            rates = {f"generate, {name}": partial(batch, network, load) for name, network in networks.items()}
            ways = {name: rate() for name, rate in rates.items()}
            say(f"transformers, four clients: {tries}; in one batch: {ways}")
            batched = max(ways, key=lambda name: ways[name])
            asked = {name: partial(served, load, name, server) for name, server in servers.items()}
            figures = interleaved({**asked, batched: rates[batched]}, ROUNDS)
        finally:
            for server in servers.values():
                server.close()
    medians = medians_of(figures)
    return {
        "ours": medians["ours"],
        "peer": medians[best],
        "peer_name": best,
        "ratio": medians["ours"] / medians[best],
        "ratio_to_generate": medians["ours"] / medians[batched],
        "first_token_p99_seconds": {name: load.late(name) for name in ("ours", best)},
        "spread": {name: spread(values) for name, values in figures.items()},
    }


def served(load: Load, name: str, server: Server) -> float:
    """Tokens per second of all clients together, as the server's own ``usage`` counts them."""
    turn = load.turns.get(name, 0)
    load.turns[name] = turn + 1
    replies, seconds = server.ask(load.prompts(turn))
    load.firsts.setdefault(name, []).extend(reply.first for reply in replies)
    return sum(reply.tokens for reply in replies) / seconds


@torch.inference_mode()
def batch(network: Any, load: Load) -> float:
    """Tokens per second of ``generate`` with all prompts, cut to one length so that nothing is padded."""
    prompts = [load.tokenizer.encode(prompt) for prompt in load.prompts(0)]
    ids = torch.tensor([prompt[-min(map(len, prompts)) :] for prompt in prompts])
    settings: dict[str, Any] = {"do_sample": False, "eos_token_id": None, "pad_token_id": 0, "max_new_tokens": TOKENS}
    began = time.perf_counter()
    made_ids = network.generate(ids, attention_mask=torch.ones_like(ids), **settings)
    seconds = time.perf_counter() - began
    assert made_ids.shape[1] == ids.shape[1] + TOKENS
    return ids.shape[0] * TOKENS / seconds
