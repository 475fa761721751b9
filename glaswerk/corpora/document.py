"""The one thing that flows through this room."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Document:
    """One text with what is known about it; unknown things are empty strings.

    ``title`` is a heading or, for a file that is one document, the file's name. ``source`` is the corpus or
    the file it came from, never an absolute path. ``topic`` comes with some corpora.
    """

    text: str
    title: str = ""
    source: str = ""
    topic: str = ""

    @property
    def headed(self) -> str:
        """What a model learns from: the title as a heading, then the text. So it learns from the start that what
        follows is about what stands above, which is half of answering a question."""
        first_line = self.text.split("\n", 1)[0].strip("# \t")
        return self.text if not self.title or first_line == self.title else f"{self.title}\n\n{self.text}"
