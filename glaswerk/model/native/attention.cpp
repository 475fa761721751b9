// Attention of one new token: its key and value go into the cache, its queries look at every slot in use. Shared: each
// thread takes some of the query heads.
#include "step.h"
#include "vector.h"
#include <cmath>
#include <vector>

// q . k over D numbers.
template <class T> INLINE float dot(const float *q, const T *k, int64_t D) {
    Floats a = {};
    for (int64_t d = 0; d < D; d += LANES) a += load(q + d, D - d) * load(k + d, D - d);
    return sum(a);
}

// out += weights . values: columns [d, d + 16 W) of D, over `slots` slots.
template <int W, class T>
INLINE void mix(float *out, const float *weights, const T *values, int64_t slots, int64_t d, int64_t D) {
    Floats sums[W];
    for (int w = 0; w < W; w++) sums[w] = load(out + d + w * LANES, D - d - w * LANES);
    for (int64_t s = 0; s < slots; s++)
        for (int w = 0; w < W; w++) sums[w] += weights[s] * load(values + s * D + d + w * LANES, D - d - w * LANES);
    for (int w = 0; w < W; w++) store(out + d + w * LANES, sums[w], D - d - w * LANES);
}

// at: out, q, k, v, keys, values, position; size: H query heads, G key heads, D, slots of the cache, bf16 cache;
// number: scale of the scores. Position: how many slots were in use before.
template <class T> static void attend(const Step &s, int thread, int threads) {
    static thread_local std::vector<float> memory;
    int64_t H = s.size[0], G = s.size[1], D = s.size[2], slots = s.size[3], R = H / G;
    int64_t used = s.to<int64_t>(6)[0];
    memory.resize(used + 1 + LANES);
    float *weights = memory.data();
    Part part(H, thread, threads);
    for (int64_t h = part.first; h < part.last; h++) {
        int64_t g = h / R;
        const float *q = s.to<float>(1) + h * D, *k = s.to<float>(2) + g * D, *v = s.to<float>(3) + g * D;
        T *keys = s.to<T>(4) + g * slots * D, *values = s.to<T>(5) + g * slots * D;
        if (h % R == 0) {  // who takes the group's first head stores; others in the group never read that slot now
            for (int64_t d = 0; d < D; d += LANES) {
                store(keys + used * D + d, load(k + d, D - d), D - d);
                store(values + used * D + d, load(v + d, D - d), D - d);
            }
        }
        float scale = (float)s.number;
        for (int64_t i = 0; i < used; i++) weights[i] = dot(q, keys + i * D, D) * scale;
        weights[used] = dot(q, k, D) * scale;

        Floats most = all(-INFINITY), total = {};
        for (int i = 0; i < LANES; i++) weights[used + 1 + i] = -INFINITY;
        for (int64_t i = 0; i <= used; i += LANES) most = larger(load(weights + i), most);
        float top = largest(most);
        for (int64_t i = 0; i <= used; i += LANES) {
            Floats w = load(weights + i), e = exp(w - top);
            e = w == -INFINITY ? Floats{} : e;
            total += e;
            store(weights + i, e);
        }
        float share = 1.0f / sum(total);
        float *out = s.to<float>(0) + h * D;
        for (int64_t d = 0; d < D; d += LANES) store(out + d, weights[used] * load(v + d, D - d), D - d);
        int64_t d = 0;
        for (; d + 4 * LANES <= D; d += 4 * LANES) mix<4>(out, weights, values, used, d, D);
        for (; d < D; d += LANES) mix<1>(out, weights, values, used, d, D);
        for (d = 0; d < D; d += LANES) store(out + d, share * load(out + d, D - d), D - d);
    }
}
extern "C" void gw_attend(const Step &s, int thread, int threads) {
    s.size[4] ? attend<bf16>(s, thread, threads) : attend<float>(s, thread, threads);
}
