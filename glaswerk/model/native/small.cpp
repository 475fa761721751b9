// The small operations of a decode step: rows of a table, norms, rotation, activation functions, sums, the largest logit.
// All but the last are computed whole by every thread. `bf16` in a size: parameters are bf16 instead of fp32.
#include "step.h"
#include "vector.h"
#include <cmath>

// out[C] = table[ids[0]]. at: out, ids, table; size: C, bf16.
template <class T> static void row(const Step &s) {
    int64_t C = s.size[0];
    const T *from = s.to<T>(2) + s.to<int64_t>(1)[0] * C;
    for (int64_t i = 0; i < C; i += LANES) store(s.to<float>(0) + i, load(from + i, C - i), C - i);
}
extern "C" void gw_row(const Step &s, int, int) { s.size[1] ? row<bf16>(s) : row<float>(s); }

// out = a + b. at: out, a, b; size: count.
extern "C" void gw_add(const Step &s, int, int) {
    int64_t n = s.size[0];
    for (int64_t i = 0; i < n; i += LANES)
        store(s.to<float>(0) + i, load(s.to<float>(1) + i, n - i) + load(s.to<float>(2) + i, n - i), n - i);
}

// out = x / sqrt(mean(x^2) + eps) * weight, for each row. at: out, x, weight; size: rows, C, bf16; number: eps.
template <class T> static void rms_norm(const Step &s) {
    int64_t rows = s.size[0], C = s.size[1];
    for (int64_t r = 0; r < rows; r++) {
        const float *x = s.to<float>(1) + r * C;
        float *out = s.to<float>(0) + r * C;
        Floats squares = {};
        for (int64_t i = 0; i < C; i += LANES) {
            Floats v = load(x + i, C - i);
            squares += v * v;
        }
        float scale = 1.0f / std::sqrt(sum(squares) / (float)C + (float)s.number);
        for (int64_t i = 0; i < C; i += LANES)
            store(out + i, load(x + i, C - i) * scale * load(s.to<T>(2) + i, C - i), C - i);
    }
}
extern "C" void gw_rms_norm(const Step &s, int, int) { s.size[2] ? rms_norm<bf16>(s) : rms_norm<float>(s); }

// out = (x - mean) / sqrt(var + eps) * weight + bias, for each row. at: out, x, weight, bias; size and number as above.
template <class T> static void layer_norm(const Step &s) {
    int64_t rows = s.size[0], C = s.size[1];
    for (int64_t r = 0; r < rows; r++) {
        const float *x = s.to<float>(1) + r * C;
        float *out = s.to<float>(0) + r * C;
        Floats total = {}, squares = {};
        for (int64_t i = 0; i < C; i += LANES) total += load(x + i, C - i);
        float mean = sum(total) / (float)C;
        for (int64_t i = 0; i < C; i += LANES) {
            Floats from_mean = first(load(x + i, C - i) - mean, C - i);
            squares += from_mean * from_mean;
        }
        float scale = 1.0f / std::sqrt(sum(squares) / (float)C + (float)s.number);
        for (int64_t i = 0; i < C; i += LANES) {
            Floats v = (load(x + i, C - i) - mean) * scale;
            store(out + i, v * load(s.to<T>(2) + i, C - i) + load(s.to<T>(3) + i, C - i), C - i);
        }
    }
}
extern "C" void gw_layer_norm(const Step &s, int, int) { s.size[2] ? layer_norm<bf16>(s) : layer_norm<float>(s); }

// Each pair (x[i], x[i + D/2]) of each head turned by its angle; the sine's first half is negated.
// at: out, x, cos, sin; size: heads, D.
extern "C" void gw_rotary(const Step &s, int, int) {
    int64_t heads = s.size[0], D = s.size[1], half = D / 2;
    const float *cos = s.to<float>(2), *sin = s.to<float>(3);
    for (int64_t h = 0; h < heads; h++) {
        const float *x = s.to<float>(1) + h * D;
        float *out = s.to<float>(0) + h * D;
        for (int64_t i = 0; i < half; i++) {
            float first = x[i], second = x[half + i];
            out[i] = first * cos[i] + second * sin[i];
            out[half + i] = second * cos[half + i] + first * sin[half + i];
        }
    }
}

// out = silu(gate) * up. at: out, gate, up; size: count.
extern "C" void gw_swiglu(const Step &s, int, int) {
    int64_t n = s.size[0];
    for (int64_t i = 0; i < n; i += LANES) {
        Floats gate = load(s.to<float>(1) + i, n - i);
        store(s.to<float>(0) + i, gate * sigmoid(gate) * load(s.to<float>(2) + i, n - i), n - i);
    }
}

// GELU with tanh; 0.5 x (1 + tanh(u)) is x sigmoid(2u). at: out, x; size: count.
extern "C" void gw_gelu(const Step &s, int, int) {
    int64_t n = s.size[0];
    for (int64_t i = 0; i < n; i += LANES) {
        Floats x = load(s.to<float>(1) + i, n - i);
        store(s.to<float>(0) + i, x * sigmoid(1.5957691216f * (x + 0.044715f * x * x * x)), n - i);
    }
}

// The first of the largest logits, and its value (no number if one of them is none).
// at: out id, out value, logits; size: count. The first thread alone computes it.
extern "C" void gw_argmax(const Step &s, int thread, int) {
    if (thread) return;
    int64_t n = s.size[0], i = 0;
    const float *x = s.to<float>(2);
    Floats best = all(-INFINITY), zeros = {};
    Ints where = {}, here = NUMBERED;
    for (; i + LANES <= n; i += LANES, here += LANES) {
        Floats v = load(x + i);
        zeros += v * 0.0f;  // stays zero unless a value is infinite or no number
        Ints better = v > best;
        where = better ? here : where;
        best = better ? v : best;
    }
    float most = -INFINITY, damage = sum(zeros);
    int64_t id = n;
    for (int lane = 0; lane < LANES; lane++)
        if (best[lane] > most || (best[lane] == most && where[lane] < id)) most = best[lane], id = where[lane];
    for (; i < n; i++) {
        damage += x[i] * 0.0f;
        if (x[i] > most) most = x[i], id = i;
    }
    s.to<int64_t>(0)[0] = id < n ? id : 0;
    s.to<float>(1)[0] = damage == 0 ? most : NAN;
}
