// Runs programs on a few threads that wait for each other by looking, not by sleeping: a decode step has hundreds of
// meeting points, a microsecond of work apart, and waking a thread takes longer than that. Between steps the threads
// look for a moment and then sleep.
#include "step.h"
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace {

inline void breathe(int turns) {
    if (turns > 2000) std::this_thread::yield();  // somebody else may need this processor
#if defined(__x86_64__) || defined(__i386__)
    else __builtin_ia32_pause();
#endif
}

struct alignas(128) Counter {  // a cache line of its own: nobody's writing slows another's reading
    std::atomic<uint64_t> value{0};
};

struct Pool {
    std::mutex one_at_a_time, door;
    std::condition_variable woken;
    std::vector<std::thread> workers;
    std::vector<Counter> met;           // how often each thread has come to a meeting point
    std::atomic<uint64_t> jobs{0};
    std::atomic<int> asleep{0};
    const Step *const *programs = nullptr;
    int64_t count = 0;

    explicit Pool(int threads) : met(threads) {
        for (int t = 1; t < threads; t++) workers.emplace_back([this, t] { serve(t); });
    }

    void meet(int thread) {
        uint64_t mine = met[thread].value.load(std::memory_order_relaxed) + 1;
        met[thread].value.store(mine, std::memory_order_release);
        for (auto &other : met)
            for (int turns = 0; other.value.load(std::memory_order_acquire) < mine; turns++) breathe(turns);
    }

    void walk(int thread) {
        const Step *program = programs[thread];
        for (int64_t i = 0; i < count; i++) {
            program[i].kernel(program[i], thread, (int)met.size());
            if (program[i].shared) meet(thread);
        }
        meet(thread);
    }

    void serve(int thread) {
        for (uint64_t done = 0;; done++) {
            auto began = std::chrono::steady_clock::now();
            for (int turns = 0; jobs.load(std::memory_order_acquire) == done; turns++) {
                breathe(turns);
                if (turns % 256 == 255 && std::chrono::steady_clock::now() - began > std::chrono::milliseconds(2)) {
                    std::unique_lock<std::mutex> lock(door);
                    asleep++;
                    woken.wait(lock, [&] { return jobs.load() != done; });
                    asleep--;
                }
            }
            walk(thread);
        }
    }

    void run(const Step *const *new_programs, int64_t new_count) {
        programs = new_programs, count = new_count;
        jobs.fetch_add(1);
        if (asleep.load()) {
            std::lock_guard<std::mutex> lock(door);
            woken.notify_all();
        }
        walk(0);
    }
};

std::mutex owner;
std::vector<Pool *> pools;  // by number of threads; they live as long as the process

}  // namespace

// Run a program: one array of `count` steps per thread. Returns when all is computed.
extern "C" void gw_run(const Step *const *programs, int64_t count, int threads) {
    if (threads <= 1) {
        for (int64_t i = 0; i < count; i++) programs[0][i].kernel(programs[0][i], 0, 1);
        return;
    }
    std::lock_guard<std::mutex> lock(owner);
#if defined(__unix__) || defined(__APPLE__)
    static bool watched = false;
    if (!watched) {  // a forked child has none of the threads: it starts with new pools
        pthread_atfork([] { owner.lock(); }, [] { owner.unlock(); }, [] { pools.clear(), owner.unlock(); });
        watched = true;
    }
#endif
    if ((int)pools.size() <= threads) pools.resize(threads + 1, nullptr);
    if (!pools[threads]) pools[threads] = new Pool(threads);
    pools[threads]->run(programs, count);
}

extern "C" int64_t gw_size_of_step() { return sizeof(Step); }
