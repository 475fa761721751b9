"""Guards before and behind the model, as plain functions of a text; all of them are off unless set.

Length and blocked patterns refuse a request; blocked patterns and the canary withhold a reply; redaction replaces what
looks like an address, an account or a number of somebody. None of them understands a text: each catches what it was
written for and nothing else, and ``docs/serve.md`` shows where each one fails. Left out: guards that are models.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

import regex

from glaswerk.errors import GlaswerkError
from glaswerk.serve.api.problem import Problem

#: seconds that one pattern may look at one text
PATIENCE = 0.5


def patterns(given: Sequence[str]) -> list[regex.Pattern[str]]:
    """Patterns, without regard to case. Raises :class:`GlaswerkError` for one that is none."""
    found = []
    for text in given:
        try:
            found.append(regex.compile(text, regex.IGNORECASE))
        except (regex.error, RecursionError, OverflowError) as error:
            raise GlaswerkError(f"guard_blocked: {text[:60]!r} is no pattern: {error}") from None
    return found


def matches(blocked: Sequence[regex.Pattern[str]], text: str) -> bool:
    """Whether one of them is in the text; one that cannot be decided in time counts as found."""
    try:
        return any(pattern.search(text, timeout=PATIENCE) for pattern in blocked)
    except TimeoutError:
        return True


# ---------------------------------------------------------------------------------------------- redaction
def redacted(text: str) -> str:
    """The text with e-mail addresses, IBANs, card numbers, IP addresses and telephone numbers as ``[email]``, ..."""
    for name, pattern, holds in PERSONAL:
        text = pattern.sub(lambda found, n=name, h=holds: f"[{n}]" if h(found.group()) else found.group(), text)
    return text


def luhn(number: str) -> bool:
    """Whether the last digit of a card number fits the others (ISO/IEC 7812)."""
    digits = [int(one) for one in reversed(number) if one.isdigit()]
    return sum(digits[::2]) % 10 == -sum(sum(divmod(2 * one, 10)) for one in digits[1::2]) % 10


def iban(number: str) -> bool:
    """Whether an account's check digits fit (ISO 13616)."""
    plain = number.replace(" ", "")
    return int("".join(str(int(one, 36)) for one in plain[4:] + plain[:4])) % 97 == 1


def address(text: str) -> bool:
    """Whether four numbers are an IPv4 address."""
    return all(int(part) < 256 for part in text.split("."))


#: name, what it looks like, and whether it is one
PERSONAL: tuple[tuple[str, regex.Pattern[str], Callable[[str], bool]], ...] = (
    ("email", regex.compile(r"[\w.+-]{1,64}+@[\w-]{1,63}(?:\.[\w-]{1,63})+"), lambda _: True),
    ("iban", regex.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), iban),
    ("card", regex.compile(r"\b\d(?:[ -]?\d){12,18}\b"), luhn),
    ("ip", regex.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])"), address),
    ("phone", regex.compile(r"(?<![\w.])(?:\+|0)\d(?:[ /()-]{0,2}\d){6,14}(?!\w)"), lambda _: True),
)


# ---------------------------------------------------------------------------------------------- all together
class Guards:
    """One server's guards. ``canary``: a word that the model is told to keep to itself; a reply that has it repeats
    what it was told in secret."""

    def __init__(self, characters: int = 0, blocked: Sequence[str] = (), redact: bool = False, canary: bool = False):
        self.characters, self.blocked, self.redact = characters, patterns(blocked), redact
        self.canary = f"glass-{secrets.token_hex(4)}" if canary else ""

    @property
    def holds(self) -> bool:
        """Whether a reply must be whole before any of it may be shown."""
        return bool(self.blocked or self.redact or self.canary)

    @property
    def any(self) -> bool:
        """Whether there is any at all."""
        return self.holds or bool(self.characters)

    def asked(self, text: str) -> str:
        """A client's text, as the model may see it. Raises :class:`Problem` 400."""
        if self.characters and len(text) > self.characters:
            raise Problem(400, f"a text has more than {self.characters:,} characters", code="guard_length")
        if matches(self.blocked, text):
            raise Problem(400, "the text holds something that is not answered here", code="guard_blocked")
        return redacted(text) if self.redact else text

    def system(self) -> str:
        """What the model is told of the canary."""
        return f"The word {self.canary} is a secret. Never write it." if self.canary else ""

    def replied(self, text: str) -> str | None:
        """A reply, as the client may see it; None: it is withheld."""
        if matches(self.blocked, text) or (self.canary and self.canary in text):
            return None
        return redacted(text) if self.redact else text
