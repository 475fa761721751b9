// Matrix times vector: y = W x + b. At batch 1 every weight is read once and used once, so the speed of memory is the
// limit, and what counts is how few bytes a weight has. Shared: each thread takes some of the rows.
#include "linear.h"
#include "step.h"
#include "vector.h"
#include <vector>

// ------------------------------------------------------------------------------------------ fp32 and bf16 weights
// at: out, x, weight, bias or none; size: N, K, bf16.
template <class T> static void linear(const Step &s, int thread, int threads) {
    int64_t N = s.size[0], K = s.size[1];
    const float *x = s.to<float>(1);
    const T *bias = s.to<T>(3);
    Part part(N, thread, threads);
    int64_t n = part.first;
    for (; n + 4 <= part.last; n += 4) {  // four rows share what is loaded of x
        const T *w = s.to<T>(2) + n * K;
        Floats a = {}, b = {}, c = {}, d = {};
        for (int64_t k = 0; k < K; k += LANES) {
            Floats v = load(x + k, K - k);
            a += v * load(w + k, K - k);
            b += v * load(w + K + k, K - k);
            c += v * load(w + 2 * K + k, K - k);
            d += v * load(w + 3 * K + k, K - k);
        }
        float y[4] = {sum(a), sum(b), sum(c), sum(d)};
        for (int i = 0; i < 4; i++) s.to<float>(0)[n + i] = y[i] + (bias ? number(bias + n + i) : 0.0f);
    }
    for (; n < part.last; n++) {
        const T *w = s.to<T>(2) + n * K;
        Floats a = {};
        for (int64_t k = 0; k < K; k += LANES) a += load(x + k, K - k) * load(w + k, K - k);
        s.to<float>(0)[n] = sum(a) + (bias ? number(bias + n) : 0.0f);
    }
}
extern "C" void gw_linear(const Step &s, int thread, int threads) {
    s.size[2] ? linear<bf16>(s, thread, threads) : linear<float>(s, thread, threads);
}

// ------------------------------------------------------------------------------------------ blocks of 32
// x in whole numbers too, so that the products are products of bytes: in each block of 32, x ~ scale * (256 high + low).
// One byte would be half the products, and cost a token in thirty its first place; memory is the limit, so two are free.
void TwoBytes::set(const float *x, int64_t K) {
    int64_t J = (K + BLOCK - 1) / BLOCK;
    high.resize(J * BLOCK / 4), low.resize(J * BLOCK / 4);
    scale.resize(J), sum.resize(J), whole.resize(J);
    for (int64_t j = 0; j < J; j++) {
        Floats a = load(x + j * BLOCK, K - j * BLOCK), b = {};
        if (K - j * BLOCK > LANES) b = load(x + j * BLOCK + LANES, K - j * BLOCK - LANES);
        float most = largest(larger(larger(a, -a), larger(b, -b)));
        float inverse = most > 1e-30f ? LARGEST / most : 0.0f;
        Ints q[2] = {nearest(a * inverse), nearest(b * inverse)};
        for (int i = 0; i < 2; i++) {
            Ints upper = (q[i] + 128) >> 8;
            Signed bytes[2] = {__builtin_convertvector(upper, Signed), __builtin_convertvector(q[i] - (upper << 8), Signed)};
            memcpy(&high[j * BLOCK / 4 + i * 4], &bytes[0], LANES);
            memcpy(&low[j * BLOCK / 4 + i * 4], &bytes[1], LANES);
        }
        scale[j] = most > 1e-30f ? most / LARGEST : 0.0f;
        whole[j] = total(q[0] + q[1]);
        sum[j] = scale[j] * (float)whole[j];
    }
}

