// Quantized matrix times many vectors: Y = X W' + b, for a prompt. Each weight is used once per token, so what counts
// is products per second, and products of bytes are the fastest there are. The numbers are those of linear.cpp: X in
// whole numbers too, in blocks of 32 with one scale each.
//
// Two tiles (32 rows of W) are unpacked to bytes and then meet six tokens at a time: 6 x 2 vectors of whole sums and as
// many of scaled sums nearly fill the 32 registers, and each loaded vector of weights serves six times. Shared: a thread
// takes some of the tokens or, where these are few, some of the tiles.
//
// With SwiGLU, W is gate rows, then up rows; the two tiles are then one of each, and silu(gate) * up is all that is
// written: at 512 tokens the two halves would be megabytes that no cache holds.
#include "linear.h"
#include "step.h"
#include "vector.h"
#include <algorithm>
#include <vector>

namespace {

constexpr int TOKENS = 6, TILES = 2, WORDS = BLOCK / 4;

// Tokens in whole numbers, six side by side: [group of six][block][c][token], scales and sums [group][block][token].
struct Rows {
    std::vector<int32_t> q, whole;
    std::vector<float> scale, sum;
    void set(const float *x, int64_t count, int64_t K) {
        int64_t J = (K + BLOCK - 1) / BLOCK, groups = (count + TOKENS - 1) / TOKENS;
        q.resize(groups * J * WORDS * TOKENS), whole.resize(groups * J * TOKENS);
        scale.resize(whole.size()), sum.resize(whole.size());
        for (int64_t t = 0; t < count; t++)
            for (int64_t j = 0; j < J; j++) {
                const float *from = x + t * K + j * BLOCK;
                int64_t left = K - j * BLOCK, at = (t / TOKENS * J + j) * TOKENS + t % TOKENS;
                Floats a = load(from, left), b = left > LANES ? load(from + LANES, left - LANES) : Floats{};
                float most = largest(larger(larger(a, -a), larger(b, -b)));
                float inverse = most > 0 ? 127.0f / most : 0.0f;
                Ints qa = nearest(a * inverse), qb = nearest(b * inverse);
                Signed bytes[2] = {__builtin_convertvector(qa, Signed), __builtin_convertvector(qb, Signed)};
                int32_t words[WORDS];
                memcpy(words, bytes, sizeof words);
                for (int c = 0; c < WORDS; c++) q[((t / TOKENS * J + j) * WORDS + c) * TOKENS + t % TOKENS] = words[c];
                scale[at] = most / 127.0f;
                whole[at] = total(qa + qb);
                sum[at] = scale[at] * (float)whole[at];
            }
    }
};

// Two tiles, unpacked: per block the bytes [c][tile][row][b] and per tile the scales (and offsets) as floats.
struct Panel {
    std::vector<uint8_t> q;
    std::vector<float> d, m;
    template <int KIND> void set(const Step &s, const int64_t (&tiles)[TILES], int64_t J) {
        q.resize(J * WORDS * TILES * 64), d.resize(J * TILES * LANES), m.resize(d.size());
        for (int p = 0; p < TILES; p++)
            for (int64_t j = 0; j < J; j++) {
                const uint8_t *w = s.to<uint8_t>(2) + (tiles[p] * J + j) * tile_bytes(KIND);
                uint8_t *to = q.data() + (j * WORDS * TILES + p) * 64;
                constexpr int step = TILES * 64;
                for (int c = 0; c < (KIND == Q8_0 ? WORDS : WORDS / 2); c++) {
                    Words w4 = load_as<Words>(w + c * 64), low = w4 & 0x0f0f0f0f, high = (w4 >> 4) & 0x0f0f0f0f;
                    memcpy(to + c * step, KIND == Q8_0 ? &w4 : &low, 64);
                    if (KIND != Q8_0) memcpy(to + (c + WORDS / 2) * step, &high, 64);
                }
                const uint16_t *scales = s.to<uint16_t>(3) + (tiles[p] * J + j) * tile_scales(KIND);
                store(d.data() + (j * TILES + p) * LANES, from_half(scales));
                if (KIND == Q4_1) store(m.data() + (j * TILES + p) * LANES, from_half(scales + LANES));
            }
    }
};

// y[token][tile]: R tokens of a group times a panel.
template <int KIND, int R> INLINE void meet(Floats (&y)[R][TILES], const Panel &panel, const Rows &x, int64_t group, int64_t J) {
    const int32_t *q = x.q.data() + group * J * WORDS * TOKENS, *whole = x.whole.data() + group * J * TOKENS;
    const float *scale = x.scale.data() + group * J * TOKENS, *sum = x.sum.data() + group * J * TOKENS;
    const uint8_t *w = panel.q.data();
    const float *d = panel.d.data(), *m = panel.m.data();
    for (int64_t j = 0; j < J; j++) {
        Ints sums[R][TILES];
#pragma GCC unroll 8
        for (int r = 0; r < R; r++)  // what is stored is q + 128 (Q8_0) or q + 8 (Q4_0): take the surplus off at once
            sums[r][0] = sums[r][1] = Ints{} + (KIND == Q8_0 ? -128 * whole[r] : KIND == Q4_0 ? -8 * whole[r] : 0);
#pragma GCC unroll 8
        for (int c = 0; c < WORDS; c++, w += TILES * 64, q += TOKENS) {
            Words w0 = load_as<Words>(w), w1 = load_as<Words>(w + 64);
#pragma GCC unroll 8
            for (int r = 0; r < R; r++) {
                Ints four = Ints{} + q[r];
                keep(four);
                sums[r][0] = dot_bytes(sums[r][0], w0, four);
                sums[r][1] = dot_bytes(sums[r][1], w1, four);
            }
        }
        Floats d0 = load(d), d1 = load(d + LANES), m0 = load(m), m1 = load(m + LANES);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            y[r][0] += __builtin_convertvector(sums[r][0], Floats) * (d0 * scale[r]);
            y[r][1] += __builtin_convertvector(sums[r][1], Floats) * (d1 * scale[r]);
            if (KIND == Q4_1) y[r][0] += m0 * sum[r], y[r][1] += m1 * sum[r];
        }
        d += TILES * LANES, m += TILES * LANES, scale += TOKENS, sum += TOKENS, whole += TOKENS;
    }
}

