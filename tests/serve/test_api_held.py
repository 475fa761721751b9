"""Under load and at its ends: a full queue, limits by key, bodies and clients of all kinds, stopping, https."""

from __future__ import annotations

import json
import logging
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from api_server import KEY, OTHER_KEY, Running, start

from glaswerk.errors import GlaswerkError
from glaswerk.serve.api import settings as reading
from glaswerk.serve.api.rates import Rates
from glaswerk.serve.api.settings import Settings

SAID = [{"role": "user", "content": "Hi"}]
LONG: dict[str, Any] = {"model": "small", "prompt": "The cat", "max_tokens": 400, "temperature": 0.9, "seed": 1}


# ---------------------------------------------------------------------------------------------- who waits
def test_a_full_queue_says_so_and_when_to_come_again(serving: Callable[..., Any]) -> None:
    with serving(rows=1, queue=1) as served:
        client = served.client()
        streams = [client.completions.create(**LONG, stream=True) for _ in range(2)]
        with pytest.raises(openai.InternalServerError) as full:
            client.completions.create(**LONG)
        assert full.value.status_code == 503 and full.value.code == "queue_full"
        assert int(full.value.response.headers["retry-after"]) >= 1
        for stream in streams:
            stream.close()
        served.until_quiet()
        assert client.completions.create(**{**LONG, "max_tokens": 2}).choices[0].text
        with pytest.raises(openai.BadRequestError, match="room for 2"):
            client.completions.create(**{**LONG, "n": 3})


def test_a_key_that_fills_the_queue_keeps_nobody_else_out(serving: Callable[..., Any]) -> None:
    with serving(rows=1, queue=3) as served:
        greedy, other = served.client(), served.client(OTHER_KEY)
        streams = [greedy.completions.create(**LONG, stream=True) for _ in range(4)]
        with pytest.raises(openai.InternalServerError):
            greedy.completions.create(**LONG)
        streams += [other.completions.create(**LONG, stream=True) for _ in range(2)]
        with pytest.raises(openai.InternalServerError):
            other.completions.create(**LONG)
        for stream in streams:
            stream.close()
        served.until_quiet()
        assert not served.service.room.held


def test_64_wait_beside_those_that_run_by_default() -> None:
    assert Settings().queue >= 64


def test_many_at_once_are_all_answered_as_if_alone(served: Running) -> None:
    client = served.client()

    def ask(number: int) -> str:
        answer = client.completions.create(
            model="small", prompt=f"{number} cats", max_tokens=10, temperature=0.8, seed=number
        )
        return answer.choices[0].text

    alone = [ask(number) for number in range(24)]
    with ThreadPoolExecutor(24) as pool:
        assert list(pool.map(ask, range(24))) == alone
    served.until_quiet()