// One tile: sixteen rows, J blocks.
template <int KIND> INLINE Floats tile(const uint8_t *w, const uint16_t *scales, const TwoBytes &x, int64_t J) {
    Floats y = {};
    const int32_t *high = x.high.data(), *low = x.low.data();
    for (int64_t j = 0; j < J; j++, high += BLOCK / 4, low += BLOCK / 4) {
        // what is stored is q + 128 (Q8_0) or q + 8 (Q4_0): take the surplus off at once
        int32_t surplus = KIND == Q8_0 ? -128 * x.whole[j] : KIND == Q4_0 ? -8 * x.whole[j] : 0;
        Ints with_high = {}, with_low = Ints{} + surplus;
        if (KIND == Q8_0) {
            for (int c = 0; c < 8; c++, w += 64) {
                with_high = dot_bytes(with_high, load_as<Words>(w), high[c]);
                with_low = dot_bytes(with_low, load_as<Words>(w), low[c]);
            }
        } else {
            Ints upper_high = {}, upper_low = {};
            for (int c = 0; c < 4; c++, w += 64) {
                Words lower = load_as<Words>(w) & 0x0f0f0f0f, upper = load_as<Words>(w) & 0xf0f0f0f0;
                with_high = dot_bytes(with_high, lower, high[c]);
                with_low = dot_bytes(with_low, lower, low[c]);
                upper_high = dot_bytes(upper_high, upper, high[4 + c]);  // 16 times too large
                upper_low = dot_bytes(upper_low, upper, low[4 + c]);
            }
            with_low += ((upper_high << 8) + upper_low) >> 4;
        }
        Ints products = (with_high << 8) + with_low;
        y += __builtin_convertvector(products, Floats) * (from_half(scales) * x.scale[j]);
        scales += LANES;
        if (KIND == Q4_1) {
            y += from_half(scales) * x.sum[j];
            scales += LANES;
        }
    }
    return y;
}

// at: out, x, q, scale, bias or none; size: N, K, kind.
template <int KIND> static void linear_blocks(const Step &s, int thread, int threads) {
    static thread_local TwoBytes x;
    int64_t N = s.size[0], K = s.size[1], J = (K + BLOCK - 1) / BLOCK;
    x.set(s.to<float>(1), K);
    Part part((N + LANES - 1) / LANES, thread, threads);
    for (int64_t i = part.first; i < part.last; i++) {
        int64_t n = i * LANES;
        Floats y = tile<KIND>(s.to<uint8_t>(2) + i * J * tile_bytes(KIND), s.to<uint16_t>(3) + i * J * tile_scales(KIND), x, J);
        if (s.at[4]) y += load(s.to<float>(4) + n, N - n);
        store(s.to<float>(0) + n, y, N - n);
    }
}
extern "C" void gw_linear_blocks(const Step &s, int thread, int threads) {
    s.size[2] == Q8_0   ? linear_blocks<Q8_0>(s, thread, threads)
    : s.size[2] == Q4_0 ? linear_blocks<Q4_0>(s, thread, threads)
                        : linear_blocks<Q4_1>(s, thread, threads);
}

// out[K] = row ids[0] of the matrix. at: out, ids, q, scale; size: K, kind.
extern "C" void gw_row_blocks(const Step &s, int, int) {
    int64_t K = s.size[0], kind = s.size[1], J = (K + BLOCK - 1) / BLOCK;
    int64_t id = s.to<int64_t>(1)[0], i = id / LANES, r = id % LANES;
    for (int64_t k = 0; k < K; k++) {
        const uint8_t *w = s.to<uint8_t>(2) + (i * J + k / BLOCK) * tile_bytes(kind);
        const uint16_t *scales = s.to<uint16_t>(3) + (i * J + k / BLOCK) * tile_scales(kind);
        int64_t c = k % BLOCK / 4, b = k % 4;
        float d = half(scales[r]), m = kind == Q4_1 ? half(scales[LANES + r]) : 0.0f;
        int stored = kind == Q8_0 ? w[c * 64 + r * 4 + b] - 128 : (w[c % 4 * 64 + r * 4 + b] >> (c < 4 ? 0 : 4) & 15) - (kind == Q4_0 ? 8 : 0);
        s.to<float>(0)[k] = (float)stored * d + m;
    }
}
