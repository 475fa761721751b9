"""Broken variants of valid files: the same number always makes the same one.

Blind changes (bits, bytes, cuts, splices) find what nobody thought of; changes that know the format (a length
field set to 2^64 - 1, a JSON value swapped for one of another type) get past the first check; changes of values only
(a width of 0, a rate that is not a number, a token twice, weights that are infinite) leave a file that is sound and
says something absurd. Left out: what is done with the files (``worker.py``).
"""

from __future__ import annotations

import copy
import json
import random
import struct
from collections.abc import Callable, Iterator
from typing import Any

#: whole numbers at which programs break
NUMBERS = [
    0, 1, 2, 3, 7, 8, 9, 16, 31, 32, 33, 64, 127, 128, 255, 256, 4095, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 2,
    2**32 - 1, 2**32, 2**40, 2**53, 2**61, 2**62, 2**63 - 1, 2**63, 2**64 - 8, 2**64 - 1,
]  # fmt: skip
#: numbers with a point at which programs break
POINTS = [
    0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, 5e-324, 1e-30, 1e-7, 1e7, 3.4e38, 1e39, 1.7e308, float("inf"), float("-inf"),
    float("nan"),
]  # fmt: skip
#: JSON texts at which programs break
VALUES = [
    "0", "-1", "1", "2", "1.5", "1e400", "-1e400", "1e-400", "NaN", "Infinity", "-Infinity", "-0.0", "true", "false",
    "null", '""', '"x"', "[]", "{}", "[[[[[[]]]]]]", '{"a": {"b": [0]}}', "9" * 30, "9" * 400, "9" * 5000, str(2**31), str(2**63),
    str(2**64 - 1), '"\\ud800"', '"\\u0000"', '"' + "a" * 5000 + '"', '"' + "\u20ac" * 300 + '"', "[" * 40 + "]" * 40,
    "[" + "0," * 500 + "0]", '["a", "b"]', '[{"type": "Sequence"}]', '"../../etc/passwd"', '"__class__"', "[null]",
]  # fmt: skip
#: expressions that take for ever, do not compile, or match nothing and everything
EXPRESSIONS = [
    r"(?:a+)+b", r"(a|aa)+$", r"(?:\s*)*x", r"(.*)*\1", r"\p{L}{1,99999999}", "((", "[", "a{99999,1}", r"(?<=a+)b", "",
    r"(?R)", r"(?:(?:(?:a*)*)*)*b", r"\b", r"(?=x)", ".", r"[^\s\S]", "(?P<x>a)(?P=x)", r"(?i)ſ+", "a" * 9000, r"(?e){e<9}",
    r"(?:x{1,500}){1,500}", r"\X+", r"(?V1)[[a-z]--[aeiou]]+", r"(?fi)ß+",
]  # fmt: skip
#: pieces of templates that want out, or never end
SNIPPETS = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{% for i in range(10**9) %}x{% endfor %}", "{{ 'x' * 10**9 }}",
    "{% include '/etc/passwd' %}", "{% import 'os' as o %}", "{{ messages.append(1) }}", "{{ cycler.__init__ }}",
    "{% set ns = namespace(a=[]) %}{% for m in messages %}{% set ns.a = ns.a + [ns.a, ns.a] %}{% endfor %}{{ ns.a }}",
    "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}", "{{ '%999999999d' % 1 }}", "{{ 'a'.join(['b'] * 99999999) }}",
    "{{ '{:>999999999}'.format(1) }}", "{{ raise_exception('x\ny') }}", "{{ 2 ** 99 ** 99 }}", "{{ messages|tojson(99) }}",
    "{% for a in range(999) %}{% for b in range(999) %}{{ a }}{% endfor %}{% endfor %}", "{{ undefined.x.y }}", "{{ 1 / 0 }}",
    "{{ messages[99].content }}", "{%", "{{", "{# ", "{% endfor %}", "{{ strftime_now('%Y' * 99) }}", "{{ self.__init__ }}",
    "{% set x = 'ab' %}{% for i in range(40) %}{% set x = x ~ x %}{% endfor %}", "{{ ' ' | center(10**9) }}",
    "{{ (messages | map(attribute='__class__') | list)[0].mro() }}", "{% block x %}{% endblock %}{% extends 'y' %}",
    "{{ 'x' | indent(10**9) }}", "{{ lipsum(10**6) }}", "{% filter upper %}x{% endfilter %}", "{% call(x) f() %}{% endcall %}",
    "{{ dict(a=1, **{'b': 2}) }}", "{{ messages | sort(attribute='x') }}", "{{ '\ue0000\ue001' }}", "{{ bos_token * 99999999 }}",
    "{{ [1, 2, 3][::0] }}", "{{ 'a'.zfill(10**9) }}", "{{ messages | groupby('role') }}", "{{ 'x'.encode('idna') }}",
    "{{ 'x' | replace('', 'y' * 999999) }}", "{{ range(200000) | list | tojson }}", "{{ (1).__add__(1) }}",
    "{% for x in messages recursive %}{{ loop(messages) }}{% endfor %}", "{{ 'x' | wordwrap(0) }}", "{{ namespace(**messages[0]) }}",
]  # fmt: skip

