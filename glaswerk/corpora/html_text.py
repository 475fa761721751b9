"""HTML to text with the standard library: blocks become paragraphs, headings stay headings, scripts go.

Left out: telling an article from the menus around it (a later extra).
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

_HIDDEN = {"script", "style", "noscript", "template", "svg", "math", "iframe", "object"}
_BLOCK_NAMES = (
    "address article aside blockquote body caption dd details dialog div dl dt fieldset figcaption figure "
    "footer form header hr html main nav ol p section summary table tbody tfoot thead ul"
)
_BLOCK = frozenset(_BLOCK_NAMES.split())
_HEADING = {f"h{level}": level for level in range(1, 7)}


class HtmlText(HTMLParser):
    """Feed it a page in pieces; ``take()`` returns the text so far and forgets it; ``title``: the page's."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self._out: list[str] = []
        self._hidden: list[str] = []
        self._in_title = False
        self._pre = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden.append(tag)
        elif tag == "title" and not self._hidden:
            self._in_title = not self.title
        elif tag in _HEADING:
            self._out.append("\n\n" + "#" * _HEADING[tag] + " ")
        elif tag == "br":
            self._out.append("\n")
        elif tag == "li":
            self._out.append("\n- ")
        elif tag == "tr":
            self._out.append("\n")
        elif tag in ("td", "th"):
            self._out.append(" ")
        elif tag == "pre":
            self._pre += 1
            self._out.append("\n\n")
        elif tag in _BLOCK:
            self._out.append("\n\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _HIDDEN:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            # unclosed tags inside a hidden one close with it
            while self._hidden.pop() != tag:
                pass
        elif tag == "title":
            self._in_title = False
        elif tag in _HEADING:
            self._out.append("\n\n")
        elif tag == "pre":
            self._pre = max(0, self._pre - 1)
            self._out.append("\n\n")
        elif tag in _BLOCK or tag == "body":
            self._out.append("\n\n")

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        if self._in_title:
            self.title = " ".join((self.title + data).split())
        elif self._pre:
            self._out.append(data)
        else:
            data = re.sub(r"[ \t\n\r\f]+", " ", data)
            self._out.append(data.lstrip(" ") if not self._out or self._out[-1].endswith(("\n", " ")) else data)

    def take(self) -> str:
        """The text since the last call: spaces and blank lines tidied, an empty heading line removed."""
        text = "".join(self._out)
        self._out.clear()
        text = re.sub(r"[ \t]+\n", "\n", text)
        text = re.sub(r"^#{1,6}\n+", "", text, flags=re.MULTILINE)
        return re.sub(r"\n{3,}", "\n\n", text)
