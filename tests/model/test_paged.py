"""Attention over pages where they lie, against its plain form."""

from __future__ import annotations

import random

import pytest
import torch

from glaswerk.model.native import paged
from glaswerk.model.native.build import library
from glaswerk.model.native.ops import PLAIN

pytestmark = pytest.mark.skipif(library() is None, reason="no C++ compiler")
#: pages of the longest text, pages in all
WIDTH, PAGES = 6, 24


def passes(rng: random.Random, page: int) -> tuple[torch.Tensor, int]:
    """A plan: some texts that begin with the same pages, a few new tokens of each; and how many tokens."""
    free = list(range(4, PAGES + 1))
    rng.shuffle(free)
    position, row, last, same, tables = [], [], [], [], []
    before: list[int] = []
    for text in range(rng.choice([1, 2, 5])):
        alike = rng.choice([0, 1, 2])
        table = [1, 2, 3][:alike] + [free.pop() for _ in range(4 - alike)]
        start, count = rng.randrange(alike * page, 3 * page + 5), rng.choice([1, 1, 3, 9])
        common = next((n for n, (a, b) in enumerate(zip(before, table, strict=False)) if a != b), 0)
        position += range(start, start + count)
        row += [text] * count
        last += [0] * (count - 1) + [1]
        same += [common * page // paged.BLOCK] + [1 << 40] * (count - 1)
        tables += [*table, *[0] * (WIDTH - len(table))]
        before = table
    return torch.tensor([*position, *row, *last, *same, *tables]), len(position)


@pytest.mark.parametrize("seed", range(24))
def test_equal_to_the_plain_form(seed: int) -> None:
    rng = random.Random(seed)
    torch.manual_seed(seed)
    page, groups, width = rng.choice([16, 32]), rng.choice([1, 2, 3]), rng.choice([16, 32, 64, 80])
    heads = groups * rng.choice([1, 2, 3, 4, 7, 8])
    plan, tokens = passes(rng, page)
    kv = torch.randn(2, (PAGES + 1) * page, groups, width).bfloat16()
    qkv = torch.randn(1, tokens, (heads + 2 * groups) * width)
    norm = torch.rand(width) + 0.5 if rng.random() < 0.5 else None
    angle = torch.randn(5 * page, width // 2)
    turn = [torch.cat([angle.cos()] * 2, -1), torch.cat([-angle.sin(), angle.sin()], -1)] if seed % 3 else [None, None]
    native, plain = kv.clone(), kv.clone()
    with torch.inference_mode():
        queries = paged.store_pages(qkv, native, norm, norm, *turn, plan, page, WIDTH, 1e-5)
        expected = PLAIN["store_pages"](qkv, plain, norm, norm, *turn, plan, page, WIDTH, 1e-5)
        # bf16 has 8 bits: numbers that lie between two of them may go either way
        torch.testing.assert_close(queries, expected, rtol=2**-7, atol=1e-4)
        torch.testing.assert_close(native, plain, rtol=2**-7, atol=1e-4)
        assert torch.equal((native != kv), (plain != kv))  # nothing else was written
        found = paged.attend_pages(expected, plain, plan, page, WIDTH)
        plain_found = PLAIN["attend_pages"](expected, plain, plan, page, WIDTH)
        torch.testing.assert_close(found, plain_found, rtol=2**-7, atol=1e-2)


def test_a_query_adds_up_alike_whoever_is_beside_it() -> None:
    """Bitwise: texts that share two pages, together and each alone."""
    torch.manual_seed(1)
    page, groups, heads, width = 16, 2, 6, 32
    kv, queries = torch.randn(2, 10 * page, groups, width).bfloat16(), torch.randn(3, heads, width).bfloat16()
    tables, position = torch.tensor([[1, 2, 3], [1, 2, 4], [1, 2, 5]]), torch.tensor([40, 33, 47])

    def look(texts: list[int], same: list[int]) -> torch.Tensor:
        ends = torch.ones(len(texts), dtype=torch.long)
        plan = torch.cat([position[texts], torch.arange(len(texts)), ends, torch.tensor(same), tables[texts].flatten()])
        return paged.attend_pages(queries[texts], kv, plan, page, 3)[0]

    with torch.inference_mode():
        together = look([0, 1, 2], [0, 2, 2])
        assert torch.equal(together, look([0, 1, 2], [0, 0, 0]))
        assert torch.equal(together, torch.cat([look([text], [0]) for text in range(3)]))
