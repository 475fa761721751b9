// Attention over keys and values in pages, for tokens of many texts in one pass: how many each text has, and how many it
// had before, does not matter. Two kernels: the first turns keys and queries and puts what is new into the pages, the
// second looks. Nothing is copied out of the pages: they hold pairs of bf16 as products want them.
//
// A page is [G][blocks][16 slots x D numbers], keys [D/2][16 slots][2], values [8 pairs of slots][D][2]. Tokens side by
// side whose texts begin with the same pages look at these together, so that each loaded key serves up to six queries;
// what each adds up, and in which order, does not depend on who is beside it.
#include "pairs.h"
#include "step.h"
#include <algorithm>
#include <type_traits>
#include <vector>

namespace {

constexpr int QUERIES = 6;

// What the pass is about, as Python fills it: for each token its place in its text, its text, whether it is the last of
// its text in this pass, and how many blocks at the beginning are those of the token before it; for each text its pages.
struct Plan {
    const int64_t *position, *row, *last, *same, *table;
    int64_t per, width, G;  // blocks in a page, most pages of a text, key heads
    Plan(const int64_t *plan, int64_t N, int64_t page, int64_t width, int64_t G)
        : position(plan), row(plan + N), last(plan + 2 * N), same(plan + 3 * N), table(plan + 4 * N), per(page / LANES),
          width(width), G(G) {}
    // Where block b of token t's text is for key head g, in blocks.
    int64_t block(int64_t t, int64_t b, int64_t g) const {
        return (table[row[t] * width + b / per] * G + g) * per + b % per;
    }
};

template <class F> INLINE void counted(int64_t count, F with) {
    switch (count) {
        case 6: with(std::integral_constant<int, 6>{}); break;
        case 5: with(std::integral_constant<int, 5>{}); break;
        case 4: with(std::integral_constant<int, 4>{}); break;
        case 3: with(std::integral_constant<int, 3>{}); break;
        case 2: with(std::integral_constant<int, 2>{}); break;
        default: with(std::integral_constant<int, 1>{});
    }
}

void scores_of(int64_t R, float *scores, int64_t S, const bf16 *q, const uint32_t *keys, const int64_t *blocks, int64_t first, int64_t end, int64_t D) {
    counted(R, [&](auto count) {
        int64_t b = first;
        for (; b + 2 <= end; b += 2)
            score<count, 2>(scores + b * LANES, S, (const uint32_t *)q, keys + blocks[b] * LANES * D / 2, keys + blocks[b + 1] * LANES * D / 2, D);
        if (b < end) score<count, 1>(scores + b * LANES, S, (const uint32_t *)q, keys + blocks[b] * LANES * D / 2, nullptr, D);
    });
}

// out[r] += weights[r] . values: 16 W columns from d on, the blocks from first to end.
template <int R, int W>
INLINE void mix(float *out, const bf16 *weights, int64_t S, const uint32_t *values, const int64_t *blocks, int64_t first, int64_t end, int64_t d, int64_t D) {
    Floats sums[R][W];
    for (int r = 0; r < R; r++)
        for (int w = 0; w < W; w++) sums[r][w] = load(out + r * D + d + w * LANES);
    for (int64_t b = first; b < end; b++)
        for (int64_t i = 0; i < LANES / 2; i++) {
            const uint32_t *v = values + blocks[b] * LANES * D / 2 + i * D + d;
            Words loaded[W];
#pragma GCC unroll 8
            for (int w = 0; w < W; w++) loaded[w] = load_as<Words>(v + w * LANES);
#pragma GCC unroll 8
            for (int r = 0; r < R; r++) {
                uint32_t two;
                memcpy(&two, weights + r * S + b * LANES + 2 * i, sizeof two);
                Words pair = Words{} + two;
                keep(pair);
#pragma GCC unroll 8
                for (int w = 0; w < W; w++) sums[r][w] = dot_pairs(sums[r][w], loaded[w], pair);
            }
        }
    for (int r = 0; r < R; r++)
        for (int w = 0; w < W; w++) store(out + r * D + d + w * LANES, sums[r][w]);
}

void mixed(int64_t R, float *out, const bf16 *weights, int64_t S, const uint32_t *values, const int64_t *blocks, int64_t first, int64_t end, int64_t D) {
    counted(R, [&](auto count) {
        int64_t d = 0;
        for (; d + 4 * LANES <= D; d += 4 * LANES) mix<count, 4>(out, weights, S, values, blocks, first, end, d, D);
        for (; d < D; d += LANES) mix<count, 1>(out, weights, S, values, blocks, first, end, d, D);
    });
}

// Tokens [t, t + count), their `heads` query heads from h on, all with key head g.
void look(const Step &s, const Plan &plan, int64_t t, int64_t count, int64_t h, int64_t heads, int64_t g) {
    static thread_local std::vector<float> memory;
    static thread_local std::vector<int64_t> places;
    int64_t H = s.size[1], D = s.size[3], R = count * heads, longest = 0, common = INT64_MAX, ends[QUERIES];
    for (int64_t i = 0; i < count; i++) {
        ends[i] = plan.position[t + i] / LANES + 1;
        longest = std::max(longest, ends[i]);
        common = std::min(common, (plan.position[t + i] + 1) / LANES);  // what all of them see whole
        if (i) common = std::min(common, plan.same[t + i]);
    }
    int64_t S = longest * LANES;
    memory.resize(R * (S + S / 2 + D + D / 2) + LANES), places.resize(count * longest);
    float *scores = memory.data(), *out = scores + R * S;
    bf16 *weights = (bf16 *)(out + R * D), *q = weights + R * S;
    for (int64_t i = 0; i < count; i++) {
        memcpy(q + i * heads * D, s.to<bf16>(1) + ((t + i) * H + h) * D, heads * D * sizeof(bf16));
        for (int64_t b = i ? common : 0; b < ends[i]; b++) places[i * longest + b] = plan.block(t + i, b, g);
    }
    const uint32_t *keys = s.to<uint32_t>(2), *values = keys + s.size[6] / 2;
    scores_of(R, scores, S, q, keys, places.data(), 0, common, D);
    for (int64_t i = 0; i < count; i++)
        scores_of(heads, scores + i * heads * S, S, q + i * heads * D, keys, places.data() + i * longest, common, ends[i], D);
    for (int64_t r = 0; r < R; r++) {
        float *row = scores + r * S;
        int32_t seen = (int32_t)plan.position[t + r / heads] + 1, end = (int32_t)(ends[r / heads] * LANES);
        Floats most = all(-INFINITY), sums = {};
        for (int32_t k = 0; k < end; k += LANES) most = larger(NUMBERED + k < seen ? load(row + k) : all(-INFINITY), most);
        float top = largest(most);
        for (int32_t k = 0; k < end; k += LANES) {
            Floats e = exp(load(row + k) - top);
            e = NUMBERED + k < seen ? e : Floats{};
            sums += e;
            store(row + k, e);
        }
        float share = 1.0f / sum(sums);
        for (int32_t k = 0; k < end; k += LANES) store(weights + r * S + k, share * load(row + k));
    }
    std::fill(out, out + R * D, 0.0f);
    mixed(R, out, weights, S, values, places.data(), 0, common, D);
    for (int64_t i = 0; i < count; i++)
        mixed(heads, out + i * heads * D, weights + i * heads * S, S, values, places.data() + i * longest, common, ends[i], D);
    for (int64_t i = 0; i < count; i++)
        memcpy(s.to<float>(0) + ((t + i) * H + h) * D, out + i * heads * D, heads * D * sizeof(float));
}

}  // namespace

