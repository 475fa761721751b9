"""How an exported site is found its way around in: the names of its data files, and pages that know they are files.

``web/data.js`` computes the same names; a test holds the two together.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def canonical(value: Any) -> str:
    """The one JSON text of a question, as ``canonical`` in data.js writes it: keys in order, numbers as JavaScript
    shows them."""
    if isinstance(value, Mapping):
        return (
            "{"
            + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{canonical(value[key])}" for key in sorted(value))
            + "}"
        )
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, float):
        return number(value)
    return json.dumps(value, ensure_ascii=False)


def number(value: float) -> str:
    """1.0 is ``1`` and 1e-05 is ``0.00001``, as JavaScript writes them from 1e-6 up to 1e21."""
    size = abs(value)
    if size == 0:
        return "0"
    if 1e-6 <= size < 1e21:
        plain = format(Decimal(repr(value)), "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    return re.sub(r"(?:\.0)?e([+-])0*", r"e\1", repr(value))


def fingerprint(text: str) -> str:
    """FNV-1a (64 bits) over the UTF-16 units of a text, in hex."""
    found = 0xCBF29CE484222325
    units = text.encode("utf-16-le", "surrogatepass")
    for place in range(0, len(units), 2):
        found = (found ^ int.from_bytes(units[place : place + 2], "little")) * 0x100000001B3 % 2**64
    return f"{found:016x}"


def as_file(page: str, policy: str, model: str | None, browser: bool) -> str:
    """A page of the lab as a page of the site: told so by its root element, with its policy inside, as a static host
    sends no headers of ours."""
    told = 'data-mode="static"'
    if model is not None:
        told += f' data-model="{html.escape(model)}"'
    if browser:
        told += " data-browser"
    # what a <meta> cannot say, a browser complains about
    inside = "; ".join(rule for rule in policy.split("; ") if not rule.startswith("frame-ancestors"))
    page = page.replace('data-mode="live"', told, 1)
    charset = '<meta charset="utf-8">'
    return page.replace(charset, f'{charset}\n<meta http-equiv="Content-Security-Policy" content="{inside}">', 1)


def front(languages: tuple[str, ...] = ("en", "de")) -> str:
    """The page at the site's root: on to the reader's language."""
    links = "\n".join(f'<p><a href="{language}/">Glaswerk ({language})</a></p>' for language in languages)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Glaswerk</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="web/icon.svg" type="image/svg+xml">\n'
        "<script>location.replace(/^de/.test(navigator.language) ? 'de/' : 'en/');</script>\n"
        f"</head>\n<body><main>\n<h1>Glaswerk</h1>\n{links}\n</main></body>\n</html>\n"
    )
