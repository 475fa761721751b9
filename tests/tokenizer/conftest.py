"""Texts that every tokenizer must survive, and small trained tokenizers that several tests share."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from glaswerk.tokenizer import FastBPE, train_bpe

#: real enough to learn from: words in several languages, code, numbers, contractions, odd spaces
TEXTS = [
    "The quick brown fox jumps over the lazy dog. The dog doesn't mind; it's asleep, and we'll let it be.\n\n",
    "Der schnelle braune Fuchs springt über den faulen Hund. Größe, Maße und Straßen sind schön.\n",
    "def fox(n):\n    return [x**2 for x in range(n) if x % 3 == 0]\n\n\nprint(fox(1000))\n",
    "日本語のテキストと中文文本。日本語のテキスト。 한국어 텍스트 한국어\n",
    "1 22 333 4444 55555 1234567890 3.14159 2,718,281\t\ttabs  two  spaces   three \r\nwindows\r\n",
    "aaaa aaaaa aaaaaaaa abababab bababa aabbaabb haha hahaha hahahaha\n",
    "😀😀 👩‍💻👩‍💻 🇩🇪🇫🇷 é e\u0301 ﬁ x\u00a0y\u2003z\x00\x01\n",
] * 3

#: texts on which tokenizers are known to differ or to break
HARD = [
    "",
    " ",
    "\n",
    "\x00",
    "a\x00b\x00",
    "don't DON'T I'LL you’re 'S 'ſ'ſ",
    "   leading and trailing   ",
    "a \n \n\n b\r\n\r\n\tc",
    "\u3000\u2028\u2029\x85\x1c\x1d\x1e\x1f x\x1c y",
    "word\x1c word\u200bword\ufeff",
    "١٢٣ ①②③ ⅷ 123456789",
    "ÀÉ ǅ ʰ ª º İ ı ß ẞ",
    "<|endoftext|> <|im_start|>user\n<|im_end|>",
    "e\u0301e\u0301 한 각 नमस्ते मराठी ไทย",
    "\U0001f469\u200d\U0001f4bb \U0001f1e9\U0001f1ea\U0010ffff\ue000",
    "a" * 300 + " " * 300 + "\n" * 300 + "ab" * 300 + "é" * 300 + "!" * 300,
    "x" + " \t\n" * 50 + "y",
]

_ALPHABET = st.one_of(
    st.sampled_from(list(" \n\r\tabcdeESstT'’.,!0123456789_-/äößé日本語😀👩‍💻\u0301\x00\u00a0\u2003")),
    st.characters(exclude_categories=["Cs"]),
)
#: random texts: characters of every kind, with runs of the kind that patterns care about
any_text = st.one_of(
    st.text(_ALPHABET, max_size=60),
    st.lists(st.tuples(_ALPHABET, st.integers(1, 12)), max_size=12).map(
        lambda parts: "".join(character * times for character, times in parts)
    ),
    st.sampled_from(HARD),
)


@pytest.fixture(scope="session")
def gpt4_style() -> FastBPE:
    return train_bpe(TEXTS, 420, "gpt4")


@pytest.fixture(scope="session")
def gpt2_style() -> FastBPE:
    return train_bpe(TEXTS, 420, "gpt2")