Mutation = Callable[[bytes, random.Random, list[bytes]], bytes]


def mutated(seeds: list[bytes], aware: Callable[[bytes, random.Random], bytes], number: int, salt: str) -> bytes:
    """Variant ``number``: one of the valid ``seeds`` after a few changes, about half of them by ``aware``."""
    draw = random.Random(f"{salt}:{number}")
    data = draw.choice(seeds)
    for _ in range(draw.choice((1, 1, 1, 2, 3, 5))):
        try:
            data = aware(data, draw) if draw.random() < 0.6 else draw.choice(BLIND)(data, draw, seeds)
        except (ValueError, KeyError, IndexError, TypeError, ArithmeticError, struct.error, RecursionError):
            data = draw.choice(BLIND)(data, draw, seeds)  # what an earlier change broke, only blind ones can change
    return data


# ---------------------------------------------------------------------------------------------- blind
def flip(data: bytes, draw: random.Random, seeds: list[bytes]) -> bytes:
    """Flip 1 to 8 bits, most often near the beginning, where the header is."""
    out = bytearray(data)
    for _ in range(draw.randint(1, 8)):
        if out:
            out[draw.randrange(min(len(out), draw.choice((32, 600, len(out)))))] ^= 1 << draw.randrange(8)
    return bytes(out)


def put(data: bytes, draw: random.Random, seeds: list[bytes]) -> bytes:
    """Write a number at which programs break over some bytes."""
    width = draw.choice((1, 2, 4, 8))
    if len(data) < width:
        return data
    at = draw.randrange(min(len(data) - width + 1, draw.choice((64, 600, len(data)))))
    number = draw.choice([*NUMBERS, len(data), len(data) - at, len(data) + 1]) % (1 << 8 * width)
    return data[:at] + number.to_bytes(width, "little") + data[at + width :]


def cut(data: bytes, draw: random.Random, seeds: list[bytes]) -> bytes:
    """End too early."""
    return data[: draw.randrange(len(data) + 1)]


def remove(data: bytes, draw: random.Random, seeds: list[bytes]) -> bytes:
    """Take some bytes out of the middle."""
    at = draw.randrange(len(data) + 1)
    return data[:at] + data[at + draw.randint(1, 40) :]


def double(data: bytes, draw: random.Random, seeds: list[bytes]) -> bytes:
    """Say some bytes twice."""
    at = draw.randrange(len(data) + 1)
    length = draw.randint(1, 200)
    return data[: at + length] + data[at:]


def insert(data: bytes, draw: random.Random, seeds: list[bytes]) -> bytes:
    """Put random bytes in between."""
    at = draw.randrange(len(data) + 1)
    return data[:at] + draw.randbytes(draw.randint(1, 40)) + data[at:]


def splice(data: bytes, draw: random.Random, seeds: list[bytes]) -> bytes:
    """Go on as another file does."""
    other = draw.choice(seeds)
    at = draw.randrange(min(len(data), len(other)) + 1)
    return data[:at] + other[at + draw.choice((0, 0, 1, 4, 8)) :]


