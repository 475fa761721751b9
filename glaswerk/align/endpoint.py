"""A judge behind an OpenAI-compatible API: ``NAME@http://host:port/v1``, or the URL alone for the first model there.

What fails for a while (a time-out, a refused connection, 429, a server's error) is asked again, each time after a
longer pause; what fails for good (a wrong key, a wrong name) stops with one line. Failures are counted, and a reply
that never came is an empty text, which nobody takes for an answer. The key is ``OPENAI_API_KEY`` in the environment.
This is the only place that opens an address, and only the one that the user gave. Left out: what is asked
(``constitution.py``).
"""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from glaswerk.align.constitution import AGAIN, read_verdict
from glaswerk.errors import GlaswerkError
from glaswerk.evaluate.task import Messages

#: requests at a time, tries of each, seconds of the first pause (doubled each time) and at most
AT_ONCE, TRIES, PAUSE, LONGEST_PAUSE = 4, 5, 1.0, 30.0
#: seconds for a reply, and bytes of one
TIMEOUT, MOST_BYTES = 120.0, 4_000_000
#: what a server answers that may be otherwise in a moment
FOR_A_WHILE = (408, 409, 425, 429, 500, 502, 503, 504, 529)
KEY = "OPENAI_API_KEY"


@dataclass
class Endpoint:
    """A judge, as :class:`glaswerk.align.constitution.Judge` says. ``url`` ends where ``/chat/completions`` begins."""

    url: str
    model: str
    timeout: float = TIMEOUT
    pause: float = PAUSE
    failures: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def named(cls, judge: str, **settings: Any) -> Endpoint:
        """From ``NAME@URL`` or a URL. Raises :class:`GlaswerkError` for an address that is none, and where nothing
        answers there."""
        name, _, url = judge.rpartition("@") if not judge.startswith(("http://", "https://")) else ("", "", judge)
        try:
            parts = urlsplit(url)
            whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            whole = False
        if not whole or parts.username or parts.query or parts.fragment:
            raise GlaswerkError(
                f"{judge!r} is no judge behind an API: give NAME@http://host:port/v1, with the key in {KEY}"
            )
        found = cls(url.rstrip("/"), name, **settings)
        if not name:
            listed = found.asked("/models").get("data")
            first = listed[0].get("id") if isinstance(listed, list) and listed and isinstance(listed[0], dict) else None
            if not isinstance(first, str):
                raise GlaswerkError(f"{url} lists no model: name one as NAME@{url}")
            found.model = first
        return found

    @property
    def name(self) -> str:
        """As it was asked for."""
        return f"{self.model}@{self.url}"

    def write(self, asked: Sequence[Messages], max_tokens: int, seed: int) -> list[str]:
        """See :class:`glaswerk.align.constitution.Judge`."""
        return self.all([(talk, max_tokens, 0.7, seed + number) for number, talk in enumerate(asked)])

    def prefer(self, asked: Sequence[Messages]) -> list[float | None]:
        """See :class:`glaswerk.align.constitution.Judge`; read off the text, asked again where it says neither."""
        found: list[float | None] = [None] * len(asked)
        for attempt in range(1 + AGAIN):
            left = [i for i, verdict in enumerate(found) if verdict is None]
            replies = self.all([(asked[i], 8, 0.0 if attempt == 0 else 1.0, attempt) for i in left])
            for i, reply in zip(left, replies, strict=True):
                found[i] = read_verdict(reply)
        return found

    def all(self, requests: Sequence[tuple[Messages, int, float, int]]) -> list[str]:
        """The replies to several requests, some at a time."""
        if not requests:
            return []
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda request: self.reply(*request), requests))

    def reply(self, messages: Messages, max_tokens: int, temperature: float, seed: int) -> str:
        """One reply, or an empty text where the server gave none that can be read; that is counted."""
        body = {
            "model": self.model, "messages": messages, "max_tokens": max_tokens, "temperature": temperature,
            "seed": seed,
        }  # fmt: skip
        answer = self.asked("/chat/completions", body)
        try:
            content = answer["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError):
            content = None
        if not isinstance(content, str):
            self.failed("a reply without text")
            return ""
        return content

    def failed(self, what: str) -> None:
        """Count it; several requests are under way at once."""
        with self.lock:
            self.failures[what] += 1

    def asked(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the server says to a request; empty where it says nothing readable. Raises :class:`GlaswerkError` where
        it refuses for good, or did not answer in :data:`TRIES` tries."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key := os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {key}"
        data = None if body is None else json.dumps(body).encode()
        why = ""
        for attempt in range(TRIES):
            if attempt:
                self.failed("asked again")
            request = urllib.request.Request(self.url + path, data, headers)
            wait = min(LONGEST_PAUSE, self.pause * 2**attempt)
            try:
                with OPENER.open(request, timeout=self.timeout) as answer:
                    said = json.loads(read(answer, time.monotonic() + self.timeout))
                    return said if isinstance(said, dict) else {}
            except urllib.error.HTTPError as error:
                why = f"HTTP {error.code}"
                if error.code not in FOR_A_WHILE:
                    raise GlaswerkError(f"{self.url} refuses with {why}{hint(error.code, self.model)}") from error
                wait = max(wait, min(LONGEST_PAUSE, seconds(error.headers.get("Retry-After"))))
            except ValueError:  # no JSON, and so no text
                return {}
            except TimeoutError:
                why = f"no answer within {self.timeout:g} s"
            except (OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", error)
                why = f"no answer within {self.timeout:g} s" if isinstance(reason, TimeoutError) else str(reason)
            if attempt + 1 < TRIES:
                time.sleep(wait)
        raise GlaswerkError(f"{self.url} does not answer ({why}; asked {TRIES} times): is it running, and reachable?")


def read(answer: http.client.HTTPResponse, until: float) -> bytes:
    """The body, as far as :data:`MOST_BYTES`. A socket's time-out begins again with each byte that drips in, so the
    clock is looked at too: raises TimeoutError."""
    parts, left = [], MOST_BYTES
    while left and (part := answer.read1(min(left, 1 << 16))):
        parts.append(part)
        left -= len(part)
        if time.monotonic() > until:
            raise TimeoutError
    return b"".join(parts)


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """The key goes to the address that the user gave, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


OPENER = urllib.request.build_opener(NoRedirects)


def hint(code: int, model: str) -> str:
    """How it may be mended."""
    if code in (401, 403):
        return f": is the key in {KEY} right?"
    if code == 404:
        return f": is there a model {model!r}, and does the address end with /v1?"
    return ""


def seconds(value: str | None) -> float:
    """What ``Retry-After`` asks for; 0 where it is a date or nothing."""
    try:
        return max(0.0, float(value or 0))
    except ValueError:
        return 0.0
