// Attention of one new token in each of many rows of a cache. Queries that share a key head, and those of rows that begin
// alike, look at each slot together; values are bf16, sums and weights fp32. One task is a key head of one row, or of a few
// that begin alike; tasks are spread over PyTorch's own threads.
#include "looks.h"
#include <type_traits>
#include <vector>

extern "C" struct Rows {
    const bf16 *q;               // [B, H, D]
    const bf16 *keys, *values;   // [B, G, S, D]: rows and heads lie `row` and `head` numbers apart
    const uint8_t *mask;         // [B, S]: 1 where a row may look; null: everywhere
    bf16 *heads;                 // [B, H, D]
    const int64_t *first;        // [B]: the row in which a row's first `alike` slots are read; null: its own
    int64_t B, H, G, S, D, row, head, alike;
    float scale;
};

namespace {

constexpr int64_t TOGETHER = 8;  // rows that begin alike, at most, in one task

// f(count, place) for four queries at a time, and for what is left.
template <class F> INLINE void in_fours(int64_t place, int64_t end, F f) {
    for (; place + 4 <= end; place += 4) f(std::integral_constant<int, 4>{}, place);
    switch (end - place) {
        case 3: f(std::integral_constant<int, 3>{}, place); break;
        case 2: f(std::integral_constant<int, 2>{}, place); break;
        case 1: f(std::integral_constant<int, 1>{}, place);
    }
}

// Key head g of rows [begin, end), which have the first `alike` slots in common.
struct Task {
    const Rows &a;
    int64_t begin, end, g, R, stride;  // R queries a row
    float *weights, *q, *out;          // of all queries

    // Where a row's slots lie.
    int64_t at(int64_t b) const { return b * a.row + g * a.head; }

    // weights of slots [from, to) for queries [first, last)
    void look(const bf16 *keys, int64_t from, int64_t to, int64_t first, int64_t last) const {
        in_fours(first, last, [&](auto count, int64_t n) {
            int64_t s = from;
            for (; s + LANES <= to; s += LANES)
                score<count>(weights + n * stride + s, stride, q + n * a.D, keys + s * a.D, a.D, a.scale);
            for (; s < to; s++)
                for (int r = 0; r < count; r++)
                    weights[(n + r) * stride + s] = dot(q + (n + r) * a.D, keys + s * a.D, a.D) * a.scale;
        });
    }
    // out += weights . values
    void gather(const bf16 *values, int64_t from, int64_t to, int64_t first, int64_t last) const {
        values += from * a.D;
        in_fours(first, last, [&](auto count, int64_t n) {
            float *sums = out + n * a.D, *shares = weights + n * stride + from;
            int64_t d = 0;
            for (; d + 4 * LANES <= a.D; d += 4 * LANES) mix<count, 4>(sums, shares, stride, values, to - from, d, a.D);
            for (; d < a.D; d += LANES) mix<count, 1>(sums, shares, stride, values, to - from, d, a.D);
        });
    }
    // The same for the slots that all rows have in common, then for each row's own.
    template <class F> void everywhere(F f) const {
        int64_t alike = a.first ? a.alike : 0;
        if (alike) f(at(a.first[begin]), 0, alike, 0, (end - begin) * R);
        for (int64_t b = begin; b < end; b++) f(at(b), alike, a.S, (b - begin) * R, (b - begin + 1) * R);
    }
    void run() const {
        int64_t D = a.D, S = a.S, queries = (end - begin) * R;
        auto place = [&](int64_t n) { return ((begin + n / R) * a.H + g * R + n % R) * D; };
        for (int64_t n = 0; n < queries; n++)
            for (int64_t d = 0; d < D; d += LANES) store(q + n * D + d, load(a.q + place(n) + d)), store(out + n * D + d, Floats{});
        everywhere([&](int64_t at, auto... where) { look(a.keys + at, where...); });
        for (int64_t n = 0; n < queries; n++) {
            float *row = weights + n * stride;
            const uint8_t *seen = a.mask ? a.mask + (begin + n / R) * S : nullptr;
            if (seen)
                for (int64_t s = 0; s < S; s++) row[s] = seen[s] ? row[s] : -INFINITY;
            float share = 1.0f / soften(row, S);
            for (int64_t s = 0; s < S; s += LANES) store(row + s, share * load(row + s));
        }
        everywhere([&](int64_t at, auto... where) { gather(a.values + at, where...); });
        for (int64_t n = 0; n < queries; n++)
            for (int64_t d = 0; d < D; d += LANES) store(a.heads + place(n) + d, load(out + n * D + d));
    }
};

void task(const Rows &a, int64_t begin, int64_t end, int64_t g) {
    static thread_local std::vector<float> memory;
    int64_t R = a.H / a.G, queries = (end - begin) * R, stride = a.S + LANES;
    memory.resize(queries * (stride + 2 * a.D));
    float *q = memory.data() + queries * stride;
    Task{a, begin, end, g, R, stride, memory.data(), q, q + queries * a.D}.run();
}
}  // namespace

extern "C" {
int64_t gw_size_of_rows() { return sizeof(Rows); }
void gw_rows(const Rows &a, int threads) {
    std::vector<int64_t> begins;  // of runs of rows that begin alike
    for (int64_t b = 0; b < a.B; b++)
        if (!b || !a.first || a.first[b] != a.first[b - 1] || b - begins.back() == TOGETHER) begins.push_back(b);
    int64_t runs = begins.size();
    begins.push_back(a.B);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < runs * a.G; i++) task(a, begins[i / a.G], begins[i / a.G + 1], i % a.G);
}
}
