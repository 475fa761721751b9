// The small operations for many tokens at once: each thread takes some of the rows and computes them as small.cpp does.
#include "linear.h"
#include "step.h"
#include <initializer_list>

extern "C" {
void gw_add(const Step &, int, int);
void gw_gelu(const Step &, int, int);
void gw_rms_norm(const Step &, int, int);
void gw_layer_norm(const Step &, int, int);
void gw_row_blocks(const Step &, int, int);
}

// A step about `count` things (size 0), of which each is `width` floats in the tensors of `places`: the thread's share.
static void divided(const Step &s, Kernel kernel, int64_t width, std::initializer_list<int> places, int thread, int threads) {
    Part part(s.size[0], thread, threads);
    Step mine = s;
    mine.size[0] = part.last - part.first;
    for (int place : places) mine.at[place] = s.to<float>(place) + part.first * width;
    if (mine.size[0]) kernel(mine, 0, 1);
}

extern "C" {
// As in small.cpp.
void gw_add_many(const Step &s, int thread, int threads) { divided(s, gw_add, 1, {0, 1, 2}, thread, threads); }
void gw_gelu_many(const Step &s, int thread, int threads) { divided(s, gw_gelu, 1, {0, 1}, thread, threads); }
void gw_rms_norm_many(const Step &s, int thread, int threads) { divided(s, gw_rms_norm, s.size[1], {0, 1}, thread, threads); }
void gw_layer_norm_many(const Step &s, int thread, int threads) { divided(s, gw_layer_norm, s.size[1], {0, 1}, thread, threads); }

// out[i] = row ids[i] of the matrix. at: out, ids, q, scale; size: K, kind, number of ids.
void gw_row_blocks_many(const Step &s, int thread, int threads) {
    Part part(s.size[2], thread, threads);
    for (int64_t i = part.first; i < part.last; i++) {
        Step mine = s;
        mine.at[0] = s.to<float>(0) + i * s.size[0], mine.at[1] = s.to<int64_t>(1) + i;
        gw_row_blocks(mine, 0, 1);
    }
}

// Whether products of bytes have an instruction of their own here; without one, many tokens are PyTorch's to multiply.
int gw_fast_bytes() {
#ifdef GLASWERK_AVX512
    return 1;
#else
    return 0;
#endif
}
}
