"""Minutes of mixed load at about twice what the server can do: clients that vanish, that read slowly, that send rubbish
and that fill the queue, beside honest ones. Nothing leaks, nobody is stuck, honest clients are served.

``python tests/serve/test_api_soak.py SECONDS`` prints the figures.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from api_server import KEY, OTHER_KEY, start

HONEST, OTHERS = 3, {"vanish": 6, "slow": 4, "rubbish": 2, "greedy": 24}
HEAD = {"content-type": "application/json"}


class Soak:
    """One run against one server."""

    def __init__(self, url: str, pid: int) -> None:
        self.url, self.pid = url, pid
        self.counts: Counter[str] = Counter()
        self.loaded = False
        self.waits: dict[bool, list[float]] = {False: [], True: []}
        self.stop = False

    def client(self, key: str) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=50)
        return httpx.AsyncClient(
            base_url=self.url, headers={"authorization": f"Bearer {key}"}, timeout=120, limits=limits
        )

    async def honest(self, client: httpx.AsyncClient, number: int) -> None:
        """A short reply now and then; its time from asking to the end."""
        draw = random.Random(number)
        while not self.stop:
            body = {"model": "small", "prompt": f"{draw.random()} cats", "max_tokens": 24, "seed": number}
            began, loaded = time.monotonic(), self.loaded
            answer = await client.post("/completions", json=body)
            if loaded == self.loaded:
                self.waits[loaded].append(time.monotonic() - began)
            self.counts[f"honest {answer.status_code}"] += 1
            await asyncio.sleep(draw.uniform(0.05, 0.15))

    async def vanish(self, client: httpx.AsyncClient, draw: random.Random) -> None:
        body = {"model": "small", "prompt": "The cat", "max_tokens": 300, "stream": True, "n": 2}
        async with client.stream("POST", "/completions", json=body) as answer:
            async for _ in answer.aiter_lines():
                if draw.random() < 0.1:
                    break
        self.counts[f"vanish {answer.status_code}"] += 1

    async def slow(self, client: httpx.AsyncClient, draw: random.Random) -> None:
        body = {"model": "small", "prompt": "The cat", "max_tokens": 200, "stream": True, "logprobs": 5}
        async with client.stream("POST", "/completions", json=body) as answer:
            async for _ in answer.aiter_raw(512):
                await asyncio.sleep(0.2)
        self.counts[f"slow {answer.status_code}"] += 1

    async def rubbish(self, client: httpx.AsyncClient, draw: random.Random) -> None:
        kind = draw.randrange(4)
        body = (
            draw.randbytes(2000),
            b"[" * 100_000,
            b"x" * 3_000_000,
            json.dumps({"model": "small", "prompt": "a", "n": 10**9}).encode(),
        )[kind]
        answer = await client.post("/completions", content=body, headers=HEAD)
        self.counts[f"rubbish {answer.status_code}"] += 1
        await asyncio.sleep(0.1)

    async def greedy(self, client: httpx.AsyncClient, draw: random.Random) -> None:
        body = {"model": "small", "prompt": "The cat " * 20, "max_tokens": 200, "n": draw.choice([1, 4])}
        answer = await client.post("/completions", json=body)
        self.counts[f"greedy {answer.status_code}"] += 1
        if answer.status_code != 200:
            await asyncio.sleep(0.5)

    async def forever(self, kind: str, client: httpx.AsyncClient, number: int) -> None:
        """One client of a kind, again and again."""
        draw = random.Random(1000 + number)
        while not self.stop:
            try:
                await getattr(self, kind)(client, draw)
            except httpx.TransportError as error:
                self.counts[f"{kind} {type(error).__name__}"] += 1

    def memory(self) -> float:
        """MiB of the server's process that are in memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    async def run(self, seconds: float) -> dict[str, Any]:
        """A quarter with honest clients only, then everybody."""
        async with self.client(KEY) as honest, self.client(OTHER_KEY) as others:
            tasks = [asyncio.create_task(self.honest(honest, number)) for number in range(HONEST)]
            await asyncio.sleep(seconds / 4)
            self.loaded = True
            kinds = [kind for kind, count in OTHERS.items() for _ in range(count)]
            tasks += [asyncio.create_task(self.forever(kind, others, n)) for n, kind in enumerate(kinds)]
            await asyncio.sleep(seconds / 4)
            before = self.memory()
            await asyncio.sleep(seconds / 2)
            after = self.memory()
            self.stop = True
            await asyncio.gather(*tasks)
            for _ in range(100):
                text = (await honest.get(f"{self.url.removesuffix('/v1')}/metrics")).text
                left = [float(line.split()[1]) for line in text.splitlines()
                        if line.split()[0] in ("glaswerk_queue", "glaswerk_batch", "glaswerk_pages_used")]  # fmt: skip
                if not any(left):
                    break
                await asyncio.sleep(0.1)
        quiet, loaded = (np.array(self.waits[which]) for which in (False, True))
        return {
            "requests": dict(sorted(self.counts.items())),
            "memory_MiB": [round(before, 1), round(after, 1)],
            "left": left,
            **{
                f"{name}_{which}_s": round(float(np.percentile(times, share)), 3)
                for which, times in (("quiet", quiet), ("loaded", loaded))
                for name, share in (("p50", 50), ("p99", 99))
            },
        }


def soak(folder: Path, seconds: float) -> dict[str, Any]:
    """A server of its own, soaked."""
    config = folder / "serve.toml"
    config.write_text(f'keys = ["{OTHER_KEY}"]\nrows = 8\nqueue = 24\n')
    process, said = start(folder, "--config", str(config), log=subprocess.DEVNULL)
    try:
        return asyncio.run(Soak(said["url"], process.pid).run(seconds))
    finally:
        process.terminate()
        assert process.wait(60) == 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_ten_minutes_at_twice_what_it_can_do(tmp_path: Path) -> None:
    told = soak(tmp_path, 600)
    print(json.dumps(told))
    before, after = told["memory_MiB"]
    assert after < before * 1.03 + 10, "memory grows"
    assert not any(told["left"]), "somebody is stuck"
    assert all(name == "honest 200" for name in told["requests"] if name.startswith("honest"))
    assert not any(name.endswith(" 500") for name in told["requests"])


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(soak(Path(folder), float(sys.argv[1])), indent=1))
