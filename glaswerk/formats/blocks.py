"""The number formats inside GGUF files: weights in blocks that share a scale, unpacked and packed with NumPy.

A row of a matrix is cut into blocks of 32 neighbours (256 in the K formats). A block holds small whole numbers ``q``
and what turns them back: ``w = d q`` (Q8_0, Q4_0, Q5_0), ``w = d q + m`` (Q4_1, Q5_1), or scales and offsets of
sub-blocks that are themselves 6-bit multiples of one scale and one offset (K). The definitions are ggml's. Left out:
products without unpacking (``model/quantize.py``), packing into the K formats, and the IQ formats.

Shapes: N rows, K weights of a row, B blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Kind:
    """A format: so many weights in so many bytes."""

    weights: int
    bytes: int


KINDS = {
    "F32": Kind(1, 4),
    "F16": Kind(1, 2),
    "BF16": Kind(1, 2),
    "Q8_0": Kind(32, 34),
    "Q4_0": Kind(32, 18),
    "Q4_1": Kind(32, 20),
    "Q5_0": Kind(32, 22),
    "Q5_1": Kind(32, 24),
    "Q4_K": Kind(256, 144),
    "Q5_K": Kind(256, 176),
    "Q6_K": Kind(256, 210),
}


def row_bytes(kind: str, width: int) -> int:
    """Bytes of a row of ``width`` weights, which is a multiple of the format's block."""
    return width // KINDS[kind].weights * KINDS[kind].bytes


