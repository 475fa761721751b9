// Causal attention for training, forward and backward, without a table of T x T weights in memory (FlashAttention-2, Dao
// 2023): 64 queries at a time meet the keys up to their own, what lies above the diagonal is never computed, and the
// backward pass computes the weights again from one number per query. Values are bf16, sums fp32.
//
// One task is a key head of one row; tasks are spread over PyTorch's own threads. In products the right-hand matrix lies in
// pairs of rows, [K/2][N][2], as the instruction wants it.
#include "vector.h"
#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

extern "C" struct Causal {
    const bf16 *qkv;    // [B, T, H + 2 G, D]
    bf16 *heads;        // [B, T, H, D]
    float *sizes;       // [B, H, T]: log of the sum of the exponentials
    const bf16 *slope;  // d loss / d heads, as heads; backward only
    bf16 *slopes;       // d loss / d qkv, as qkv; backward only
    int64_t B, T, H, G, D;
    float scale;
};

namespace {

constexpr int64_t QUERIES = 64;
constexpr float LOWEST = -3e38f;

// Four rows of the result times N vectors of its columns stay in registers.
template <int N> INLINE void tile(int64_t K, int64_t lda, int64_t ldb, int64_t ldc, bool add, const bf16 *A, const bf16 *B, float *C) {
    Floats sums[4][N];
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < N; j++) sums[i][j] = add ? load(C + i * ldc + j * LANES) : Floats{};
    for (int64_t k = 0; k < K; k += 2, B += 2 * ldb) {
        Words b[N];
        for (int j = 0; j < N; j++) b[j] = load_as<Words>(B + j * 2 * LANES), keep(b[j]);
        for (int i = 0; i < 4; i++) {
            Words a = Words{} + load_as<uint32_t>(A + i * lda + k);
            for (int j = 0; j < N; j++) sums[i][j] = dot_pairs(sums[i][j], a, b[j]);
        }
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < N; j++) store(C + i * ldc + j * LANES, sums[i][j]);
}

// [rows, width] -> [width / 2, rows, 2]: the transposed matrix in pairs.
void pair_turned(bf16 *to, const bf16 *from, int64_t rows, int64_t width, int64_t stride) {
    for (int64_t r0 = 0; r0 < rows; r0 += 16)
        for (int64_t c = 0; c < width; c += 2)
            for (int64_t r = r0; r < r0 + 16; r++) memcpy(to + (c * rows + 2 * r), from + r * stride + c, 4);
}
// [rows, width] -> [rows / 2, width, 2]: the matrix in pairs.
void pair(bf16 *to, const bf16 *from, int64_t rows, int64_t width, int64_t stride) {
    for (int64_t r = 0; r < rows; r += 2, to += 2 * width)
        for (int64_t c = 0; c < width; c++) to[2 * c] = from[r * stride + c], to[2 * c + 1] = from[(r + 1) * stride + c];
}
// [rows, width] -> [width, rows]
void turn(bf16 *to, const bf16 *from, int64_t rows, int64_t width, int64_t stride) {
    for (int64_t c0 = 0; c0 < width; c0 += 16)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = c0; c < c0 + 16; c++) to[c * rows + r] = from[r * stride + c];
}

INLINE float largest(Floats v) {
    float top = v[0];
    for (int i = 1; i < LANES; i++) top = std::max(top, v[i]);
    return top;
}
INLINE float added(Floats v) {
    float sum = 0;
    for (int i = 0; i < LANES; i++) sum += v[i];
    return sum;
}

// One query's scores become e^(score - largest) in bf16, zero from `seen` up to `count`; returns log and sum.
INLINE std::pair<float, float> exponentials(bf16 *to, float *scores, int64_t seen, int64_t count, float scale) {
    for (int64_t s = seen; s < std::min(count, (seen + LANES - 1) / LANES * LANES); s++) scores[s] = LOWEST;
    Floats top = all(LOWEST), sum = {};
    int64_t s = 0;
    for (; s < seen; s += LANES) top = larger(top, load(scores + s));
    float most = largest(top) * scale;
    for (s = 0; s < seen; s += LANES) {
        Floats e = exp(load(scores + s) * scale - most);
        e = load(scores + s) == all(LOWEST) ? Floats{} : e;  // what is no number stays none, for the guard to see
        store(to + s, e), sum += e;
    }
    for (; s < count; s += LANES) store(to + s, Floats{});
    float total = added(sum);
    return {most + std::log(total), total};
}

