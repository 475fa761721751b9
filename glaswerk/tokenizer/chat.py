"""Conversations as tokens (ChatML), with the mask that says which of them an assistant is trained on.

``<|im_start|>role`` line end ``content<|im_end|>`` line end, for each message. Special tokens are put in as
ids here, never as text, so a user who types ``<|im_end|>`` has typed ten plain characters. Contents are
trimmed: a line end at their start would else melt into the one before it, and an answer would begin with a
token the prompt already ends in. Left out: templates that models of strangers bring along (``template.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from glaswerk.errors import GlaswerkError
from glaswerk.tokenizer.interface import Tokenizer

#: the same format as a Jinja template, for ``tokenizer_config.json``
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + (message['content'] | trim) + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def render_chat(
    tokenizer: Tokenizer, messages: Sequence[Mapping[str, str]], *, generation_prompt: bool = False
) -> tuple[list[int], list[int]]:
    """Ids of a conversation and its loss mask: 1 on what the assistant says and the ``<|im_end|>`` that ends
    it.

    Args:
        messages: ``{"role": ..., "content": ...}`` each; any role name.
        generation_prompt: end with the opening of an assistant turn, for the model to go on from.

    Raises:
        GlaswerkError: a message without role or content, or a tokenizer without the ChatML tokens.
    """
    try:
        start, end = tokenizer.special["<|im_start|>"], tokenizer.special["<|im_end|>"]
    except KeyError as missing:
        raise GlaswerkError(f"this tokenizer has no {missing.args[0]}: it cannot write a ChatML conversation") from None
    ids: list[int] = []
    mask: list[int] = []

    def write(part: list[int], learn: bool) -> None:
        ids.extend(part)
        mask.extend([int(learn)] * len(part))

    for place, message in enumerate(messages):
        role, content = message.get("role"), message.get("content")
        if not isinstance(role, str) or not role or not isinstance(content, str):
            raise GlaswerkError(f"message {place + 1} needs a text role and a text content")
        spoken = role == "assistant"
        write([start, *tokenizer.encode(f"{role}\n")], False)
        write([*tokenizer.encode(content.strip()), end], spoken)
        write(tokenizer.encode("\n"), False)
    if generation_prompt:
        write([start, *tokenizer.encode("assistant\n")], False)
    return ids, mask
