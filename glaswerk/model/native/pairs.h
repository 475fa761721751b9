// What attention does with keys and values that lie in pairs of bf16, which one instruction multiplies and adds: a head's
// vector on its way there, and queries that meet keys. Keys lie as [block of 16][D/2][16 keys][2]. Products are bf16,
// sums fp32.
#pragma once
#include "vector.h"
#include <cmath>

// A head's vector on its way from the matrix to the product: norm (or none), rotation (or none), times scale.
inline void turn(float *out, const float *x, const float *weight, const float *cos, const float *sin, int64_t D, float eps, float scale) {
    float squares = 0;
    if (weight) for (int64_t d = 0; d < D; d++) squares += x[d] * x[d];
    float size = weight ? 1.0f / std::sqrt(squares / (float)D + eps) : 1.0f;
    for (int64_t d = 0; d < D; d++) out[d] = x[d] * (weight ? size * weight[d] : 1.0f);
    if (cos)
        for (int64_t i = 0, half = D / 2; i < half; i++) {
            float first = out[i], second = out[half + i];
            out[i] = first * cos[i] + second * sin[i];
            out[half + i] = second * cos[half + i] + first * sin[half + i];
        }
    for (int64_t d = 0; d < D; d++) out[d] *= scale;
}

// scores[r][s] = q[r] . k[s] for the 16 keys of one block, or of two that may lie anywhere.
template <int R, int BLOCKS> INLINE void score(float *scores, int64_t S, const uint32_t *q, const uint32_t *k, const uint32_t *k1, int64_t D) {
    Floats sums[R][BLOCKS] = {};
    for (int64_t d = 0; d < D / 2; d++) {
        Words k0 = load_as<Words>(k + d * LANES), other = BLOCKS > 1 ? load_as<Words>(k1 + d * LANES) : Words{};
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            Words pair = Words{} + q[r * D / 2 + d];
            keep(pair);
            sums[r][0] = dot_pairs(sums[r][0], k0, pair);
            if (BLOCKS > 1) sums[r][BLOCKS - 1] = dot_pairs(sums[r][BLOCKS - 1], other, pair);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
        for (int b = 0; b < BLOCKS; b++) store(scores + r * S + b * LANES, sums[r][b]);
}
