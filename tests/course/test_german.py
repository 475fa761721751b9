"""German terms are one word everywhere (the plural of "das Token" is "die Tokens"; a score is a score), in prose,
quizzes, figures, glossary and demos."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    path
    for pattern in ("glaswerk/course/**/*.md", "glaswerk/course/**/*.toml", "glaswerk/web/**/*.js", "demos/*.py")
    for path in ROOT.glob(pattern)
    if "vendor" not in path.parts
] + [ROOT / "glaswerk" / "lens" / "meanings.py", ROOT / "glaswerk" / "serve" / "words.py"]
#: words after which "Token" is plural in German, and words that stand for "Score"
WRONG = re.compile(
    r"\b(?:[Dd]ie|[Dd]en|[Aa]lle[nr]?|[Vv]iele[nr]?|[Ww]enige[nr]?|[Mm]ehrere[nr]?|[Zz]wei(?:er)?|[Dd]rei(?:er)?|[Ww]elche"
    r"|(?:bisherig|früher|später|wahrscheinlichst|benachbart)en) Token\b(?!-)|Punktzahl"
)


def test_german_terms() -> None:
    assert len(FILES) > 60
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}" for path in FILES for match in WRONG.finditer(path.read_text("utf-8"))
    ]
    assert not found
    assert WRONG.search("Sie sieht die Token davor") and not WRONG.search("Die Token-IDs, die Tokens, ein Token")
