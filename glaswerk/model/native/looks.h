// What a query does with the keys and values of a cache: score, soften, mix. For up to four queries at once that share
// them; values fp32 or bf16, sums fp32.
#pragma once
#include "vector.h"
#include <cmath>

constexpr int KEYS = 4;  // that meet the queries at once: R x KEYS sums must fit the registers

// q . k over D numbers.
template <class T> INLINE float dot(const float *q, const T *k, int64_t D) {
    Floats a = {};
    for (int64_t d = 0; d < D; d += LANES) a += load(q + d, D - d) * load(k + d, D - d);
    return sum(a);
}

// scores[r][i] = scale * q[r] . k[i] for R queries and 16 keys.
template <int R, class T> INLINE void score(float *scores, int64_t stride, const float *q, const T *keys, int64_t D, float scale) {
    Floats all_sums[R][LANES];
    for (int i = 0; i < LANES; i += KEYS) {
        Floats sums[R][KEYS] = {};
        for (int64_t d = 0; d < D; d += LANES) {
            Floats k[KEYS];
#pragma GCC unroll 8
            for (int j = 0; j < KEYS; j++) k[j] = load(keys + (i + j) * D + d, D - d);
#pragma GCC unroll 8
            for (int r = 0; r < R; r++) {
                Floats some = load(q + r * D + d, D - d);
#pragma GCC unroll 8
                for (int j = 0; j < KEYS; j++) sums[r][j] += some * k[j];
            }
        }
#pragma GCC unroll 8
        for (int r = 0; r < R; r++)
            for (int j = 0; j < KEYS; j++) all_sums[r][i + j] = sums[r][j];
    }
    for (int r = 0; r < R; r++) store(scores + r * stride, scale * sum_each(all_sums[r]));
}

// out[r] += weights[r] . values: columns [d, d + 16 W) of D, over `slots` slots, for R queries.
template <int R, int W, class T>
INLINE void mix(float *out, const float *weights, int64_t stride, const T *values, int64_t slots, int64_t d, int64_t D) {
    Floats sums[R][W];
    for (int r = 0; r < R; r++)
        for (int w = 0; w < W; w++) sums[r][w] = load(out + r * D + d + w * LANES, D - d - w * LANES);
    for (int64_t s = 0; s < slots; s++)
#pragma GCC unroll 8
        for (int w = 0; w < W; w++) {
            Floats v = load(values + s * D + d + w * LANES, D - d - w * LANES);
#pragma GCC unroll 8
            for (int r = 0; r < R; r++) sums[r][w] += weights[r * stride + s] * v;
        }
    for (int r = 0; r < R; r++)
        for (int w = 0; w < W; w++) store(out + r * D + d + w * LANES, sums[r][w], D - d - w * LANES);
}

// Scores to weights, not yet divided by their sum, which is returned. The 16 numbers behind them are overwritten.
INLINE float soften(float *row, int64_t count) {
    for (int i = 0; i < LANES; i++) row[count + i] = -INFINITY;
    Floats most = all(-INFINITY), total = {};
    for (int64_t i = 0; i < count; i += LANES) most = larger(load(row + i), most);
    float top = largest(most);
    for (int64_t i = 0; i < count; i += LANES) {
        Floats w = load(row + i), e = exp(w - top);
        e = w == -INFINITY ? Floats{} : e;
        total += e;
        store(row + i, e);
    }
    return sum(total);
}