extern "C" {
// at: queries [N, H, D] in bf16 (turned and scaled), qkv [N, (H + 2 G) D], keys and values, q's norm, k's norm, cos, sin
// (tables of all positions) or none, plan. size: N, H, G, D, slots of a page, most pages of a text, numbers from the keys
// to the values; number: epsilon of the norms. Behind the last token of a text the block is zero: nobody's old numbers
// may stand where weights of zero meet them.
void gw_store_pages(const Step &s, int thread, int threads) {
    static thread_local std::vector<float> memory;
    int64_t N = s.size[0], H = s.size[1], G = s.size[2], D = s.size[3];
    Plan plan(s.to<int64_t>(7), N, s.size[4], s.size[5], G);
    memory.resize(D + 2 * D);
    float *turned = memory.data();
    Part part(N, thread, threads);
    for (int64_t t = part.first; t < part.last; t++) {
        int64_t position = plan.position[t], slot = position % LANES;
        const float *x = s.to<float>(1) + t * (H + 2 * G) * D;
        const float *cos = s.at[5] ? s.to<float>(5) + position * D : nullptr, *sin = s.at[6] ? s.to<float>(6) + position * D : nullptr;
        for (int64_t h = 0; h < H; h++) {
            turn(turned, x + h * D, s.to<float>(3), cos, sin, D, (float)s.number, 1.0f / std::sqrt((float)D));
            for (int64_t d = 0; d < D; d += LANES) store(s.to<bf16>(0) + (t * H + h) * D + d, load(turned + d));
        }
        for (int64_t g = 0; g < G; g++) {
            bf16 *keys = s.to<bf16>(2) + plan.block(t, position / LANES, g) * LANES * D, *values = keys + s.size[6];
            bf16 *k = (bf16 *)(turned + D), *v = k + D;
            turn(turned, x + (H + g) * D, s.to<float>(4), cos, sin, D, (float)s.number, 1.0f);
            for (int64_t d = 0; d < D; d += LANES) store(k + d, load(turned + d)), store(v + d, load(x + (H + G + g) * D + d));
            for (int64_t d = 0; d < D; d++) {
                keys[(d / 2 * LANES + slot) * 2 + d % 2] = k[d];
                values[(slot / 2 * D + d) * 2 + slot % 2] = v[d];
            }
            if (plan.last[t])
                for (int64_t behind = slot + 1; behind < LANES; behind++)
                    for (int64_t d = 0; d < D; d++) values[(behind / 2 * D + d) * 2 + behind % 2] = bf16{0};
        }
    }
}

// at: out [N, H D], queries, keys and values, plan; size as above.
void gw_attend_pages(const Step &s, int thread, int threads) {
    int64_t N = s.size[0], H = s.size[1], G = s.size[2], together = H / G;
    Plan plan(s.to<int64_t>(3), N, s.size[4], s.size[5], G);
    int64_t heads = std::min<int64_t>(together, QUERIES), tokens = std::max<int64_t>(1, QUERIES / heads);
    int64_t tiles = (N + tokens - 1) / tokens;
    for (int64_t i = thread; i < tiles * G; i += threads) {
        int64_t g = i / tiles, t = i % tiles * tokens, count = std::min(tokens, N - t);
        for (int64_t h = g * together; h < (g + 1) * together; h += heads)
            look(s, plan, t, count, h, std::min(heads, (g + 1) * together - h), g);
    }
}
}
