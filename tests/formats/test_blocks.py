"""The block formats against the `gguf` package: unpacking any bytes, packing any weights, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

from glaswerk.formats.blocks import KINDS, PACK, UNPACK, dequantize, quantize, row_bytes

gguf = pytest.importorskip("gguf")


def theirs(kind: str) -> object:
    return gguf.GGMLQuantizationType[kind]


def test_the_sizes_are_those_of_ggml() -> None:
    for kind, (weights, size) in ((kind, gguf.GGML_QUANT_SIZES[theirs(kind)]) for kind in KINDS):
        assert (KINDS[kind].weights, KINDS[kind].bytes) == (weights, size)
    assert set(UNPACK) == set(KINDS) and set(PACK) < set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_any_bytes_unpack_alike(kind: str) -> None:
    raw = np.random.default_rng(1).integers(0, 256, (300, row_bytes(kind, 512)), np.uint8)
    with np.errstate(invalid="ignore", over="ignore"):  # random bytes are also infinities, and none is excused
        ours = dequantize(kind, raw)
        expected = gguf.quants.dequantize(raw, theirs(kind)) if kind not in ("F32", "F16") else None
    if expected is None:
        expected = raw.view({"F32": np.float32, "F16": np.float16}[kind]).astype(np.float32)
    assert ours.shape == (300, 512) and ours.dtype == np.float32
    np.testing.assert_array_equal(ours, expected)
    assert np.isfinite(ours).mean() > 0.9


@pytest.mark.parametrize("kind", [kind for kind in PACK if kind not in ("F32", "F16")])
def test_any_weights_pack_alike(kind: str) -> None:
    draw = np.random.default_rng(2)
    weights = draw.normal(0, 1, (400, 256)).astype(np.float32)
    weights[:100] *= 10.0 ** draw.integers(-6, 4, (100, 1))
    weights[100:120] = np.round(weights[100:120] * 4) / 4  # ties
    weights[120] = 0
    weights[121, :32] = 3.5  # all alike
    np.testing.assert_array_equal(quantize(kind, weights), gguf.quants.quantize(weights, theirs(kind)))


@pytest.mark.parametrize(("kind", "error"), [("F32", 0), ("F16", 5e-4), ("Q8_0", 6e-3), ("Q4_1", 0.08), ("Q4_0", 0.1)])
def test_packing_and_unpacking_comes_back_close(kind: str, error: float) -> None:
    weights = np.random.default_rng(3).normal(0, 1, (64, 128)).astype(np.float32)
    back = dequantize(kind, quantize(kind, weights))
    assert np.linalg.norm(back - weights) <= error * np.linalg.norm(weights)
    if error:
        assert np.linalg.norm(back - weights) > 0.1 * error * np.linalg.norm(weights)
