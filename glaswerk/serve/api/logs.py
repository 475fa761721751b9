"""The log: one JSON object a line on stderr, one line a request, without prompts, replies, keys or addresses.

Left out: files and rotation, which whoever runs the server has already.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

#: the logger of requests
ACCESS = logging.getLogger("glaswerk.serve.access")


class JsonLines(logging.Formatter):
    """A record as one line. ``extra={"fields": {...}}`` adds to it."""

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        told: dict[str, Any] = {
            "time": f"{when}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)


def to_stderr() -> None:
    """Send what the server and uvicorn say there."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, level in (("glaswerk.serve", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
