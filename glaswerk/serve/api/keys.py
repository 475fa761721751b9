"""Who may ask: keys, compared in a time that tells nothing about them; only a short hash of a key is ever kept beside
what it did.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence


def draw() -> str:
    """A new key."""
    return f"gw-{secrets.token_urlsafe(24)}"


def fingerprint(key: str) -> str:
    """What stands for a key in logs, limits and the engine's queue: 12 hex digits."""
    return hashlib.sha256(b"glaswerk " + key.encode()).hexdigest()[:12]


class Keys:
    """The keys of one server."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = [(key.encode(), fingerprint(key)) for key in keys]

    def whose(self, authorization: bytes) -> str | None:
        """The fingerprint of the key in an ``Authorization: Bearer ...`` header; None: it is none of ours."""
        kind, _, given = authorization.partition(b" ")
        given = given.strip() if kind.lower() == b"bearer" else b""
        found = None
        for key, name in self.keys:  # all of them, always
            if hmac.compare_digest(key, given):
                found = name
        return found