// C[M, N] = A[M, K] B[K, N], or added to C; B is in pairs. Leading dimensions as in BLAS; M in fours, N in sixteens.
void product(int64_t M, int64_t N, int64_t K, int64_t lda, int64_t ldb, int64_t ldc, bool add, const bf16 *A, const bf16 *B, float *C) {
    for (int64_t n = 0; n < N; n += 4 * LANES)
        for (int64_t m = 0; m < M; m += 4) {
            const bf16 *a = A + m * lda, *b = B + 2 * n;
            float *c = C + m * ldc + n;
            switch (std::min<int64_t>(4, (N - n) / LANES)) {
            case 4: tile<4>(K, lda, ldb, ldc, add, a, b, c); break;
            case 3: tile<3>(K, lda, ldb, ldc, add, a, b, c); break;
            case 2: tile<2>(K, lda, ldb, ldc, add, a, b, c); break;
            case 1: tile<1>(K, lda, ldb, ldc, add, a, b, c);
            }
        }
}

struct Room {
    std::vector<float> floats;
    std::vector<bf16> halves;
    float *f = nullptr;
    bf16 *h = nullptr;
    void begin(int64_t some, int64_t others) {
        floats.resize(some), halves.resize(others), f = floats.data(), h = halves.data();
    }
    float *take_floats(int64_t n) { return std::exchange(f, f + n); }
    bf16 *take(int64_t n) { return std::exchange(h, h + n); }
};
thread_local Room room;

void forward(const Causal &c, int64_t b, int64_t g) {
    const int64_t T = c.T, D = c.D, R = c.H / c.G, E = (c.H + 2 * c.G) * D, Q = std::min(QUERIES, T);
    const bf16 *row = c.qkv + b * T * E;
    room.begin(Q * T + Q * D, 2 * T * D + Q * T);
    float *scores = room.take_floats(Q * T), *mixed = room.take_floats(Q * D);
    bf16 *keys = room.take(T * D), *values = room.take(T * D), *weights = room.take(Q * T);
    pair_turned(keys, row + (c.H + g) * D, T, D, E);
    pair(values, row + (c.H + c.G + g) * D, T, D, E);
    for (int64_t head = g * R; head < (g + 1) * R; head++)
        for (int64_t first = 0; first < T; first += QUERIES) {
            const int64_t m = std::min(QUERIES, T - first), n = first + m;
            float sums[QUERIES];
            product(m, n, D, E, T, T, false, row + first * E + head * D, keys, scores);
            for (int64_t t = 0; t < m; t++) {
                auto [size, sum] = exponentials(weights + t * T, scores + t * T, first + t + 1, n, c.scale);
                c.sizes[(b * c.H + head) * T + first + t] = size, sums[t] = sum;
            }
            product(m, D, n, T, D, D, false, weights, values, mixed);
            for (int64_t t = 0; t < m; t++) {
                bf16 *to = c.heads + ((b * T + first + t) * c.H + head) * D;
                for (int64_t d = 0; d < D; d += LANES) store(to + d, load(mixed + t * D + d) * (1.0f / sums[t]));
            }
        }
}

