"""The course: chapters as folders of prose, figures, quizzes and exercises, in English and German.

Start at ``README.md`` beside this file to write a chapter. Left out: showing it (``glaswerk/serve``, ``glaswerk/web``).
"""

from __future__ import annotations

#: the languages of the course; every text in it has both
LANGUAGES = ("en", "de")