BLIND: list[Mutation] = [flip, flip, put, put, cut, remove, double, insert, splice]


# ---------------------------------------------------------------------------------------------- GGUF
def gguf_fields(data: bytes) -> Iterator[tuple[int, int]]:
    """Place and width of every version, count, length, type, size and offset of a valid file: a naive reader."""
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

    def number(at: int, width: int) -> int:
        if at + width > len(data):
            raise ValueError("an earlier change broke this file already")
        return int.from_bytes(data[at : at + width], "little")

    def text(at: int) -> Iterator[tuple[int, int]]:
        yield at, 8
        places.append(at + 8 + number(at, 8))

    places = [24]
    yield from ((4, 4), (8, 8), (16, 8))
    for _ in range(number(16, 8)):
        yield from text(places[-1])
        at = places[-1]
        yield at, 4
        kind = number(at, 4)
        if kind == 8:
            yield from text(at + 4)
        elif kind == 9:
            inner, count = number(at + 4, 4), number(at + 8, 8)
            yield from ((at + 4, 4), (at + 8, 8))
            places.append(at + 16)
            for _ in range(count if inner == 8 else 0):
                yield from text(places[-1])
            if inner != 8:
                places.append(at + 16 + count * sizes[inner])
        else:
            yield at + 4, sizes[kind]
            places.append(at + 4 + sizes[kind])
    for _ in range(number(8, 8)):
        yield from text(places[-1])
        at = places[-1]
        dimensions = number(at, 4)
        yield at, 4
        number(at + 4, 8 * dimensions)
        yield from ((at + 4 + 8 * place, 8) for place in range(dimensions))
        yield at + 4 + 8 * dimensions, 4
        yield at + 8 + 8 * dimensions, 8
        places.append(at + 16 + 8 * dimensions)


def gguf_aware(data: bytes, draw: random.Random) -> bytes:
    """Set one field to a number at which programs break, to a neighbour of what it was, or to another field's."""
    fields = list(gguf_fields(data))
    at, width = draw.choice(fields)
    was = int.from_bytes(data[at : at + width], "little")
    other, other_width = draw.choice(fields)
    swapped = int.from_bytes(data[other : other + other_width], "little")
    number = draw.choice(
        [draw.choice(NUMBERS), was + 1, was - 1, was * 2, was + 32, swapped, len(data) - at, len(data)]
    )
    return data[:at] + (number % (1 << 8 * width)).to_bytes(width, "little") + data[at + width :]


#: texts at which programs break
TEXTS = [
    "",
    "\u0000",
    "a" * 3000,
    "a b",
    " ",
    "Ġ",
    "▁",
    "€" * 300,
    "<0x41>",
    "<|im_end|>",
    "llama",
    "yarn",
    "../x",
    "9" * 400,
]
#: a value's type -> how it lies in the file
FORMS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}


