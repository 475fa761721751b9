"""The KV cache of many texts at once, in pages (Kwon et al. 2023, PagedAttention).

A page holds the keys and values of ``size`` tokens. A text owns a list of pages that may lie anywhere, so memory is
taken as the text grows and no place is kept for tokens that never come. A full page has a *name*: a hash of its tokens
and of the page before it, back to a salt. Texts that begin alike, under one salt, find the same names and share the
pages; nobody ever writes into a full page. A page that nobody uses keeps its name until its memory is needed.

:class:`Pages` only counts, :class:`Store` has the numbers, and :class:`Paged` is what the decoder's one forward pass
sees of them: keys and values copied together for each layer of each pass, on any device and in any dtype. Left out:
who gets how many (``engine.py``), pages on disk, the fast way of quantized models, which reads pages where they lie
(``inplace.py``).

Shapes: L layers, B batch, G key/value heads, T time, S slots of the longest row, N slots of all pages, D head width.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from glaswerk.model.cache import Cache
from glaswerk.model.config import ModelConfig


def page_name(before: bytes, tokens: Sequence[int]) -> bytes:
    """The name of a full page: ``before`` is that of the page before it, or the salt."""
    return hashlib.sha256(before + array("q", tokens).tobytes()).digest()


class Pages:
    """``count`` pages, numbered from 1, and who uses them. Page 0 stands for "nothing is here" and stays zero.

    Every page is *free*, *idle* (unused, but its name may still be asked for) or used ``uses[page]`` times.
    """

    def __init__(self, count: int, size: int) -> None:
        self.count, self.size = count, size
        self.uses = [0] * (count + 1)
        self.free = list(range(count, 0, -1))
        self.idle: OrderedDict[int, None] = OrderedDict()  # the longest unused first
        self.pages: dict[bytes, int] = {}
        self.names: dict[int, bytes] = {}

    @property
    def available(self) -> int:
        """Pages that can be taken."""
        return len(self.free) + len(self.idle)

    def take(self) -> int | None:
        """A page for one user, or None where all are used. An idle one is forgotten for it, the longest unused."""
        if self.free:
            page = self.free.pop()
        elif self.idle:
            page, _ = self.idle.popitem(last=False)
            del self.pages[self.names.pop(page)]
        else:
            return None
        self.uses[page] = 1
        return page

    def share(self, name: bytes) -> int | None:
        """One more user for the page of this name, or None where there is none."""
        page = self.pages.get(name)
        if page is not None:
            self.idle.pop(page, None)
            self.uses[page] += 1
        return page

    def name(self, page: int, name: bytes) -> None:
        """From now on the page, which is full, can be found. The first page of a name keeps it."""
        if name not in self.pages and page not in self.names:
            self.pages[name] = page
            self.names[page] = name

    def release(self, pages: Sequence[int]) -> None:
        """One user less for each. The last page of a text becomes idle first and so is forgotten first: without the
        pages before it it could not be found."""
        for page in reversed(pages):
            self.uses[page] -= 1
            if self.uses[page] == 0:
                if page in self.names:
                    self.idle[page] = None
                else:
                    self.free.append(page)


class Store:
    """The memory of all pages, one tensor of keys and one of values ``[N, G, D]`` per layer. Page ``p`` is the slots
    ``p size`` to ``(p + 1) size``; how the numbers lie inside is the matter of who reads them."""

    def __init__(
        self, config: ModelConfig, pages: int, size: int, dtype: torch.dtype, device: torch.device | str
    ) -> None:
        self.size = size
        self.kv_L2NGD = torch.zeros(
            (config.layers, 2, (pages + 1) * size, config.kv_heads, config.head_width), dtype=dtype, device=device
        )
        self.layers = [(kv[0], kv[1]) for kv in self.kv_L2NGD]


class Paged(Cache):
    """One forward pass over rows of different lengths: row ``b`` has read ``starts[b]`` tokens, into the pages
    ``tables[b]``, and now reads ``counts[b]`` more (with padding on the right, up to the longest count).

    ``positions_BT`` and ``mask_BTS`` are what ``Decoder.hidden`` needs with it. A row sees nothing but its own tokens:
    slots after its end are copied from page 0, so that not even a NaN left in memory can reach it.
    """

    def __init__(
        self, store: Store, tables: Sequence[Sequence[int]], starts: Sequence[int], counts: Sequence[int]
    ) -> None:
        # the memory is the store's, so nothing of Cache.__init__ is wanted but these two
        self._length, self.layers = np.zeros(1, np.int64), store.layers
        device = store.kv_L2NGD.device
        start_B, count_B = torch.tensor(starts), torch.tensor(counts)
        self.slots = int((start_B + count_B).max())
        widest = max(len(table) for table in tables)
        table_BP = torch.tensor([[*table, *[0] * (widest - len(table))] for table in tables])
        slot_S, time_T = torch.arange(self.slots), torch.arange(int(count_B.max()))
        there_BS = slot_S < (start_B + count_B)[:, None]
        index_BS = torch.where(there_BS, table_BP[:, slot_S // store.size] * store.size + slot_S % store.size, 0)
        real_BT = time_T < count_B[:, None]
        positions_BT = torch.where(real_BT, start_B[:, None] + time_T, 0)  # padding stands, and looks, at the first
        self.into = index_BS.gather(1, positions_BT)[real_BT].to(device)
        self.real = real_BT.flatten().nonzero().flatten().to(device)
        self.index_BS = index_BS.to(device)
        self.positions_BT = positions_BT.to(device)
        self.mask_BTS = (slot_S <= positions_BT[:, :, None]).to(device)

    def room(self, time: int) -> None:
        """The pages were taken before."""

    def append(self, layer: int, k_BGTD: Tensor, v_BGTD: Tensor) -> tuple[Tensor, Tensor]:
        """Store what is new in its pages; return each row's keys and values side by side, ``[B, G, S, D]``."""
        keys, values = self.layers[layer]
        return self._through(keys, k_BGTD), self._through(values, v_BGTD)

    def _through(self, memory_NGD: Tensor, new_BGTD: Tensor) -> Tensor:
        new = new_BGTD.transpose(1, 2).flatten(0, 1)[self.real]
        memory_NGD.index_copy_(0, self.into, new.to(memory_NGD.dtype))
        return memory_NGD[self.index_BS].transpose(1, 2).to(new_BGTD.dtype)

    def keep(self, rows: Tensor) -> None:
        """Not here: the next pass is made anew, of the rows that are then there."""
        raise NotImplementedError

    def nbytes(self) -> int:
        """Bytes held: none of its own."""
        return 0