# ---------------------------------------------------------------------------------------------- unpacking
def dequantize(kind: str, raw: np.ndarray) -> np.ndarray:
    """The weights ``[N, K]`` (fp32) of rows of bytes ``[N, bytes of a row]`` (uint8)."""
    rows, width = raw.shape
    blocks = np.ascontiguousarray(raw).reshape(-1, KINDS[kind].bytes)
    weights = UNPACK[kind](blocks)
    return weights.reshape(rows, width // KINDS[kind].bytes * KINDS[kind].weights)


def half(blocks: np.ndarray, at: int) -> np.ndarray:
    """The fp16 number at byte ``at`` of each block, fp32 ``[B, 1]``."""
    return np.ascontiguousarray(blocks[:, at : at + 2]).view("<f2").astype(np.float32)


def nibbles(packed: np.ndarray) -> np.ndarray:
    """``[B, n]`` bytes -> ``[B, 2n]``: the low halves of all bytes, then the high halves."""
    return np.concatenate((packed & 15, packed >> 4), -1)


def bits(packed: np.ndarray) -> np.ndarray:
    """``[B, n]`` bytes -> ``[B, 8n]`` bits, lowest first."""
    return np.unpackbits(np.ascontiguousarray(packed), axis=-1, bitorder="little")


def from_f32(blocks: np.ndarray) -> np.ndarray:
    """fp32."""
    return blocks.view("<f4").astype(np.float32)


def from_f16(blocks: np.ndarray) -> np.ndarray:
    """IEEE half precision."""
    return blocks.view("<f2").astype(np.float32)


def from_bf16(blocks: np.ndarray) -> np.ndarray:
    """The upper half of an fp32."""
    return (blocks.view("<u2").astype(np.uint32) << 16).view(np.float32)


def from_q8_0(blocks: np.ndarray) -> np.ndarray:
    """d (fp16), 32 signed bytes."""
    return half(blocks, 0) * blocks[:, 2:].view(np.int8)


def from_q4_0(blocks: np.ndarray) -> np.ndarray:
    """d (fp16), 32 half bytes that stand for -8 to 7."""
    return half(blocks, 0) * (nibbles(blocks[:, 2:]).astype(np.int8) - np.int8(8))


def from_q4_1(blocks: np.ndarray) -> np.ndarray:
    """d and m (fp16), 32 half bytes."""
    return half(blocks, 0) * nibbles(blocks[:, 4:]) + half(blocks, 2)


def from_q5_0(blocks: np.ndarray) -> np.ndarray:
    """d (fp16), 32 fifth bits, 32 half bytes; they stand for -16 to 15."""
    q = nibbles(blocks[:, 6:]) | bits(blocks[:, 2:6]) << 4
    return half(blocks, 0) * (q.astype(np.int8) - np.int8(16))


def from_q5_1(blocks: np.ndarray) -> np.ndarray:
    """d and m (fp16), 32 fifth bits, 32 half bytes."""
    return half(blocks, 0) * (nibbles(blocks[:, 8:]) | bits(blocks[:, 4:8]) << 4) + half(blocks, 2)


def scales_k(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset of the 8 sub-blocks of Q4_K and Q5_K, fp32 ``[B, 8, 1]`` each: 6-bit numbers in 12 bytes,
    times the block's two fp16 numbers."""
    low, mid, high = np.split(blocks[:, 4:16], 3, axis=-1)
    scale = np.concatenate((low & 63, (high & 15) | (low >> 6) << 4), -1)
    offset = np.concatenate((mid & 63, (high >> 4) | (mid >> 6) << 4), -1)
    return (half(blocks, 0) * scale)[..., None], (half(blocks, 2) * offset)[..., None]


def from_q4_k(blocks: np.ndarray) -> np.ndarray:
    """d, dmin, 12 bytes of scales and offsets, 4 x 32 bytes: low halves are one sub-block, high halves the next."""
    scale, offset = scales_k(blocks)
    q = nibbles(blocks[:, 16:].reshape(-1, 4, 32)).reshape(-1, 8, 32)
    return scale * q - offset


def from_q5_k(blocks: np.ndarray) -> np.ndarray:
    """As Q4_K, with 32 bytes of fifth bits: bit ``s`` of byte ``i`` belongs to weight ``i`` of sub-block ``s``."""
    scale, offset = scales_k(blocks)
    fifth = bits(blocks[:, 16:48, None]).transpose(0, 2, 1)
    q = nibbles(blocks[:, 48:].reshape(-1, 4, 32)).reshape(-1, 8, 32) | fifth << 4
    return scale * q - offset


def from_q6_k(blocks: np.ndarray) -> np.ndarray:
    """128 bytes of low halves, 64 bytes of upper pairs of bits, 16 signed scales, d; for -32 to 31."""
    low = nibbles(blocks[:, :128].reshape(-1, 2, 64)).reshape(-1, 2, 4, 32)
    pairs = blocks[:, 128:192].reshape(-1, 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8).reshape(4, 1) & 3
    q = (low | pairs << 4).astype(np.int8) - np.int8(32)
    scale = half(blocks, 208) * blocks[:, 192:208].view(np.int8)
    return q.reshape(-1, 16, 16) * scale[..., None]


UNPACK: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "F32": from_f32,
    "F16": from_f16,
    "BF16": from_bf16,
    "Q8_0": from_q8_0,
    "Q4_0": from_q4_0,
    "Q4_1": from_q4_1,
    "Q5_0": from_q5_0,
    "Q5_1": from_q5_1,
    "Q4_K": from_q4_k,
    "Q5_K": from_q5_k,
    "Q6_K": from_q6_k,
}


# ---------------------------------------------------------------------------------------------- packing
def quantize(kind: str, weights: np.ndarray) -> np.ndarray:
    """Rows of bytes (uint8 ``[N, bytes of a row]``) for weights ``[N, K]``; ``kind`` is one of :data:`PACK`.

    K is a multiple of the format's block and the weights are finite; the caller sees to both.
    """
    rows, width = weights.shape
    blocks = np.ascontiguousarray(weights, np.float32).reshape(-1, KINDS[kind].weights)
    return PACK[kind](blocks).reshape(rows, row_bytes(kind, width))


def to_f32(blocks: np.ndarray) -> np.ndarray:
    """fp32 as it is."""
    return blocks.astype("<f4").view(np.uint8)


def to_f16(blocks: np.ndarray) -> np.ndarray:
    """Rounded to the nearest half-precision number."""
    return blocks.astype("<f2").view(np.uint8)


def to_q8_0(blocks: np.ndarray) -> np.ndarray:
    """The largest of each block becomes 127 or -127."""
    d = np.abs(blocks).max(1, keepdims=True) / np.float32(127)
    q = away(blocks * inverse(d))
    return np.concatenate((d.astype("<f2").view(np.uint8), q.astype(np.int8).view(np.uint8)), 1)


def to_q4_0(blocks: np.ndarray) -> np.ndarray:
    """The number farthest from 0 becomes -8, so that the scale takes its sign."""
    far = np.take_along_axis(blocks, np.abs(blocks).argmax(1, keepdims=True), 1)
    d = far / np.float32(-8)
    q = np.floor(blocks * inverse(d) + np.float32(8.5)).clip(0, 15).astype(np.uint8)
    return np.concatenate((d.astype("<f2").view(np.uint8), halves(q)), 1)


def to_q4_1(blocks: np.ndarray) -> np.ndarray:
    """The smallest number becomes 0, the largest 15."""
    low, high = blocks.min(1, keepdims=True), blocks.max(1, keepdims=True)
    d = (high - low) / np.float32(15)
    q = np.floor((blocks - low) * inverse(d) + np.float32(0.5)).clip(0, 15).astype(np.uint8)
    return np.concatenate((d.astype("<f2").view(np.uint8), low.astype("<f2").view(np.uint8), halves(q)), 1)


def inverse(d: np.ndarray) -> np.ndarray:
    """1 / d, and 0 where d is 0."""
    with np.errstate(divide="ignore", over="ignore"):
        return np.where(d == 0, np.float32(0), np.float32(1) / d)


def away(x: np.ndarray) -> np.ndarray:
    """Rounded to whole numbers, halves away from 0."""
    return np.copysign(np.floor(np.abs(x) + np.float32(0.5)), x)


def halves(q: np.ndarray) -> np.ndarray:
    """``[B, 32]`` numbers below 16 as ``[B, 16]`` bytes: the first 16 in the low halves."""
    return q[:, :16] | q[:, 16:] << 4


PACK: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "F32": to_f32,
    "F16": to_f16,
    "Q8_0": to_q8_0,
    "Q4_0": to_q4_0,
    "Q4_1": to_q4_1,
}
