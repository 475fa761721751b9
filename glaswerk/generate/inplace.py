"""One pass over texts whose keys and values are read where they lie, in the pages of ``pages.py``.

Tokens of all texts stand side by side, ``[1, N]``, without padding: a pass may read one token of each text, whole
prompts, or both. Texts that begin with the same pages should be neighbours: what looks (``model/native/paged.py``) then
reads these once for several. A pass of one token for each of N texts is recorded as a program the first time and is one
call afterwards.

What is computed for a token does not depend on its company, to the last bit, but for one case: a token all alone takes
the operations for one token, which are quicker and round less. :meth:`Passes.read` can be told not to.

Left out: models whose matrices are not quantized, and devices other than the CPU (``pages.py`` has the general way).

Shapes: N tokens, B texts, W most pages of a text, C width, E outputs of the matrix for queries, keys and values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from glaswerk.generate.pages import Store
from glaswerk.generate.program import Recorder, Recording, Unrecordable
from glaswerk.model.cache import Cache
from glaswerk.model.decoder import Decoder
from glaswerk.model.native import many, paged

#: more blocks than a text can have
ALL = 1 << 40


def fits(model: Decoder, page: int) -> bool:
    """Whether a model and pages of so many slots are made for this way."""
    weight = model.norm.get_parameter("weight")
    plain = model.compute_dtype is None and weight.dtype == torch.float32 and page % paged.BLOCK == 0
    with torch.inference_mode():
        return plain and model.in_bytes(weight)


class InPlace(Cache):
    """The pages as the decoder's forward pass sees them, for ``tokens`` tokens of up to ``texts`` texts."""

    in_place = True

    def __init__(self, model: Decoder, store: Store, tokens: int, texts: int, width: int) -> None:
        self._length, self.layers = np.zeros(1, np.int64), store.layers
        self.store, self.tokens, self.width = store, tokens, width
        self.rotary = model.rotary
        if self.rotary is not None:
            self.rotary.reach(model.config.context)
        self._plan = np.zeros(4 * tokens + texts * width, np.int64)
        self.plan = torch.from_numpy(self._plan)
        self.positions_1N = self.plan[None, :tokens]

    def set(self, tables: Sequence[Sequence[int]], starts: Sequence[int], counts: Sequence[int]) -> None:
        """The pass is about ``counts[b]`` tokens of each text, which has read ``starts[b]``, with these pages."""
        size, N, B = self.store.size, self.tokens, len(tables)
        position, row, last, same = self._plan[: 4 * N].reshape(4, N)
        table_BW = self._plan[4 * N :].reshape(-1, self.width)
        widest = max(map(len, tables))
        for text, table in enumerate(tables):
            table_BW[text, : len(table)] = table
            table_BW[text, len(table) : widest] = 0
        count_B = np.asarray(counts)
        first_B = count_B.cumsum() - count_B
        row[:] = np.repeat(np.arange(B), count_B)
        position[:] = np.asarray(starts)[row] + np.arange(N) - first_B[row]
        last[:] = 0
        last[first_B + count_B - 1] = 1
        alike = (table_BW[1:B, :widest] == table_BW[: B - 1, :widest]) & (table_BW[1:B, :widest] > 0)
        same[:] = ALL
        same[0] = 0
        same[first_B[1:]] = np.minimum.accumulate(alike, 1).sum(1) * (size // paged.BLOCK)

    def room(self, time: int) -> None:
        """The pages were taken before."""

    def attend(
        self, layer: int, qkv_1NE: Tensor, q_norm_D: Tensor | None, k_norm_D: Tensor | None, eps: float
    ) -> Tensor:
        """Store what is new in its pages and look, ``[1, N, H D]``."""
        kv_2NGD = self.store.kv_L2NGD[layer]
        cos, sin = (None, None) if self.rotary is None else (self.rotary.cos_PD, self.rotary.sin_PD)
        where = self.plan, self.store.size, self.width
        q_NHD = paged.store_pages(qkv_1NE, kv_2NGD, q_norm_D, k_norm_D, cos, sin, *where, eps)
        out_1NE: Tensor = paged.attend_pages(q_NHD, kv_2NGD, *where)
        return out_1NE

    def nbytes(self) -> int:
        """Bytes held: none of its own."""
        return 0


class Passes:
    """The passes of one model over one store; recorded ones are kept by the number of their texts."""

    def __init__(self, model: Decoder, store: Store) -> None:
        self.model, self.store = model, store
        self.width = -(-model.config.context // store.size)
        self.recorded: dict[int, tuple[InPlace, Tensor, Recording, Tensor] | None] = {}
        self.threads = 0

    def read(
        self,
        ids: Sequence[int],
        tables: Sequence[Sequence[int]],
        starts: Sequence[int],
        counts: Sequence[int],
        record: bool = True,
        invariant: bool = False,
    ) -> Tensor:
        """The hidden vectors ``[N, C]`` of the texts' new tokens ``ids``, text after text; valid until the next pass.
        ``record``: whether a pass of single tokens may be kept as a program. ``invariant``: a token alone is computed
        as in company."""
        if invariant and len(ids) == 1:  # its own company: it writes the same into the same place
            return self.read([*ids] * 2, [*tables] * 2, [*starts] * 2, [*counts] * 2, record)[:1]
        count = len(ids)
        if self.threads != torch.get_num_threads():
            self.recorded.clear()
            self.threads = torch.get_num_threads()
        single = record and count == len(tables)
        found = self.recorded.get(count) if single else None
        if found is not None:
            cache, ids_1N, recording, x_1NC = found
            cache.set(tables, starts, counts)
            ids_1N[0] = torch.tensor(ids)
            recording.run()
            return x_1NC[0]
        width = self.width if single else max(map(len, tables))
        cache = InPlace(self.model, self.store, count, len(tables), width)
        cache.set(tables, starts, counts)
        ids_1N = torch.tensor([ids])
        if single and count not in self.recorded:
            self.recorded[count] = None
            try:
                with many.prompt(), Recorder() as recorder:
                    x_1NC = self.model.hidden(ids_1N, cache=cache, positions=cache.positions_1N)
                self.recorded[count] = cache, ids_1N, Recording(recorder.calls, (x_1NC,)), x_1NC
                return x_1NC[0]
            except Unrecordable:  # what it has stored is stored again
                pass
        with many.prompt():
            return self.model.hidden(ids_1N, cache=cache, positions=cache.positions_1N)[0]
