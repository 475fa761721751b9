// Causal attention of many new tokens of one text: their keys and values go into the cache, each query looks at all
// slots up to its own. Two kernels: the first turns keys, fills the cache and lays keys and values out in pairs of bf16;
// the second takes six queries at a time, so that each loaded key or value serves six. Products are bf16, sums fp32.
#include "pairs.h"
#include "step.h"
#include <algorithm>
#include <cmath>
#include <vector>

namespace {

constexpr int TOKENS = 6, BLOCKS = 2;  // queries, and vectors of 16 keys, that meet at once
constexpr int64_t KEYS = BLOCKS * LANES;

int64_t padded(int64_t slots) { return (slots + KEYS - 1) / KEYS * KEYS; }

// Sixteen slots of one key head, [slot][d] in floats.
template <class T>
void block(const Step &s, float *keys, float *values, int64_t g, int64_t slot) {
    int64_t count = s.size[0], H = s.size[1], G = s.size[2], D = s.size[3], slots = s.size[4], start = s.size[6];
    T *cached_keys = s.to<T>(2) + g * slots * D, *cached_values = s.to<T>(3) + g * slots * D;
    for (int64_t i = 0; i < LANES; i++, slot++, keys += D, values += D) {
        T *k = cached_keys + slot * D, *v = cached_values + slot * D;
        if (slot >= start + count) {
            std::fill(keys, keys + D, 0.0f), std::fill(values, values + D, 0.0f);
        } else if (slot < start) {
            for (int64_t d = 0; d < D; d += LANES) store(keys + d, load(k + d)), store(values + d, load(v + d));
        } else {
            int64_t t = slot - start;
            const float *row = s.to<float>(4) + t * (H + 2 * G) * D;
            const float *cos = s.at[6] ? s.to<float>(6) + t * D : nullptr, *sin = s.at[7] ? s.to<float>(7) + t * D : nullptr;
            turn(keys, row + (H + g) * D, s.to<float>(5), cos, sin, D, (float)s.number, 1.0f);
            memcpy(values, row + (H + G + g) * D, D * sizeof(float));
            for (int64_t d = 0; d < D; d += LANES) store(k + d, load(keys + d)), store(v + d, load(values + d));
        }
    }
}

// at: pairs of keys [G, S/16, D/2, 16, 2] and of values [G, S/2, D, 2], both bf16; keys and values of the cache; qkv;
// k's norm, cos, sin or none. size: T new tokens, H, G, D, slots of the cache, bf16 cache, slots in use before;
// number: epsilon of the norm. S: slots in use, filled up to whole pairs of blocks.
template <class T> void lay_out(const Step &s, int thread, int threads) {
    static thread_local std::vector<float> memory;
    int64_t G = s.size[2], D = s.size[3], S = padded(s.size[6] + s.size[0]);
    memory.resize(2 * LANES * D);
    float *keys = memory.data(), *values = keys + LANES * D;
    Part part(G * S / LANES, thread, threads);
    for (int64_t i = part.first; i < part.last; i++) {
        int64_t g = i / (S / LANES), b = i % (S / LANES);
        block<T>(s, keys, values, g, b * LANES);
        bf16 *to = s.to<bf16>(0) + i * LANES * D, *values_to = s.to<bf16>(1) + i * LANES * D;
        float some[2 * LANES];
        for (int64_t d = 0; d < D; d += 2) {
            for (int64_t k = 0; k < LANES; k++) some[2 * k] = keys[k * D + d], some[2 * k + 1] = keys[k * D + d + 1];
            store(to + d * LANES, load(some)), store(to + d * LANES + LANES, load(some + LANES));
        }
        for (int64_t k = 0; k < LANES; k += 2)
            for (int64_t d = 0; d < D; d += LANES) {
                for (int64_t e = 0; e < LANES; e++)
                    some[2 * e] = values[k * D + d + e], some[2 * e + 1] = values[(k + 1) * D + d + e];
                store(values_to + k * D + 2 * d, load(some)), store(values_to + k * D + 2 * d + LANES, load(some + LANES));
            }
    }
}

// out[r] = share[r] * weights[r] . values: 16 W columns from d on.
template <int R, int W>
INLINE void mix(float *out, int64_t stride, const uint32_t *weights, int64_t S, const uint32_t *values, int64_t D, int64_t pairs, const float *share) {
    Floats sums[R][W] = {};
    for (int64_t i = 0; i < pairs; i++) {
        Words v[W];
#pragma GCC unroll 8
        for (int w = 0; w < W; w++) v[w] = load_as<Words>(values + i * D + w * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            Words pair = Words{} + weights[r * S / 2 + i];
            keep(pair);
#pragma GCC unroll 8
            for (int w = 0; w < W; w++) sums[r][w] = dot_pairs(sums[r][w], v[w], pair);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
        for (int w = 0; w < W; w++) store(out + r * stride + w * LANES, sums[r][w] * share[r]);
}

// R queries of one head, from token t on.
template <int R> void attend(const Step &s, float *memory, int64_t h, int64_t t) {
    int64_t H = s.size[1], G = s.size[2], D = s.size[3], start = s.size[6], g = h / (H / G);
    int64_t all_slots = padded(start + s.size[0]), S = padded(start + t + R);
    float *scores = memory, *q = scores + R * S, share[R];
    bf16 *weights = (bf16 *)(q + D), *queries = weights + R * S;  // written as bf16, read in pairs
    for (int r = 0; r < R; r++) {
        const float *cos = s.at[5] ? s.to<float>(5) + (t + r) * D : nullptr, *sin = s.at[6] ? s.to<float>(6) + (t + r) * D : nullptr;
        turn(q, s.to<float>(3) + (t + r) * (H + 2 * G) * D + h * D, s.to<float>(4), cos, sin, D, (float)s.number, 1.0f / std::sqrt((float)D));
        for (int64_t d = 0; d < D; d += LANES) store(queries + r * D + d, load(q + d));
    }
    const uint32_t *keys = s.to<uint32_t>(1) + g * all_slots * D / 2, *values = s.to<uint32_t>(2) + g * all_slots * D / 2;
    for (int64_t k = 0; k < S; k += KEYS) score<R, BLOCKS>(scores + k, S, (uint32_t *)queries, keys + k * D / 2, keys + (k + LANES) * D / 2, D);
    for (int r = 0; r < R; r++) {
        float *row = scores + r * S;
        int32_t seen = (int32_t)(start + t + r + 1);
        Floats most = all(-INFINITY), sums = {};
        for (int32_t k = 0; k < S; k += LANES) {
            Floats v = NUMBERED + k < seen ? load(row + k) : all(-INFINITY);
            most = larger(v, most);
        }
        float top = largest(most);
        for (int32_t k = 0; k < S; k += LANES) {
            Floats e = exp(load(row + k) - top);
            e = NUMBERED + k < seen ? e : Floats{};
            sums += e;
            store(weights + r * S + k, e);
        }
        share[r] = 1.0f / sum(sums);
    }
    float *out = s.to<float>(0) + t * H * D + h * D;
    int64_t d = 0;
    for (; d + 4 * LANES <= D; d += 4 * LANES) mix<R, 4>(out + d, H * D, (uint32_t *)weights, S, values + d, D, S / 2, share);
    for (; d < D; d += LANES) mix<R, 1>(out + d, H * D, (uint32_t *)weights, S, values + d, D, S / 2, share);
}

}  // namespace

extern "C" void gw_lay_out(const Step &s, int thread, int threads) {
    s.size[5] ? lay_out<bf16>(s, thread, threads) : lay_out<float>(s, thread, threads);
}

// at: out, pairs of keys, pairs of values, qkv, q's norm, cos, sin or none; size and number as above. Later queries see
// more keys, so the threads take turns.
extern "C" void gw_attend_many(const Step &s, int thread, int threads) {
    static thread_local std::vector<float> memory;
    int64_t count = s.size[0], H = s.size[1], D = s.size[3], S = padded(s.size[6] + count);
    memory.resize(2 * TOKENS * S + (TOKENS + 1) * D);
    int64_t groups = (count + TOKENS - 1) / TOKENS;
    for (int64_t i = thread; i < groups * H; i += threads) {
        int64_t h = i % H, t = i / H * TOKENS;
        switch (std::min<int64_t>(TOKENS, count - t)) {
            case 6: attend<6>(s, memory.data(), h, t); break;
            case 5: attend<5>(s, memory.data(), h, t); break;
            case 4: attend<4>(s, memory.data(), h, t); break;
            case 3: attend<3>(s, memory.data(), h, t); break;
            case 2: attend<2>(s, memory.data(), h, t); break;
            default: attend<1>(s, memory.data(), h, t);
        }
    }
}
