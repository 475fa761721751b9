// Sixteen numbers at a time. The compiler's vector types work on every processor; where AVX-512 has an instruction of
// its own for what we need most (products of bytes, fp16), it is used. GLASWERK_PORTABLE leaves those out, for tests.
#pragma once
#include <cstdint>
#include <cstring>
#if defined(__AVX512BF16__) && !defined(GLASWERK_PORTABLE)
#include <immintrin.h>
#endif
#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && !defined(GLASWERK_PORTABLE)
#define GLASWERK_AVX512 1
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

constexpr int LANES = 16;
typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef uint16_t Halves __attribute__((vector_size(32)));

struct bf16 { uint16_t bits; };  // the upper half of a float

template <class V, class T> INLINE V load_as(const T *from) {
    V v;
    memcpy(&v, from, sizeof v);
    return v;
}
INLINE Floats load(const float *from) { return load_as<Floats>(from); }
INLINE Floats load(const bf16 *from) { return (Floats)(__builtin_convertvector(load_as<Halves>(from), Words) << 16); }
INLINE void store(float *to, Floats v) { memcpy(to, &v, sizeof v); }
// Rounds to the nearest bf16, ties to even; the instruction makes numbers below 1.2e-38 zero.
INLINE Halves narrow(Floats v) {
#if defined(__AVX512BF16__) && !defined(GLASWERK_PORTABLE)
    return (Halves)_mm512_cvtneps_pbh((__m512)v);
#else
    Words bits = (Words)v;
    return __builtin_convertvector((bits + 0x7fff + ((bits >> 16) & 1)) >> 16, Halves);
#endif
}
INLINE void store(bf16 *to, Floats v) {
    Halves h = narrow(v);
    memcpy(to, &h, sizeof h);
}

// The same for the last few of a row: missing numbers are zero, and nothing behind the row is touched.
template <class T> INLINE Floats load(const T *from, int64_t left) {
    if (left >= LANES) return load(from);
    T some[LANES] = {};
    memcpy(some, from, left * sizeof(T));
    return load(some);
}
template <class T> INLINE void store(T *to, Floats v, int64_t left) {
    if (left >= LANES) return store(to, v);
    T some[LANES];
    store(some, v);
    memcpy(to, some, left * sizeof(T));
}


constexpr Ints NUMBERED = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
INLINE Floats first(Floats v, int64_t count) { return NUMBERED < (int32_t)count ? v : Floats{}; }  // the rest is zero
INLINE Floats all(float x) { return Floats{} + x; }
INLINE Floats larger(Floats a, Floats b) { return a > b ? a : b; }

// fp16 as float; what is infinite or no number there becomes a large number here.
INLINE Floats from_half(const uint16_t *from) {
#ifdef GLASWERK_AVX512
    return (Floats)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from));
#else
    Words h = __builtin_convertvector(load_as<Halves>(from), Words);
    Floats size = (Floats)((h & 0x7fff) << 13) * 0x1p112f;
    return (Floats)((Words)size | ((h & 0x8000) << 16));
#endif
}

// The sum of all lanes, and the largest.
INLINE float sum(Floats v) {
#ifdef GLASWERK_AVX512
    return _mm512_reduce_add_ps((__m512)v);
#else
    float total = 0;
    for (int i = 0; i < LANES; i++) total += v[i];
    return total;
#endif
}
// Lane i of the result is the sum of all lanes of v[i], which are overwritten: neighbours are added, half as many remain.
INLINE Floats sum_each(Floats *v) {
#pragma GCC unroll 8
    for (int n = LANES / 2; n; n /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < n; i++) {
            Floats a = v[2 * i], b = v[2 * i + 1];
#ifdef __clang__
            v[i] = __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +
                   __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
#else
            v[i] = __builtin_shuffle(a, b, Ints{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30}) +
                   __builtin_shuffle(a, b, Ints{1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31});
#endif
        }
    return v[0];
}
INLINE float largest(Floats v) {
#ifdef GLASWERK_AVX512
    return _mm512_reduce_max_ps((__m512)v);
#else
    float most = v[0];
    for (int i = 1; i < LANES; i++) most = v[i] > most ? v[i] : most;
    return most;
#endif
}

// sums[lane] += four bytes of `w` (unsigned) times the four bytes of `x` (signed).
INLINE Ints dot_bytes(Ints sums, Words w, Ints x) {
#ifdef GLASWERK_AVX512
    return (Ints)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)w, (__m512i)x);
#else
    for (int b = 0; b < 32; b += 8) sums += (Ints)((w >> b) & 255) * ((x << (24 - b)) >> 24);
    return sums;
#endif
}
INLINE Ints dot_bytes(Ints sums, Words w, int32_t x) { return dot_bytes(sums, w, Ints{} + x); }

// sums[lane] += a pair of bf16 of `a` times the pair of `b`, the lower halves first.
INLINE Floats dot_pairs(Floats sums, Words a, Words b) {
#if defined(__AVX512BF16__) && !defined(GLASWERK_PORTABLE)
    return (Floats)_mm512_dpbf16_ps((__m512)sums, (__m512bh)a, (__m512bh)b);
#else
    sums += (Floats)(a << 16) * (Floats)(b << 16);
    return sums + (Floats)(a & 0xffff0000) * (Floats)(b & 0xffff0000);
#endif
}
// What is in a register stays there: the compiler must not load it again for each use.
template <class V> INLINE void keep(V &v) {
#ifdef GLASWERK_AVX512
    asm("" : "+v"(v));
#endif
}

// The nearest whole number, of numbers below 2^22 in size.
INLINE Ints nearest(Floats v) { return (Ints)(v + 0x1.8p23f) - 0x4b400000; }

// e^x to about 2e-7 of its value: 2^n times a polynomial for what is left, |r| <= ln(2)/2.
INLINE Floats exp(Floats x) {
    x = x < -87.0f ? all(-87.0f) : x > 88.0f ? all(88.0f) : x;
    Ints n = nearest(x * 1.44269504f);
    Floats turns = __builtin_convertvector(n, Floats);
    Floats r = x - turns * 0.693359375f + turns * 2.12194440e-4f;
    Floats p = 1 / 5040.0f * r + 1 / 720.0f;
    p = p * r + 1 / 120.0f;
    p = p * r + 1 / 24.0f;
    p = p * r + 1 / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return p * (Floats)((n + 127) << 23);
}
INLINE Floats sigmoid(Floats x) { return 1.0f / (1.0f + exp(-x)); }
