"""Templates that stay in the sandbox and want its time or memory: what each takes is measured, not only that it ends.

``test_chat.py`` has those that want out, or one huge text at once; these build much from many small or lawful steps.
"""

from __future__ import annotations

import sys
import time

import pytest

from glaswerk.errors import GlaswerkError
from glaswerk.tokenizer import jinja as room
from glaswerk.tokenizer.template import ChatTemplate
from tests.fuzz.worker import Memory

MESSAGES = [{"role": "user", "content": "x"}] * 3
#: what a rendering may take beside the interpreter: 32 million characters, and what is made before it is measured
MOST_BYTES = 80_000_000
KEEP = "{% set n = namespace(x=0) %}{% for i in range(9999) %}{% set n.x = [n.x, PIECE] %}{% endfor %}"
BIG = "{% set b = 'a' * 900000 %}"
ROWS = "{% for i in range(9999) %}{{ 'a' * 900000 }}{% endfor %}"

GREEDY = {
    "texts in a list": KEEP.replace("PIECE", "'a' * 900000"),
    "slices": BIG + KEEP.replace("PIECE", "b[1:]"),
    "steps of slices": BIG + KEEP.replace("PIECE", "b[i::2]"),
    "macro results": "{% macro m() %}" + "A" * 50_000 + "{% endmacro %}" + KEEP.replace("PIECE", "m()"),
    "split": "{{ ('日 ' * 400000).split() | length }}",
    "a list of letters": "{{ ('日' * 900000) | list | length }}",
    "sorted letters": "{{ ('日' * 900000) | sort | length }}",
    "joined letters": "{{ ','.join('日' * 900000) | length }}",
    "map": "{{ ('a' * 1000) | list | map('replace', 'a', 'b' * 900000) | list | length }}",
    "a block of outputs": "{% set y %}" + ROWS + "{% endset %}{{ y | length }}",
    "a macro of outputs": "{% macro m() %}" + ROWS + "{% endmacro %}{{ m() | length }}",
    "a filter over outputs": "{% filter upper %}" + ROWS + "{% endfilter %}",
    "a generation block in a block": "{% set y %}{% generation %}" + ROWS + "{% endgeneration %}{% endset %}",
    "a called block": "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}" + ROWS + "{% endcall %}",
    "plain text in a loop": "{% set y %}{% for i in range(99999) %}" + "A" * 50_000 + "{% endfor %}{% endset %}",
    "a constant in a loop": "{% set y %}{% for i in range(99999) %}{{ '"
    + "A" * 50_000
    + "' }}{% endfor %}{% endset %}",
    "plain text in a loop that calls itself": "{% for x in messages recursive %}{% if loop.depth0 == 0 %}"
    "{{ loop(range(90000) | list) }}{% else %}" + "A" * 50_000 + "{% endif %}{% endfor %}",
    "indented json": "{% set n = namespace(x=[0] * 100000) %}{% for i in range(500) %}{% set n.x = [n.x] %}{% endfor %}"
    "{{ n.x | tojson(indent=16) | length }}",
    "many tags": "{{ a }}" * 8_000,
}
SLOW = {
    "looking through": BIG + "{% for i in range(199999) %}{% if 'ab' in b %}{% endif %}{% endfor %}",
    "looking through by a test": BIG + "{% for i in range(199999) %}{% if 'ab' is in b %}{% endif %}{% endfor %}",
    "looking through without a loop": BIG + "{% if 'ab' in b %}{% endif %}" * 900,
    "loops that call themselves": "{% for x in messages recursive %}{% if loop.depth < 60 %}{{ loop(messages) }}"
    "{% endif %}{% endfor %}",
    "loops over the same list": "{% for i in range(9999) %}{% for k in messages * 1000 %}{% endfor %}{% endfor %}",
    "a power in round": "{{ 1.5 | round(999999999, 'ceil') }}",
    "a sum of lists": "{{ ([[1] * 10] * 10000) | sum(start=[]) | length }}",
    "a macro that calls itself twice": "{% macro m(n) %}{{ m(n - 1) ~ m(n - 1) if n else 1 }}{% endmacro %}{{ m(60) }}",
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("what", GREEDY)
def test_a_greedy_template_is_stopped_before_the_memory_is_full(what: str) -> None:
    ChatTemplate("{{ messages | tojson }}").render(MESSAGES)  # so that everything is imported
    memory = Memory()
    memory.begin()
    with pytest.raises(GlaswerkError) as refused:
        ChatTemplate(GREEDY[what]).render(MESSAGES)
    grown = memory.grown()
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 300
    assert grown < MOST_BYTES, f"{grown / 1e6:.0f} MB"


@pytest.mark.parametrize("what", SLOW)
def test_a_slow_template_is_stopped_in_time(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SECONDS", 0.5)
    began = time.monotonic()
    with pytest.raises(GlaswerkError) as refused:
        ChatTemplate(SLOW[what]).render(MESSAGES)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 300
    assert time.monotonic() - began < 5


def test_loops_keep_what_templates_ask_of_them() -> None:
    """A budget on every loop must not change what ``loop`` knows, nor slices, nor comparisons."""
    source = (
        "{% for m in messages %}{{ loop.index }}/{{ loop.length }}{{ loop.last }}{{ loop.previtem is defined }} "
        "{% endfor %}{% for m in messages[1:] recursive %}{{ m.role }}{% if loop.depth == 1 %}{{ loop(messages[:1]) }}"
        "{% endif %}{% endfor %}{{ 'a' < 'b' <= 'b' }}{{ 'x' not in 'abc' }}{{ 'abc'[::-1] }}{{ none }}{{ 1.5 }}"
        "{% for k, v in {'a': 1}.items() if v %}{{ k }}{% else %}none{% endfor %}"
        "{% for x in [] %}{% else %}none{% endfor %}"
    )
    assert ChatTemplate(source).render(MESSAGES) == (
        "1/3FalseFalse 2/3FalseTrue 3/3TrueTrue useruseruseruserTrueTruecbaNone1.5anone"
    )
