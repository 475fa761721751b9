"""What the API says when it does not answer: one object in OpenAI's shape, without paths, addresses or a stack."""

from __future__ import annotations

from typing import Any


class Problem(Exception):
    """An answer that is none. ``status`` is HTTP's; ``code`` and ``param`` are for programs; ``retry_after`` (seconds)
    goes with what may work later."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None, retry_after: int = 0
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param, self.retry_after = status, message, code, param, retry_after

    @property
    def kind(self) -> str:
        """OpenAI's word for the status."""
        known = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
        return known.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")

    def body(self) -> dict[str, Any]:
        """As JSON."""
        told = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return {"error": told}

    def headers(self) -> dict[str, str]:
        """``Retry-After``, where trying again may help; which key is wanted, where none was given."""
        found = {"retry-after": str(self.retry_after)} if self.retry_after else {}
        return {**found, "www-authenticate": "Bearer"} if self.status == 401 else found


def broken() -> Problem:
    """Our mistake: the log has it, the client gets a line."""
    return Problem(500, "the server made a mistake; its log shows more")