def test_whoever_leaves_is_not_computed_any_further(served: Running) -> None:
    """Streams and whole answers alike: soon after the client is gone nothing of it is left."""
    counts = served.service.worker.engine.counts
    for stream in (True, False):
        before = counts.sampled_tokens
        body = json.dumps({**LONG, "stream": stream, "n": 2}).encode()
        with socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2]))) as raw:
            raw.sendall(
                b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                + f"authorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            deadline = time.monotonic() + 10
            while counts.sampled_tokens < before + 6 and time.monotonic() < deadline:
                time.sleep(0.005)
        served.until_quiet(5)
        assert before + 6 <= counts.sampled_tokens < before + 700, "both replies were computed to their ends"


# ---------------------------------------------------------------------------------------------- limits
def test_requests_of_a_minute_are_counted_for_each_key(serving: Callable[..., Any]) -> None:
    with serving(requests_per_minute=3) as served:
        client = served.client()
        for _ in range(3):
            client.completions.create(model="small", prompt="a", max_tokens=1)
        with pytest.raises(openai.RateLimitError) as limited:
            client.completions.create(model="small", prompt="a", max_tokens=1)
        assert 1 <= int(limited.value.response.headers["retry-after"]) <= 20
        assert served.client(OTHER_KEY).completions.create(model="small", prompt="a", max_tokens=1)
        assert client.models.list().data, "looking costs nothing"
        served.until_quiet()


def test_tokens_of_a_minute_are_paid_ahead_and_the_rest_comes_back(serving: Callable[..., Any]) -> None:
    with serving(tokens_per_minute=1000) as served:
        served.service.rates.now = lambda: 0.0  # nothing comes in while the test runs, however slowly
        client = served.client()
        spent = client.completions.create(model="small", prompt="a", max_tokens=300, stop=["e", "a", "i", " "], seed=2)
        assert spent.usage.total_tokens < 300, "it paid for 300 and got the rest back"
        for _ in range(2):
            client.completions.create(model="small", prompt="a", max_tokens=400, temperature=0, n=1)
        with pytest.raises(openai.RateLimitError):
            client.completions.create(model="small", prompt="a", max_tokens=400, temperature=0)


def test_buckets_fill_with_time() -> None:
    now = [0.0]
    rates = Rates(60, 600, lambda: now[0])
    assert all(rates.take("a", requests=1) == 0 for _ in range(60))
    assert rates.take("a", requests=1) == pytest.approx(1)
    assert rates.take("b", requests=1) == 0
    now[0] += 1
    assert rates.take("a", requests=1) == 0 and rates.take("a", requests=1) > 0
    assert rates.take("c", tokens=10_000) == 0, "larger than a minute: the whole bucket"
    assert rates.take("c", tokens=1) > 0
    rates.give_back("c", tokens=599)
    assert rates.take("c", tokens=500) == 0
    rates.give_back("c", tokens=10_000)
    assert rates.take("c", tokens=600) == 0 and rates.take("c", tokens=1) > 0
    assert Rates(0, 0).take("a", requests=10**9, tokens=10**9) == 0


def test_a_long_body_is_refused_with_and_without_a_length(serving: Callable[..., Any]) -> None:
    with serving(body=2000) as served, served.http() as http:
        body = json.dumps({"model": "small", "prompt": "x" * 3000}).encode()
        head = {"content-type": "application/json"}
        assert http.post("/v1/completions", content=body, headers=head).status_code == 413
        answer = http.post("/v1/completions", content=iter([body[:1500], body[1500:]]), headers=head)
        assert answer.status_code == 413 and answer.json()["error"]["code"] == "body_too_long"
        for _ in range(10):  # whoever sends much more is told, too, and not cut off before
            assert http.post("/v1/completions", content=b"x" * 5_000_000, headers=head).status_code == 413
            parts = iter([b"x" * 1_000_000] * 5)
            assert http.post("/v1/completions", content=parts, headers=head).status_code == 413
        served.until_quiet()


def test_a_request_that_takes_too_long_is_ended(serving: Callable[..., Any]) -> None:
    with serving(seconds=1) as served:
        step = served.service.worker.engine.step
        served.service.worker.engine.step = lambda: (time.sleep(0.2), step())[1]
        client = served.client()
        with pytest.raises(openai.InternalServerError) as late:
            client.completions.create(**LONG)
        assert late.value.status_code == 503 and late.value.code == "timeout"
        served.until_quiet()
        began = time.monotonic()
        with pytest.raises(openai.APIError, match="too long"):
            for _ in client.completions.create(**LONG, stream=True):
                pass
        assert time.monotonic() - began < 30, "as long as it would take"
        served.until_quiet()


# ---------------------------------------------------------------------------------------------- the end
def test_told_to_stop_it_finishes_what_it_began_and_takes_nothing_new(tmp_path: Path) -> None:
    process, said = start(tmp_path)
    try:
        client = openai.OpenAI(base_url=said["url"], api_key=KEY, max_retries=0)
        stream = client.completions.create(**LONG, stream=True)
        first = next(iter(stream))
        process.send_signal(signal.SIGTERM)
        chunks = [first, *stream]
        assert chunks[-1].choices[0].finish_reason in ("stop", "length")
        with pytest.raises(openai.APIConnectionError):
            client.models.list()
        assert process.wait(20) == 0
    finally:
        process.kill()
    assert process.stderr is not None
    lines = [json.loads(line) for line in process.stderr.read().splitlines()]
    assert lines[-1]["completion_tokens"] > 0 and lines[-1]["status"] == 200


def test_whoever_is_not_done_when_the_time_to_stop_is_over_is_left(serving: Callable[..., Any]) -> None:
    with serving(drain=1) as served:
        step = served.service.worker.engine.step
        served.service.worker.engine.step = lambda: (time.sleep(0.3), step())[1]
        stream = served.client().completions.create(**LONG, stream=True)
        next(iter(stream))
        began = time.monotonic()
        served.server.handle_exit(signal.SIGTERM, None)
        with pytest.raises((openai.APIError, httpx.HTTPError)):
            list(stream)
        served.thread.join(30)
        assert not served.thread.is_alive() and time.monotonic() - began > 0.5


def test_what_is_hard_to_read_keeps_nobody_else_waiting(
    serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One key's requests are read one after the other, another's beside them."""
    from glaswerk.serve.api import routes

    real, answered = routes.prepare_completion, threading.Event()

    def slow(body: bytes, *others: Any) -> Any:
        if b"hard" in body:
            assert answered.wait(60)
        return real(body, *others)

    monkeypatch.setattr(routes, "prepare_completion", slow)
    with serving() as served, ThreadPoolExecutor(6) as pool:
        hard = [
            pool.submit(served.client().completions.create, model="small", prompt="hard", max_tokens=1)
            for _ in range(5)
        ]
        time.sleep(0.2)
        served.client(OTHER_KEY).completions.create(model="small", prompt="easy", max_tokens=1)
        answered.set()
        assert all(one.result().choices for one in hard)


def test_killed_under_load_it_starts_again_at_once(tmp_path: Path) -> None:
    process, said = start(tmp_path)
    port = said["url"].rpartition(":")[2].partition("/")[0]
    client = openai.OpenAI(base_url=said["url"], api_key=KEY, max_retries=0)
    streams = [client.completions.create(**LONG, stream=True) for _ in range(8)]
    process.kill()
    process.wait(10)
    for stream in streams:
        with pytest.raises((openai.APIError, httpx.HTTPError)):
            list(stream)
    again, said = start(tmp_path, "--port", port, "--api-key", OTHER_KEY, GLASWERK_API_KEYS="")
    try:
        client = openai.OpenAI(base_url=said["url"], api_key=OTHER_KEY, max_retries=0)
        assert client.completions.create(model=said["model"], prompt="The cat", max_tokens=3).choices[0].text
    finally:
        again.send_signal(signal.SIGINT)
        assert again.wait(20) == 0


def test_without_a_key_one_is_drawn_and_told(tmp_path: Path) -> None:
    process, said = start(tmp_path, GLASWERK_API_KEYS="")
    try:
        assert len(said["key"]) > 30
        assert httpx.get(f"{said['url']}/models", headers={"authorization": f"Bearer {said['key']}"}).status_code == 200
        assert httpx.get(f"{said['url']}/models").status_code == 401
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_taken_port_and_a_missing_model_are_one_line(
    served: Running, python: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")  # it is not opened before the port is there
    port = served.url.rpartition(":")[2]
    taken = python("-m", "glaswerk", "serve", str(folder), "--port", port)
    assert taken.returncode == 1 and "cannot be used" in taken.stderr and len(taken.stderr.splitlines()) == 1
    missing = python("-m", "glaswerk", "serve", "nowhere", "--port", "0")
    nowhere = python("-m", "glaswerk", "serve", str(folder), "--host", "a..b")
    assert nowhere.returncode == 1 and "is no address" in nowhere.stderr and len(nowhere.stderr.splitlines()) == 1
    assert missing.returncode == 1 and "there is no model" in missing.stderr and len(missing.stderr.splitlines()) == 1


# ---------------------------------------------------------------------------------------------- https, log, figures
def test_https_with_a_certificate(serving: Callable[..., Any], tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
            check=True, capture_output=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("openssl cannot make a certificate here: apt-get install openssl")
    with serving(tls_cert=str(cert), tls_key=str(key)) as served:
        url = served.url.replace("http:", "https:")
        trusted = ssl.create_default_context(cafile=str(cert))
        headers = {"authorization": f"Bearer {KEY}"}
        assert httpx.get(f"{url}/v1/models", verify=trusted, headers=headers).json()["data"][0]["id"] == "small"
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{served.url}/health")
    with pytest.raises(GlaswerkError, match="cannot be used"), serving(tls_cert=str(key), tls_key=str(key)):
        pass


def test_the_log_has_a_line_for_each_request_and_no_prompt(served: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "glaswerk.serve")
    client = served.client()
    client.completions.create(model="small", prompt="a secret thing", max_tokens=3, temperature=0)
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model="small", prompt="a secret thing", max_tokens=3, user="me", n=1000)
    served.until_quiet()
    time.sleep(0.05)
    told = [record.fields for record in caplog.records if record.name == "glaswerk.serve.access"]
    assert [one["status"] for one in told] == [200, 400]
    assert told[0]["completion_tokens"] == 3 and told[0]["prompt_tokens"] > 2 and told[0]["first_token"] > 0
    assert "secret" not in str(told) and KEY not in str(told)


def test_figures_are_those_of_what_was_done(serving: Callable[..., Any]) -> None:
    with serving() as served, served.http() as http:
        client = served.client()
        words = "One beginning of several pages, twice. " * 6
        for _ in range(2):
            client.completions.create(model="small", prompt=words, max_tokens=5, temperature=0)
        served.until_quiet()
        lines = http.get("/metrics").text.splitlines()
        told = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[:1] != "#"}
        prompt = len(served.opened.prompt_ids(words))
        shared = (prompt - 1) // 16 * 16
        assert told["glaswerk_tokens_sampled_total"] == 10
        assert told["glaswerk_tokens_shared_total"] == shared
        assert told["glaswerk_tokens_computed_total"] == 2 * (prompt + 4) - shared
        assert told['glaswerk_requests_total{route="/v1/completions",status="200"}'] == 2
        assert told["glaswerk_first_token_seconds_count"] == 2
        assert told["glaswerk_between_tokens_seconds_count"] == 8
        assert told["glaswerk_queue"] == told["glaswerk_batch"] == told["glaswerk_pages_used"] == 0
        assert 0 < told["glaswerk_request_seconds_sum" + '{route="/v1/completions"}'] < 60


# ---------------------------------------------------------------------------------------------- settings
def test_settings_come_from_file_options_and_environment(tmp_path: Path) -> None:
    file = tmp_path / "serve.toml"
    file.write_text('port = 9000\nkeys = ["one"]\nqueue = 7\n')
    made = reading.read(file, {"port": 9001, "keys": None}, {"GLASWERK_API_KEYS": "two, one,"})
    assert (made.port, made.queue, made.keys, made.host) == (9001, 7, ("one", "two"), "127.0.0.1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1", "no setting 'prot'"), ("port = 'x'", "port must be int"), ("keys = 'a'", "list of texts"),
        ("port = true", "port must be int"), ("port", "not valid TOML"), ("queue = -1", "queue must be from"),
        ("tls_cert = 'x'", "needs both"), ("keys = ['']", "plain ASCII"), ("keys = ['ä']", "plain ASCII"),
        ("host = '0.0.0.0'\nkeys = ['short']", "at least 16"),
    ],
)  # fmt: skip
def test_settings_that_are_none_are_said(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "serve.toml"
    file.write_text(text)
    with pytest.raises(GlaswerkError, match=words):
        reading.read(file, {}, {})


def test_a_connection_that_stays_silent_is_closed(serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its first request, in the middle of a head, and in the middle of the second one."""
    monkeypatch.setattr("glaswerk.serve.api.patience.HEAD_SECONDS", 0.5)
    whole = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
    with serving(connections=8) as served:
        port = int(served.url.rpartition(":")[2])
        for first, then in ((b"", b""), (b"", whole[:20]), (whole, whole[:20])):
            with socket.create_connection(("127.0.0.1", port)) as raw:
                raw.settimeout(30)
                raw.sendall(first)
                assert not first or b"200 OK" in raw.recv(4096)
                raw.sendall(then)
                began = time.monotonic()
                while raw.recv(4096):
                    pass
                assert time.monotonic() - began > 0.3
        stream = served.client().completions.create(**LONG, stream=True)
        assert len(list(stream)) > 20, "who is being answered stays, however long it takes"


def test_a_slow_reader_holds_up_nobody(served: Running) -> None:
    """It asks and does not read; others are answered meanwhile, and all is let go when it leaves."""
    body = json.dumps({**LONG, "stream": True, "logprobs": 20}).encode()
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    raw.connect(("127.0.0.1", int(served.url.rpartition(":")[2])))
    raw.sendall(
        b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        + f"authorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    done = threading.Event()

    def honest() -> None:
        for _ in range(5):
            served.client().completions.create(model="small", prompt="The cat", max_tokens=5)
        done.set()

    threading.Thread(target=honest, daemon=True).start()
    assert done.wait(20)
    raw.close()
    served.until_quiet()
