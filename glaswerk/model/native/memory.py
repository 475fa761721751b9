"""Memory for weights that are read from end to end for every token: in large pages where the system has them.

A processor finds an address through a table of pages; with pages of 4 KB the look-ups alone cost a tenth of the
bandwidth, with pages of 2 MB nothing. Linux gives those to regions that ask. Left out: other systems, whose memory is
left as it is.
"""

from __future__ import annotations

import mmap
from threading import Lock

import torch
from torch import Tensor

#: taken from the system at once; several matrices share it. It goes back when the last of them is gone
CHUNK = 32 << 20
PAGE = 2 << 20
LINE = 64


class Region:
    """A stretch of memory that is handed out from its beginning to its end."""

    def __init__(self, size: int) -> None:
        size = -(-size // PAGE) * PAGE
        # one page more, so that it can begin where a large page may begin
        pages = mmap.mmap(-1, size + PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        pages.madvise(mmap.MADV_HUGEPAGE)
        whole = torch.frombuffer(pages, dtype=torch.uint8)
        start = -whole.data_ptr() % PAGE
        self.free = whole[start : start + size]

    def take(self, size: int) -> Tensor | None:
        """``size`` bytes, or None where there are not so many left."""
        if size > len(self.free):
            return None
        taken = self.free[:size]
        self.free = self.free[-(-size // LINE) * LINE :]
        return taken


LOCK = Lock()
CURRENT: list[Region] = []


def lasting(tensor: Tensor) -> Tensor:
    """The same numbers in memory for weights; ``tensor`` itself where there is none such or it is not on the CPU."""
    if tensor.device.type != "cpu" or not hasattr(mmap, "MADV_HUGEPAGE") or not tensor.numel():
        return tensor
    with LOCK:
        place = CURRENT[0].take(tensor.nbytes) if CURRENT else None
        if place is None:
            try:
                region = Region(max(CHUNK, tensor.nbytes))
            except OSError:  # a system built without large pages, or no memory for a whole chunk
                return tensor
            place = region.take(tensor.nbytes)
            assert place is not None
            CURRENT[:] = [region]
    return place.view(tensor.dtype).view(tensor.shape).copy_(tensor)
