"""The KV cache: keys and values of the tokens already read, in memory that is set aside once.

Shapes: L layers, B batch, G key/value heads, T time, S slots, D head width. Left out: dropping the oldest
tokens; a full cache is an error, generation stops before (``glaswerk/generate``).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from glaswerk.errors import GlaswerkError
from glaswerk.model.config import ModelConfig


class Cache:
    """Room for ``slots`` tokens of ``batch`` rows. ``length`` counts the slots in use; all rows advance
    together, shorter prompts are padded on the left (``pad`` in ``Decoder.hidden``). It may be set back: what comes
    next then overwrites. ``position`` ``[1]`` is the same number where operations can read it.

    Rows may begin alike: ``alike`` is then how many slots are the same in all rows with the same number in ``first_B``,
    which is one of these rows. What knows of it reads these slots once for all of them.
    """

    alike = 0
    first_B: Tensor | None = None
    #: whether :meth:`attend` answers queries itself, as pages do that are read where they lie (``generate/pages.py``)
    in_place = False

    def __init__(
        self,
        config: ModelConfig,
        batch: int = 1,
        slots: int | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.slots = config.context if slots is None else slots
        self._length = np.zeros(1, np.int64)
        self.position = torch.from_numpy(self._length)  # the same memory
        shape = (config.layers, 2, batch, config.kv_heads, self.slots, config.head_width)
        self.kv_L2BGSD = torch.zeros(shape, dtype=dtype, device=device)
        # one view per layer, made once: a slice costs as much as an operation on a small model
        self.layers = [(kv[0], kv[1]) for kv in self.kv_L2BGSD]

    @property
    def length(self) -> int:
        """Slots in use."""
        return int(self._length[0])

    @length.setter
    def length(self, slots: int) -> None:
        self._length[0] = slots

    def room(self, time: int) -> None:
        """Raise :class:`GlaswerkError` unless ``time`` more tokens fit."""
        if self.length + time > self.slots:
            raise GlaswerkError(
                f"{self.length + time} tokens do not fit the {self.slots} slots of the cache; "
                "shorten the prompt or ask for fewer tokens"
            )

    def append(self, layer: int, k_BGTD: Tensor, v_BGTD: Tensor) -> tuple[Tensor, Tensor]:
        """Store the new keys and values after the ``length`` old ones; return all of them: ``[B, G, S, D]``
        with S = length + T, in the dtype of the new ones.

        ``length`` itself is moved once per forward pass, by the decoder, when every layer has stored its own.
        """
        keys, values = self.layers[layer]
        end = self.length + k_BGTD.shape[2]
        keys[:, :, self.length : end] = k_BGTD
        values[:, :, self.length : end] = v_BGTD
        return keys[:, :, :end].to(k_BGTD.dtype), values[:, :, :end].to(v_BGTD.dtype)

    def attend(
        self, layer: int, qkv_BTE: Tensor, q_norm_D: Tensor | None, k_norm_D: Tensor | None, eps: float
    ) -> Tensor:
        """Where ``in_place`` says so: store what is new and look, ``[B, T, H D]``."""
        raise NotImplementedError

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows of the batch only (indices ``[B']``); one may be there several times."""
        self.kv_L2BGSD = self.kv_L2BGSD[:, :, rows]
        self.layers = [(kv[0], kv[1]) for kv in self.kv_L2BGSD]
        if self.first_B is not None:
            self.begin_alike(self.first_B[rows], self.alike)

    def begin_alike(self, which_B: Tensor, slots: int) -> None:
        """Say that rows with the same number in ``which_B`` have the same in their first ``slots``."""
        self.first_B, self.alike = (which_B[:, None] == which_B).int().argmax(1), slots

    def nbytes(self) -> int:
        """Bytes held."""
        return self.kv_L2BGSD.nbytes