// The same, and what comes of it into `out`: R rows of the result, the columns of the two tiles.
template <int KIND, int R>
INLINE void meet_and_store(const Step &s, const Panel &panel, const Rows &x, int64_t group, int64_t t, const int64_t (&tiles)[TILES], int64_t J) {
    int64_t N = s.size[1];
    bool gated = s.size[4];
    const float *bias = s.to<float>(4);
    Floats y[R][TILES] = {};
    int64_t width = gated ? N / 2 : N;  // each line of the result is written once and far from the last: ask in time
    for (int r = 0; r < R; r++)
        for (int p = 0; p < (gated ? 1 : TILES); p++) __builtin_prefetch(s.to<float>(0) + (t + r) * width + tiles[p] * LANES, 1);
    meet<KIND, R>(y, panel, x, group, J);
    for (int p = 0; p < TILES; p++) {
        int64_t n = tiles[p] * LANES;
        Floats b = bias ? load(bias + n, N - n) : Floats{};
        for (int r = 0; r < R; r++) y[r][p] += b;
    }
    if (gated) {
        float *out = s.to<float>(0) + t * (N / 2) + tiles[0] * LANES;
        for (int r = 0; r < R; r++) store(out + r * (N / 2), y[r][0] * sigmoid(y[r][0]) * y[r][1]);
        return;
    }
    for (int p = 0; p < TILES && (p == 0 || tiles[p] != tiles[0]); p++) {
        int64_t n = tiles[p] * LANES;
        for (int r = 0; r < R; r++) store(s.to<float>(0) + (t + r) * N + n, y[r][p], N - n);
    }
}

// at: out, x, q, scale, bias or none; size: T, N, K, kind, with SwiGLU (then N is a multiple of 32).
template <int KIND> void gemm_blocks(const Step &s, int thread, int threads) {
    static thread_local Rows x;
    static thread_local Panel panel;
    int64_t T = s.size[0], N = s.size[1], K = s.size[2], J = (K + BLOCK - 1) / BLOCK;
    int64_t tiles = (N + LANES - 1) / LANES, panels = (tiles + TILES - 1) / TILES, groups = (T + TOKENS - 1) / TOKENS;
    bool gated = s.size[4], by_tokens = groups >= 4 * threads;
    Part part(by_tokens ? groups : panels, thread, threads);
    int64_t first = by_tokens ? part.first * TOKENS : 0, last = by_tokens ? std::min(part.last * TOKENS, T) : T;
    x.set(s.to<float>(1) + first * K, last - first, K);
    for (int64_t i = by_tokens ? 0 : part.first; i < (by_tokens ? panels : part.last); i++) {
        // the last panel may have one tile only: it then computes it twice
        int64_t pair[TILES] = {gated ? i : i * TILES, gated ? i + tiles / 2 : std::min(i * TILES + 1, tiles - 1)};
        panel.set<KIND>(s, pair, J);
        for (int64_t t = first; t < last; t += TOKENS) {
            int64_t group = (t - first) / TOKENS;
            switch (std::min<int64_t>(TOKENS, last - t)) {
                case 6: meet_and_store<KIND, 6>(s, panel, x, group, t, pair, J); break;
                case 5: meet_and_store<KIND, 5>(s, panel, x, group, t, pair, J); break;
                case 4: meet_and_store<KIND, 4>(s, panel, x, group, t, pair, J); break;
                case 3: meet_and_store<KIND, 3>(s, panel, x, group, t, pair, J); break;
                case 2: meet_and_store<KIND, 2>(s, panel, x, group, t, pair, J); break;
                default: meet_and_store<KIND, 1>(s, panel, x, group, t, pair, J);
            }
        }
    }
}

}  // namespace

extern "C" void gw_gemm_blocks(const Step &s, int thread, int threads) {
    s.size[3] == Q8_0   ? gemm_blocks<Q8_0>(s, thread, threads)
    : s.size[3] == Q4_0 ? gemm_blocks<Q4_0>(s, thread, threads)
                        : gemm_blocks<Q4_1>(s, thread, threads);
}