def gguf_values(data: bytes, draw: random.Random) -> bytes:
    """Change what one metadata value says, or drop it, or say it twice; every length, count and offset stays right."""
    count = int.from_bytes(data[16:24], "little")
    alignment, at, entries = 32, 24, []
    for _ in range(count):
        name, at = packed_text(data, at)
        value, at = gguf_value(data, at + 4, int.from_bytes(data[at : at + 4], "little"))
        entries.append((name, value))
    place = draw.randrange(len(entries))
    name, value = entries[place]
    action = draw.randrange(10)
    if action == 0:
        del entries[place]
    elif action == 1:
        entries.insert(draw.randrange(len(entries) + 1), draw.choice([(name, value), (name + b".x", value)]))
    elif action == 2:  # another one's value, so perhaps of another type
        entries[place] = (name, draw.choice(entries)[1])
    else:
        entries[place] = (name, other_value(value, draw))
    tensors = data[at:]
    descriptions = gguf_descriptions(tensors, int.from_bytes(data[8:16], "little"))
    head = data[:16] + struct.pack("<Q", len(entries))
    head += b"".join(struct.pack("<Q", len(name)) + name + pack_value(value) for name, value in entries)
    start = -(-(at + descriptions) // alignment) * alignment
    head += tensors[:descriptions]
    return head + bytes(-len(head) % alignment) + data[start:]


def packed_text(data: bytes, at: int) -> tuple[bytes, int]:
    """A text, and where it ends."""
    end = at + 8 + int.from_bytes(data[at : at + 8], "little")
    if end > len(data):
        raise ValueError("an earlier change broke this file already")
    return data[at + 8 : end], end


def gguf_value(data: bytes, at: int, kind: int) -> tuple[tuple[int, Any], int]:
    """(type, value) and where it ends; a list's value is (inner type, values)."""
    if kind == 8:
        text, at = packed_text(data, at)
        return (8, text), at
    if kind == 9:
        inner, count = struct.unpack_from("<IQ", data, at)
        at, values = at + 12, []
        for _ in range(count):
            (_, value), at = gguf_value(data, at, inner)
            values.append(value)
        return (9, (inner, values)), at
    (number,) = struct.unpack_from("<" + FORMS[kind], data, at)
    return (kind, number), at + struct.calcsize("<" + FORMS[kind])


def pack_value(typed: tuple[int, Any]) -> bytes:
    """The type and the value as bytes."""
    kind, value = typed
    if kind != 9:
        return struct.pack("<I", kind) + pack_plain(kind, value)
    inner, values = value
    return struct.pack("<IIQ", 9, inner, len(values)) + b"".join(pack_plain(inner, one) for one in values)


def pack_plain(kind: int, value: Any) -> bytes:
    """A text or number, which wraps round where it does not fit."""
    if kind == 8:
        return struct.pack("<Q", len(value)) + bytes(value)
    form = "<" + FORMS[kind]
    if kind in (6, 12):
        try:
            return struct.pack(form, float(value))
        except OverflowError:
            return struct.pack(form, float("inf") if value > 0 else float("-inf"))
    bits = 8 * struct.calcsize(form)
    return (int(value) % (1 << bits)).to_bytes(bits // 8, "little")


def other_value(typed: tuple[int, Any], draw: random.Random) -> tuple[int, Any]:
    """A value of the same type that is absurd, most often."""
    kind, value = typed
    if kind == 8:
        return 8, draw.choice(
            [draw.choice(TEXTS).encode(), value + b"x", value[:-1], value * 2, value[: len(value) // 2]]
        )
    if kind == 9:
        inner, values = value
        action, place = draw.randrange(6), draw.randrange(len(values) or 1)
        if action == 0 or not values:
            return 9, (inner, values[:place])
        if action == 1:
            return 9, (inner, values + values[: draw.choice((1, 3, len(values)))])
        if action == 2:
            return 9, (inner, [values[place]] * len(values))
        changed = list(values)
        for _ in range(draw.choice((1, 1, 5, len(values)))):
            at = draw.randrange(len(values))
            changed[at] = draw.choice([other_value((inner, values[at]), draw)[1], draw.choice(values)])
        return 9, (inner, changed)
    if kind == 7:
        return 7, 1 - value
    if kind in (6, 12):
        return kind, draw.choice([draw.choice(POINTS), -value, value * 2, value / 3])
    new = draw.choice([draw.choice(NUMBERS), -draw.choice(NUMBERS), value + 1, value - 1, 2 * value, value // 2])
    return draw.choice([(kind, new), (kind, new), (5, new), (10, new), (12, draw.choice(POINTS))])


def gguf_descriptions(data: bytes, count: int) -> int:
    """How many bytes the descriptions of ``count`` tensors take."""
    at = 0
    for _ in range(count):
        _, at = packed_text(data, at)
        at += 4 + 8 * int.from_bytes(data[at : at + 4], "little") + 12
    return at


def gguf_both(data: bytes, draw: random.Random) -> bytes:
    """A field of the format, or a value: the file of a whole model."""
    return (gguf_values if draw.random() < 0.75 else gguf_aware)(data, draw)


# ---------------------------------------------------------------------------------------------- JSON
def json_aware(data: bytes, draw: random.Random) -> bytes:
    """Change the tree: another value, a key twice, a key renamed, removed, or a subtree put elsewhere."""
    tree = json.loads(data)
    places = list(inner_places(tree))
    numbers = [(holder, key) for holder, key in places if type(holder[key]) in (int, float)]
    if numbers and draw.random() < 0.3:  # a number for a number, the rest as it was
        holder, key = draw.choice(numbers)
        other, other_key = draw.choice(numbers)
        holder[key] = other_number(holder[key], other[other_key], draw)
        return json.dumps(tree).encode()
    holder, key = draw.choice(places)
    value = holder[key]
    action = draw.randrange(8)
    raw = draw.choice(VALUES)
    if action == 0:
        other, other_key = draw.choice(places)
        holder[key] = copy.deepcopy(other[other_key])
    elif action == 1:
        del holder[key]
    elif action == 2 and isinstance(holder, dict):
        del holder[key]
        holder[draw.choice(sorted(map(str, holder)) or ["x"]) + draw.choice(("", "x", "\u0000", " "))] = value
    elif action == 3 and isinstance(value, str):
        at = draw.randrange(len(value) + 1)
        holder[key] = (
            value[:at] + draw.choice(("", "\ud800", "\u0000", "a" * 500, " ", "€", "Ġ", *EXPRESSIONS)) + value[at:]
        )
    elif action == 4 and isinstance(value, int):
        holder[key] = draw.choice([value + 1, -value, value * 2, float(value), str(value), draw.choice(NUMBERS)])
    elif action == 5 and "Regex" in str(value)[:300]:
        holder[key] = {"Regex": draw.choice(EXPRESSIONS)} if key == "pattern" else value
    elif action == 6 and isinstance(holder, dict):  # a key twice, which json.dumps cannot write
        holder[key] = "\u0001twice"
        twice = f"{json.dumps(value)}, {json.dumps(key)}: {raw}"
        return json.dumps(tree).replace('"\\u0001twice"', twice).encode()
    else:  # texts that json.dumps cannot write either
        holder[key] = "\u0001raw"
        return json.dumps(tree).replace('"\\u0001raw"', raw).encode("utf-8", "surrogatepass")
    return json.dumps(tree, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")


def other_number(value: Any, other: Any, draw: random.Random) -> Any:
    """An absurd number instead of ``value``, a neighbour of it, or one that stands elsewhere in the file."""
    near = [value + 1, value - 1, -value, 2 * value, value / 2, value // 2 if value == value else 0, value**3, other]
    return draw.choice([draw.choice(NUMBERS), -draw.choice(NUMBERS), draw.choice(POINTS), draw.choice(near)])


def inner_places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a tree; of long lists and objects only some."""
    items = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    for key, value in items[:3] + items[3 :: max(1, len(items) // 20)]:
        yield tree, key
        yield from inner_places(value)


def safetensors_aware(data: bytes, draw: random.Random) -> bytes:
    """Change the header's tree, and most often let its length agree; or put absurd weights into the data."""
    length = int.from_bytes(data[:8], "little")
    if draw.random() < 0.2 and len(data) > 16 + length:
        out = bytearray(data)
        for _ in range(draw.choice((1, 10, 300))):
            at = 8 + length + draw.randrange((len(data) - 8 - length) // 4) * 4
            out[at : at + 4] = pack_plain(6, draw.choice(POINTS))
        return bytes(out)
    header = json_aware(data[8 : 8 + length], draw)
    said = len(header) if draw.random() < 0.8 else draw.choice(NUMBERS)
    return struct.pack("<Q", said) + header + data[8 + length :]


def template_aware(data: bytes, draw: random.Random) -> bytes:
    """Put a hostile piece of template into the chat template of a ``tokenizer_config.json``."""
    tree = json.loads(data)
    source = tree["chat_template"]
    if isinstance(source, str) and draw.random() < 0.8:
        at = draw.randrange(len(source) + 1)
        end = draw.choice((at, at, min(len(source), at + draw.randint(1, 30))))
        tree["chat_template"] = source[:at] + draw.choice(SNIPPETS) + source[end:]
        return json.dumps(tree).encode()
    return json_aware(data, draw)