void backward(const Causal &c, int64_t b, int64_t g) {
    const int64_t T = c.T, D = c.D, R = c.H / c.G, E = (c.H + 2 * c.G) * D, W = c.H * D, Q = std::min(QUERIES, T);
    const bf16 *row = c.qkv + b * T * E, *key = row + (c.H + g) * D, *value = row + (c.H + c.G + g) * D;
    bf16 *out = c.slopes + b * T * E;
    room.begin(2 * T * Q + 2 * T * D + Q * D, 3 * T * Q + T * D + 4 * Q * D);
    float *scores = room.take_floats(T * Q), *slopes = room.take_floats(T * Q), *turned_query = room.take_floats(Q * D);
    float *of_keys = room.take_floats(T * D), *of_values = room.take_floats(T * D);
    bf16 *weights = room.take(T * Q), *change = room.take(T * Q), *paired_change = room.take(T * Q), *turned_keys = room.take(T * D);
    bf16 *q_turned = room.take(Q * D), *q_paired = room.take(Q * D), *slope_turned = room.take(Q * D), *slope_paired = room.take(Q * D);
    turn(turned_keys, key, T, D, E);
    std::fill(of_keys, of_keys + T * D, 0.0f), std::fill(of_values, of_values + T * D, 0.0f);
    for (int64_t head = g * R; head < (g + 1) * R; head++)
        for (int64_t first = 0; first < T; first += QUERIES) {
            const int64_t m = std::min(QUERIES, T - first), n = first + m;
            const bf16 *q = row + first * E + head * D, *slope = c.slope + (b * T + first) * W + head * D;
            const bf16 *heads = c.heads + (b * T + first) * W + head * D;
            const float *sizes = c.sizes + (b * c.H + head) * T + first;
            float meant[QUERIES];  // sum over keys of weight * slope of that weight = slope . heads
            for (int64_t t = 0; t < m; t++) {
                Floats sum = {};
                for (int64_t d = 0; d < D; d += LANES) sum += load(slope + t * W + d) * load(heads + t * W + d);
                meant[t] = added(sum);
            }
            pair_turned(q_turned, q, m, D, E), pair(q_paired, q, m, D, E);
            pair_turned(slope_turned, slope, m, D, W), pair(slope_paired, slope, m, D, W);
            // both [n keys, m queries], so that a query's numbers lie side by side
            product(n, m, D, E, m, m, false, key, q_turned, scores);
            product(n, m, D, E, m, m, false, value, slope_turned, slopes);
            for (int64_t s = 0; s < n; s += 2)
                for (int64_t t = 0; t < m; t += LANES) {
                    Ints query = NUMBERED + (int32_t)(first + t);
                    Halves changes[2];
                    for (int i = 0; i < 2; i++) {
                        const int64_t at = (s + i) * m + t;
                        Floats w = exp(load(scores + at) * c.scale - load(sizes + t));
                        if (s + i > first) w = query >= (int32_t)(s + i) ? w : Floats{};
                        store(weights + at, w);
                        changes[i] = narrow(w * (load(slopes + at) - load(meant + t)) * c.scale);
                        memcpy(change + at, &changes[i], sizeof changes[i]);
                    }
                    Words both = __builtin_convertvector(changes[0], Words) | __builtin_convertvector(changes[1], Words) << 16;
                    memcpy(paired_change + s * m + 2 * t, &both, sizeof both);
                }
            product(n, D, m, m, D, D, true, weights, slope_paired, of_values);
            product(n, D, m, m, D, D, true, change, q_paired, of_keys);
            product(D, m, n, T, m, m, false, turned_keys, paired_change, turned_query);
            for (int64_t t = 0; t < m; t++) {
                float line[16];
                bf16 *to = out + (first + t) * E + head * D;
                for (int64_t d = 0; d < D; d += LANES) {
                    for (int i = 0; i < LANES; i++) line[i] = turned_query[(d + i) * m + t];
                    store(to + d, load(line));
                }
            }
        }
    for (int64_t s = 0; s < T; s++)
        for (int64_t d = 0; d < D; d += LANES) {
            store(out + s * E + (c.H + g) * D + d, load(of_keys + s * D + d));
            store(out + s * E + (c.H + c.G + g) * D + d, load(of_values + s * D + d));
        }
}

template <void (*task)(const Causal &, int64_t, int64_t)> void everywhere(const Causal &c, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < c.B * c.G; i++) task(c, i / c.G, i % c.G);
}
}  // namespace

extern "C" {
// Whether products of bf16 have an instruction here.
int gw_causal_fast() {
#ifdef __AVX512BF16__
    return 1;
#else
    return 0;
#endif
}
int64_t gw_size_of_causal() { return sizeof(Causal); }
void gw_causal(const Causal &c, int threads) { everywhere<forward>(c, threads); }
void gw_causal_backward(const Causal &c, int threads) { everywhere<backward>(c, threads); }
}
