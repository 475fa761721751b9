// Attention of one new token: its key and value go into the cache, its queries look at every slot in use. Shared: each
// thread takes some of the query heads, and those that share a key head look at each of its slots together.
#include "looks.h"
#include "step.h"
#include <algorithm>
#include <vector>

// R query heads from h on, all with the same key head. `weights` has room for R x stride.
template <int R, class T> static void attend(const Step &s, float *weights, int64_t stride, int64_t h) {
    int64_t H = s.size[0], G = s.size[1], D = s.size[2], slots = s.size[3], g = h / (H / G);
    int64_t used = s.to<int64_t>(6)[0];
    const float *q = s.to<float>(1) + h * D, *k = s.to<float>(2) + g * D, *v = s.to<float>(3) + g * D;
    T *keys = s.to<T>(4) + g * slots * D, *values = s.to<T>(5) + g * slots * D;
    if (h % (H / G) == 0) {  // who takes the group's first head stores; others in the group never read that slot now
        for (int64_t d = 0; d < D; d += LANES) {
            store(keys + used * D + d, load(k + d, D - d), D - d);
            store(values + used * D + d, load(v + d, D - d), D - d);
        }
    }
    float scale = (float)s.number, share[R], *out = s.to<float>(0) + h * D;
    int64_t whole = used / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES) score<R>(weights + i, stride, q, keys + i * D, D, scale);
    for (int r = 0; r < R; r++) {
        float *row = weights + r * stride;
        for (int64_t i = whole; i < used; i++) row[i] = dot(q + r * D, keys + i * D, D) * scale;
        row[used] = dot(q + r * D, k, D) * scale;
        share[r] = 1.0f / soften(row, used + 1);
        for (int64_t d = 0; d < D; d += LANES) store(out + r * D + d, row[used] * load(v + d, D - d), D - d);
    }
    int64_t d = 0;
    for (; d + 4 * LANES <= D; d += 4 * LANES) mix<R, 4>(out, weights, stride, values, used, d, D);
    for (; d < D; d += LANES) mix<R, 1>(out, weights, stride, values, used, d, D);
    for (int r = 0; r < R; r++)
        for (d = 0; d < D; d += LANES) store(out + r * D + d, share[r] * load(out + r * D + d, D - d), D - d);
}

// at: out, q, k, v, keys, values, position; size: H query heads, G key heads, D, slots of the cache, bf16 cache;
// number: scale of the scores. Position: how many slots were in use before.
template <class T> static void attend(const Step &s, int thread, int threads) {
    static thread_local std::vector<float> memory;
    int64_t H = s.size[0], together = H / s.size[1];
    int64_t stride = s.to<int64_t>(6)[0] + 1 + LANES;
    memory.resize(4 * stride);
    Part part(H, thread, threads);
    for (int64_t h = part.first; h < part.last;) {
        int64_t count = std::min<int64_t>({4, together - h % together, part.last - h});
        switch (count) {
            case 4: attend<4, T>(s, memory.data(), stride, h); break;
            case 3: attend<3, T>(s, memory.data(), stride, h); break;
            case 2: attend<2, T>(s, memory.data(), stride, h); break;
            default: attend<1, T>(s, memory.data(), stride, h);
        }
        h += count;
    }
}
extern "C" void gw_attend(const Step &s, int thread, int threads) {
    s.size[4] ? attend<bf16>(s, thread, threads) : attend<float>(s, thread, threads);
}
