// What stands between the matrix products of a block whose weights are frozen, forward and backward: RMSNorm, the turning
// of queries and keys, SwiGLU. One pass over memory each, in fp32 inside, where PyTorch takes several. Values are bf16.
#include "vector.h"
#include <cmath>

extern "C" struct Between {
    const bf16 *x;       // what goes in: [rows, width]
    const bf16 *slope;   // d loss / d what comes out; backward only
    bf16 *to;            // what comes out; backward: d loss / d x
    const float *weight; // of the norm: [width]
    float *scales;       // [rows]: what the norm multiplies a row with
    const bf16 *cos, *sin;  // [period, D], the first half of each row of `sin` negated
    int64_t rows, width, period, D, turned;  // `turned`: so many numbers of a row are turned, the rest stays
    float eps;
};

namespace {

INLINE float added(Floats v) {
    float sum = 0;
    for (int i = 0; i < LANES; i++) sum += v[i];
    return sum;
}

void norm(const Between &b, int64_t row) {
    const bf16 *x = b.x + row * b.width;
    bf16 *to = b.to + row * b.width;
    Floats squares = {};
    for (int64_t c = 0; c < b.width; c += LANES) {
        Floats v = load(x + c, b.width - c);
        squares += v * v;
    }
    const float scale = b.scales[row] = 1.0f / std::sqrt(added(squares) / (float)b.width + b.eps);
    for (int64_t c = 0; c < b.width; c += LANES)
        store(to + c, load(x + c, b.width - c) * scale * load(b.weight + c, b.width - c), b.width - c);
}
void norm_backward(const Between &b, int64_t row) {
    const bf16 *x = b.x + row * b.width, *slope = b.slope + row * b.width;
    bf16 *to = b.to + row * b.width;
    Floats along = {};
    for (int64_t c = 0; c < b.width; c += LANES) {
        const int64_t left = b.width - c;
        along += load(x + c, left) * load(slope + c, left) * load(b.weight + c, left);
    }
    const float scale = b.scales[row], back = added(along) * scale * scale * scale / (float)b.width;
    for (int64_t c = 0; c < b.width; c += LANES) {
        const int64_t left = b.width - c;
        store(to + c, load(slope + c, left) * load(b.weight + c, left) * scale - load(x + c, left) * back, left);
    }
}

// Backward, a turn is undone: the same with the angle the other way.
template <bool BACK> void turn(const Between &b, int64_t row) {
    const bf16 *from = (BACK ? b.slope : b.x) + row * b.width;
    bf16 *to = b.to + row * b.width;
    const int64_t half = b.D / 2;
    const bf16 *cos = b.cos + row % b.period * b.D, *sin = b.sin + row % b.period * b.D;
    for (int64_t head = 0; head < b.turned; head += b.D)
        for (int64_t d = 0; d < half; d += LANES) {
            const int64_t left = half - d;
            const Floats one = load(from + head + d, left), two = load(from + head + half + d, left);
            const Floats sin_one = load(sin + d, left), sin_two = load(sin + half + d, left);
            store(to + head + d, one * load(cos + d, left) + two * (BACK ? sin_two : sin_one), left);
            store(to + head + half + d, two * load(cos + half + d, left) + one * (BACK ? sin_one : sin_two), left);
        }
    memcpy(to + b.turned, from + b.turned, (b.width - b.turned) * sizeof(bf16));
}

// `width` is that of one half: a row of x is a gate, then what it lets through.
void gate(const Between &b, int64_t row) {
    const bf16 *gate = b.x + 2 * row * b.width, *up = gate + b.width;
    for (int64_t m = 0; m < b.width; m += LANES) {
        const int64_t left = b.width - m;
        const Floats g = load(gate + m, left);
        store(b.to + row * b.width + m, g * sigmoid(g) * load(up + m, left), left);
    }
}
void gate_backward(const Between &b, int64_t row) {
    const bf16 *gate = b.x + 2 * row * b.width, *up = gate + b.width, *slope = b.slope + row * b.width;
    bf16 *of_gate = b.to + 2 * row * b.width, *of_up = of_gate + b.width;
    for (int64_t m = 0; m < b.width; m += LANES) {
        const int64_t left = b.width - m;
        const Floats g = load(gate + m, left), s = sigmoid(g), back = load(slope + m, left);
        store(of_gate + m, back * load(up + m, left) * s * (1.0f + g * (1.0f - s)), left);
        store(of_up + m, back * g * s, left);
    }
}

template <void (*task)(const Between &, int64_t)> void everywhere(const Between &b, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t row = 0; row < b.rows; row++) task(b, row);
}
}  // namespace

extern "C" {
int64_t gw_size_of_between() { return sizeof(Between); }
void gw_between_norm(const Between &b, int threads) { everywhere<norm>(b, threads); }
void gw_between_norm_backward(const Between &b, int threads) { everywhere<norm_backward>(b, threads); }
void gw_between_turn(const Between &b, int threads) { everywhere<turn<false>>(b, threads); }
void gw_between_turn_backward(const Between &b, int threads) { everywhere<turn<true>>(b, threads); }
void gw_between_gate(const Between &b, int threads) { everywhere<gate>(b, threads); }
void gw_between_gate_backward(const Between &b, int threads) { everywhere<gate_backward>(b, threads); }
}
