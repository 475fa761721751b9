// A step: one operation with its addresses and sizes, as a record that Python fills and C++ runs.
//
// A program is an array of steps. Every thread walks through it on its own. A step either is *shared* (each thread
// computes its part of the result, then all wait for each other) or is computed whole by every thread, into a result of
// its own: for small operations that is quicker than waiting.
#pragma once
#include <cstdint>

struct Step;
using Kernel = void (*)(const Step &, int thread, int threads);

struct Step {
    Kernel kernel;
    void *at[8];      // results first, then what is read; each kernel says which
    int64_t size[8];  // counts and switches; each kernel says which
    double number;    // epsilon or scale
    int64_t shared;   // 1: wait for the other threads afterwards

    template <class T> T *to(int i) const { return static_cast<T *>(at[i]); }
};

// The part [first, last) of `count` things that a thread takes.
struct Part {
    int64_t first, last;
    Part(int64_t count, int thread, int threads)
        : first(count * thread / threads), last(count * (thread + 1) / threads) {}
};
