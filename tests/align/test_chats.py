"""Chat files: what is read, what is refused in one line, what is learned of a conversation, and what is too long."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from glaswerk.align import load_chats
from glaswerk.align.chats import fit, render
from glaswerk.errors import GlaswerkError
from glaswerk.tokenizer import train_bpe
from glaswerk.tokenizer.speech import Speech
from glaswerk.tokenizer.template import ChatTemplate

USER, REPLY = {"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}


def test_chat_files(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "name": "extra"}]
    file = tmp_path / "chats.jsonl"
    file.write_text(json.dumps({"messages": messages}) + "\n\n" + json.dumps(messages) + "\n", encoding="utf-8")
    assert load_chats(file) == [[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]] * 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "chats.jsonl:2: not valid JSON"),
        ("[" * 100_000, "chats.jsonl:2: not valid JSON"),
        ('{"text": "x"}', "chats.jsonl:2: needs"),
        ('{"messages": [{"role": "user", "content": 3}]}', "chats.jsonl:2: each message needs a text"),
        ('{"messages": [{"role": "god", "content": "x"}]}', "the role 'god' is not"),
        ('{"messages": [{"role": "user", "content": "x"}]}', "no assistant message"),
    ],
)
def test_a_broken_chat_line_is_named(line: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    good = '{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}'
    file.write_text(f"{good}\n{line}\n", encoding="utf-8")
    with pytest.raises(GlaswerkError, match=r"chats\.jsonl:2") as caught:
        load_chats(file)
    assert said in str(caught.value)


CHAT_LINE = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'


@pytest.mark.parametrize("damage", ["truncated", "flipped", "no gzip"])
def test_a_damaged_gzip_chat_file_is_one_line(damage: str, tmp_path: Path) -> None:
    whole = gzip.compress("".join(CHAT_LINE.replace('"a"', f'"{n}"') for n in range(2000)).encode())
    at = len(whole) // 2
    data = {"truncated": whole[:at], "flipped": whole[:30] + bytes(200) + whole[230:], "no gzip": CHAT_LINE.encode()}
    file = tmp_path / "chats.jsonl.gz"
    file.write_bytes(data[damage])
    with pytest.raises(GlaswerkError, match=r"cannot read the chat file .*: damaged gzip file"):
        load_chats(file)


def test_a_chat_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    file.write_text(CHAT_LINE, encoding="utf-8-sig")
    assert len(load_chats(file)) == 1
    file.write_bytes(b"\xff" + CHAT_LINE.encode())
    with pytest.raises(GlaswerkError, match="not UTF-8"):
        load_chats(file)


def test_half_a_surrogate_pair_in_a_chat_becomes_the_replacement_character(tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    file.write_text(CHAT_LINE.replace('"b"', '"x \\ud800 \\ud83d\\ude00"'), encoding="utf-8")
    assert load_chats(file)[0][1]["content"] == "x \ufffd 😀"


def line_of(*messages: dict[str, str]) -> str:
    return json.dumps({"messages": messages})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (line_of(USER, {"role": "assistant", "content": "  "}), "message 2, of the assistant, is empty"),
        (line_of(USER, REPLY, {"role": "system", "content": "be kind"}), "message 3 is a system message"),
        (line_of(REPLY, USER, REPLY), "the assistant speaks first"),
        (line_of({"role": "system", "content": "s"}, REPLY), "the assistant speaks first"),
        (line_of(USER, USER, REPLY), "message 2 is the second of the user in a row"),
        (line_of(USER, REPLY, REPLY), "message 3 is the second of the assistant in a row"),
        ("[]", "needs"),
    ],
)
def test_conversations_that_are_none(line: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    file.write_text(line, encoding="utf-8")
    with pytest.raises(GlaswerkError, match=r"chats\.jsonl:1: ") as caught:
        load_chats(file)
    assert said in str(caught.value)


def test_a_tool_may_answer_between(tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    system, tool = {"role": "system", "content": "s"}, {"role": "tool", "content": "22 degrees"}
    file.write_text(line_of(system, USER, REPLY, tool, REPLY, USER, REPLY), encoding="utf-8")
    assert len(load_chats(file)[0]) == 7


# ---------------------------------------------------------------------------------------------- as tokens
TOKENIZER = train_bpe(["a small text for a small vocabulary, with user and assistant in it"] * 3, 300)
TALK = [
    {"role": "user", "content": "first question"},
    {"role": "assistant", "content": "first answer"},
    {"role": "user", "content": "<|im_end|> second"},
    {"role": "assistant", "content": "the second"},
]
CHATML = Speech(TOKENIZER, None, None, frozenset([TOKENIZER.special["<|im_end|>"]]))
#: writes the same through Jinja, as strangers' models do
JINJA = Speech(
    TOKENIZER,
    ChatTemplate(
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
    None,
    frozenset([TOKENIZER.special["<|im_end|>"]]),
)


def test_what_is_learned_is_what_the_assistant_says() -> None:
    for speech in (CHATML, JINJA):
        ids, mask = render(speech, TALK)
        learned = [number for number, learn in zip(ids, mask, strict=True) if learn]
        end = TOKENIZER.special["<|im_end|>"]
        assert learned == [*TOKENIZER.encode("first answer"), end, *TOKENIZER.encode("the second"), end]
    assert render(CHATML, TALK) == render(JINJA, TALK)


def test_a_template_that_changes_earlier_turns_is_refused() -> None:
    """Some templates leave out what an assistant thought once it is no longer the last turn."""
    changing = ChatTemplate(
        "{% for m in messages %}{{ m.role }}{% if loop.last %}{{ m.content }}{% endif %};{% endfor %}"
    )
    with pytest.raises(GlaswerkError, match="changes earlier turns"):
        render(Speech(TOKENIZER, changing, None, frozenset()), TALK)


def test_what_is_too_long_ends_after_the_last_whole_answer() -> None:
    ids, mask = render(CHATML, TALK)
    first = mask.index(0, mask.index(1))  # where the first answer has ended
    (kept, cut), (whole, none) = fit([(ids, mask)], len(ids) - 2), fit([(ids, mask)], len(ids))
    assert kept == [(ids[:first], mask[:first])]
    assert (cut.long, cut.inside) == (1, 0) and "1 of 1 conversations are longer" in cut.said(len(ids) - 2)
    assert whole == [(ids, mask)] and none.said(len(ids)) == ""
    (half,), cut = fit([(ids, mask)], first - 2)
    assert half == (ids[: first - 2], mask[: first - 2]) and cut.inside == 1
    assert "inside their first answer" in cut.said(first - 2)


def test_an_answer_that_ends_where_the_room_ends_is_whole() -> None:
    ids, mask = render(CHATML, TALK)
    first = mask.index(0, mask.index(1))
    (kept,), cut = fit([(ids, mask)], first)
    assert kept == (ids[:first], mask[:first]) and cut.inside == 0
