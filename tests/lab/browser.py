"""A real browser on the lab and on an exported site: what tests and the recording of questions share."""

from __future__ import annotations

import json
import shutil
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from glaswerk.model import Decoder, ModelConfig
from glaswerk.model.weights import save_model
from glaswerk.serve import pages
from glaswerk.serve.app import create_app
from glaswerk.serve.holder import Holder
from glaswerk.serve.questions import Question
from glaswerk.serve.site import IN_BROWSER
from glaswerk.tokenizer import train_bpe

ROOT = Path(__file__).resolve().parents[2]
TEXT = (
    "Paris ist die Hauptstadt von Frankreich. The cat sat on the mat because it was tired. The trophy didn't fit in "
    "the suitcase. Alice told Bob that she would visit him tomorrow. The doctor said that the nurse was late.\n" * 30
)
#: every figure there is can be used
READY = "() => [...document.querySelectorAll('[data-figure]')].every(each => each.hasAttribute('data-ready'))"
#: the names of the figures that cannot, with what they say
WAITING = """() => [...document.querySelectorAll('[data-figure]:not([data-ready])')].map(each =>
    [each.dataset.figure, each.querySelector('[role=alert]')?.innerText ?? ''])"""
#: lets Python see whether anything is still asked
COUNTING = """window.pending = 0;
const plain = window.fetch;
window.fetch = async (...given) => {
    window.pending++;
    try { return await plain(...given); } finally { window.pending--; }
};
"""


def small_model(folder: Path) -> Path:
    """A small real model: random weights, a tokenizer trained here."""
    tokenizer = train_bpe([TEXT], 500)
    model = Decoder(ModelConfig.modern(vocabulary_size=500, width=64, layers=2, heads=2, context=256))
    model.reset_parameters(torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(7)
    for parameter in model.parameters():
        parameter.data.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    save_model(folder, model, tokenizer)
    return folder


@contextmanager
def lab(model: Path | None, runs: Path) -> Iterator[str]:
    """The live lab on the loopback, its model (None: none) loaded, beside the folder ``runs``; gives its address with a
    slash at the end."""
    import uvicorn

    from glaswerk.serve.server import open_socket

    socket = open_socket(0)
    holder = Holder(None if model is None else str(model), runs)
    server = uvicorn.Server(uvicorn.Config(create_app(holder), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{socket.getsockname()[1]}/"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{url}health") as answer:
            if model is None or json.load(answer)["model"]["state"] == "ready":
                break
        time.sleep(0.1)
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join(10)


class Quiet(SimpleHTTPRequestHandler):
    """A static host without a log."""

    def log_message(self, format: str, *args: Any) -> None: ...


@contextmanager
def host(folder: Path) -> Iterator[str]:
    """A static host of ``folder`` on the loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser; a test skips where it or the figures' libraries are missing."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    if not (ROOT / "glaswerk" / "web" / "vendor" / "lit.js").is_file():
        pytest.skip("the lab's JavaScript is not vendored: python hatch_build.py")
    playwright = pytest.importorskip("playwright.sync_api")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=executable, args=arguments)
        yield browser
        browser.close()


class Visit:
    """A page that was opened, and everything that it said and asked. Close it after use."""

    def __init__(self, browser: Any, url: str, **how: Any) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page = browser.new_page(viewport={"width": 1280, "height": 900}, **how)
        self.page.add_init_script(COUNTING)
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(url)

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.said.append(f"{message.text} ({urllib.parse.unquote(message.location.get('url', ''))})")

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_: object) -> None:
        self.page.close()

    def settle(self, seconds: float = 60) -> list[list[str]]:
        """Wait until every figure is ready or says why not; returns those that are not."""
        deadline = time.monotonic() + seconds
        waiting: list[list[str]] = self.page.evaluate(WAITING)
        while any(not text for _, text in waiting) and time.monotonic() < deadline:
            time.sleep(0.05)
            waiting = self.page.evaluate(WAITING)
        return waiting

    def violations(self, axe: str) -> list[str]:
        """What axe finds wrong, a line each."""
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(axe)
        found = self.page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
        return [f"{each['id']}: {node['target']} {node['failureSummary']}" for each in found for node in each["nodes"]]


def paths(language: str) -> list[str]:
    """Every page of a language."""
    return [path for path in pages.paths() if path.startswith(f"{language}/")]


def asked_by(visit: Visit, root: str) -> list[Question]:
    """What a page of the live lab asked so far, once each."""
    found: dict[str, Question] = {}
    for url in visit.asked:
        address = urllib.parse.urlsplit(url)
        told = urllib.parse.parse_qs(address.query)
        if url.startswith(f"{root}api/") and "args" in told:
            found[url] = (address.path.removeprefix("/api/"), json.loads(told["args"][0]))
    return list(found.values())


def exportable(question: Question) -> bool:
    """Whether an export answers it by a file: not what the model in the page answers, not what needs a server."""
    kind, arguments = question
    return kind not in (*IN_BROWSER, "review", "models", "compare") and "model" not in arguments
