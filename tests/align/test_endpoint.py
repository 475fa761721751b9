"""A judge behind an API, against a real server that times out, refuses, breaks off and answers nonsense."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from glaswerk.align import endpoint
from glaswerk.align.constitution import revised, verdicts
from glaswerk.align.endpoint import Endpoint
from glaswerk.errors import GlaswerkError

Script = list[Callable[["Handler"], None]]


class Handler(BaseHTTPRequestHandler):
    """Does the next thing of the script for each request; after its end it answers well."""

    script: ClassVar[Script] = []
    seen: ClassVar[list[tuple[str, dict[str, Any], str]]] = []
    reply = "B"
    turn = threading.Lock()

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.turn:
            self.seen.append((self.path, json.loads(body or b"{}"), self.headers.get("Authorization", "")))
            step = self.script.pop(0) if self.script else None
        if step:
            step(self)
        elif self.path.endswith("/models"):
            self.say(200, {"data": [{"id": "first"}, {"id": "second"}]})
        else:
            self.say(200, {"choices": [{"message": {"role": "assistant", "content": self.reply}}]})

    def say(self, code: int, body: Any, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.delenv(endpoint.KEY, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Handler.script, Handler.seen, Handler.reply = [], [], "B"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


def judge(url: str, **settings: Any) -> Endpoint:
    return Endpoint.named(f"m@{url}", **{"pause": 0.01, "timeout": 5.0, **settings})


def test_a_reply_and_what_was_sent(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(endpoint.KEY, "secret")
    found = judge(url)
    assert found.write([[{"role": "user", "content": "Hello"}]], 9, 4) == ["B"] and not found.failures
    path, body, key = Handler.seen[0]
    assert path == "/v1/chat/completions" and key == "Bearer secret"
    assert body["model"] == "m" and body["max_tokens"] == 9 and body["messages"][0]["content"] == "Hello"


def test_the_first_model_where_none_is_named(url: str) -> None:
    assert Endpoint.named(url).name == f"first@{url}"
    Handler.script = [lambda h: h.say(200, {"data": []})]
    with pytest.raises(GlaswerkError, match="lists no model"):
        Endpoint.named(url)


@pytest.mark.parametrize("code", [429, 500, 503])
def test_what_fails_for_a_while_is_asked_again_and_counted(url: str, code: int) -> None:
    Handler.script = [lambda h: h.say(code, {}), lambda h: h.say(code, b"<html>")]
    found = judge(url)
    assert found.write([[{"role": "user", "content": "Hello"}]], 9, 0) == ["B"]
    assert found.failures["asked again"] == 2 and len(Handler.seen) == 3


def test_the_server_says_how_long_to_wait(url: str) -> None:
    Handler.script = [lambda h: h.say(429, {}, Retry_After="0.4"), lambda h: h.say(503, {}, Retry_After="soon")]
    began = time.perf_counter()
    judge(url).write([[{"role": "user", "content": "Hello"}]], 9, 0)
    assert time.perf_counter() - began >= 0.4


def test_a_time_out_and_a_connection_that_breaks_off(url: str) -> None:
    def hangs(handler: Handler) -> None:
        time.sleep(0.6)

    def breaks(handler: Handler) -> None:
        handler.connection.close()

    def drips(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "200")
        handler.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(200):
                handler.wfile.write(b" ")
                time.sleep(0.05)

    Handler.script = [hangs, breaks, drips]
    found = judge(url, timeout=0.2)
    began = time.monotonic()
    assert found.write([[{"role": "user", "content": "Hello"}]], 9, 0) == ["B"] and found.failures["asked again"] == 3
    assert time.monotonic() - began < 8, "a byte now and then is no answer"


@pytest.mark.parametrize(
    ("code", "says"), [(401, "is the key in OPENAI_API_KEY right"), (404, "is there a model 'm'"), (400, "HTTP 400")]
)
def test_what_is_refused_for_good_stops_at_once(url: str, code: int, says: str) -> None:
    Handler.script = [lambda h: h.say(code, {})]
    with pytest.raises(GlaswerkError, match=says):
        judge(url).write([[{"role": "user", "content": "Hello"}]], 9, 0)
    assert len(Handler.seen) == 1


def test_nobody_there(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Handler.script = [lambda h: h.say(500, {})] * endpoint.TRIES
    with pytest.raises(GlaswerkError, match=r"does not answer \(HTTP 500; asked 5 times\): is it running"):
        judge(url, pause=0.0).write([[{"role": "user", "content": "Hello"}]], 9, 0)
    with pytest.raises(GlaswerkError, match="refused"):
        Endpoint.named("http://127.0.0.1:9/v1", pause=0.0)


def test_a_redirect_takes_the_key_nowhere(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(endpoint.KEY, "secret")
    Handler.script = [lambda h: h.say(307, {}, Location="/elsewhere")]
    with pytest.raises(GlaswerkError, match="HTTP 307"):
        judge(url).write([[{"role": "user", "content": "Hello"}]], 9, 0)
    assert [path for path, _, _ in Handler.seen] == ["/v1/chat/completions"]


@pytest.mark.parametrize("nonsense", [b"no json", b"[1]", b'{"choices": []}', b'{"choices": [{"message": null}]}',
                                      b'{"choices": [{"message": {"content": null}}]}'])  # fmt: skip
def test_nonsense_is_asked_again_and_never_used(url: str, nonsense: bytes) -> None:
    Handler.script = [lambda h: h.say(200, nonsense)] * 3
    found = judge(url)
    (one,) = revised(found, ["Q"], ["an answer"], ["Be kind."])
    assert one.critique is None and one.revision is None and found.failures["no critique"] == 1
    assert sum(found.failures.values()) == 4 and len(Handler.seen) == 3


def test_verdicts_in_text(url: str) -> None:
    """Everything is B: the order decides, and nothing counts."""
    found = judge(url)
    assert verdicts(found, ["Q"], ["x"], ["y"], ["p"]) == [None]
    assert found.failures["no difference beside the order"] == 1
    Handler.reply = "I cannot say."
    assert verdicts(found, ["Q"], ["x"], ["y"], ["p"]) == [None] and found.failures["no verdict"] == 1
    assert len(Handler.seen) == 2 + 2 * 3, "asked again, a bounded number of times"


@pytest.mark.parametrize("name", ["m@ftp://x/v1", "http://", "m@http://u:p@x/v1", "http://x/v1?a=1", "http://x:99999/"])
def test_addresses_that_are_none(name: str) -> None:
    with pytest.raises(GlaswerkError, match="is no judge behind an API"):
        Endpoint.named(name)
