// How quantized matrices lie in memory; written by pack() in quantize.py.
//
// A tile is 16 rows. For each block of 32 columns it holds the whole numbers, [c][row][b] for column 4 c + b (with 4
// bits, column 4 c + b in the low half and 16 further in the high half of a byte), and apart from them the fp16 scales,
// [d or m][row]. So one vector holds four neighbours of each of the 16 rows, and nothing has to be added across lanes.
#pragma once
#include "vector.h"
#include <vector>

constexpr int BLOCK = 32;
enum { Q8_0, Q4_0, Q4_1 };
constexpr int tile_bytes(int64_t kind) { return kind == Q8_0 ? 512 : 256; }
constexpr int tile_scales(int64_t kind) { return kind == Q4_1 ? 32 : 16; }

typedef int8_t Signed __attribute__((vector_size(16)));

// A vector in whole numbers of two bytes: x ~ scale * q, q = 256 high + low, in each block.
struct TwoBytes {
    static constexpr float LARGEST = 127 * 256;
    std::vector<int32_t> high, low;  // four bytes to a word
    std::vector<float> scale, sum;   // per block; sum is that of scale * q
    std::vector<int32_t> whole;      // per block: the sum of q
    void set(const float *x, int64_t K);
};

INLINE int32_t total(Ints v) {
#ifdef GLASWERK_AVX512
    return _mm512_reduce_add_epi32((__m512i)v);
#else
    int32_t sum = 0;
    for (int i = 0; i < LANES; i++) sum += v[i];
    return sum;
#endif
}

INLINE float number(const float *x) { return *x; }
INLINE float number(const bf16 *x) {
    uint32_t bits = (uint32_t)x->bits << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}
INLINE float half(uint16_t x) {
    uint16_t many[LANES] = {x};
    return from_half(many)[0];
}
