/* How far two CPUs are apart: the time in which a cache line travels from one to the other and back. */
#ifndef SPARSEBENCH_ROUND_TRIP_H
#define SPARSEBENCH_ROUND_TRIP_H

#include <math.h>

#ifdef __linux__
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#define TRIPS 100
#define BATCHES 10
/* Looks at the line after which the other side is taken for not running: some 10 to 50 ms. */
#define PATIENCE 1000000

typedef struct {
    _Alignas(128) atomic_int turn;
    int cpu;
} Line;

static inline void breathe(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Waits until the line holds a value; returns 0 if it never does. */
static inline int await_turn(atomic_int *turn, int value)
{
    for (int looks = 0; looks < PATIENCE; looks++) {
        if (atomic_load_explicit(turn, memory_order_acquire) == value) {
            return 1;
        }
        breathe();
    }
    return 0;
}

static inline int hold_to(int cpu)
{
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(cpu, &only);
    return pthread_setaffinity_np(pthread_self(), sizeof only, &only) == 0;
}

static void *answer(void *argument)
{
    Line *line = argument;
    if (hold_to(line->cpu)) {
        for (int trip = 0; trip < TRIPS * BATCHES && await_turn(&line->turn, 2 * trip + 1); trip++) {
            atomic_store_explicit(&line->turn, 2 * trip + 2, memory_order_release);
        }
    }
    return NULL;
}

static inline double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Seconds of a round trip, the least of ten batches; NAN if one of the CPUs may not be used, or is not free. */
static double round_trip(int here, int there)
{
    Line line = {.turn = 0, .cpu = there};
    cpu_set_t before;
    pthread_t other;
    double least = INFINITY;
    int trip = 0, answered = 1;
    if (pthread_getaffinity_np(pthread_self(), sizeof before, &before) || !hold_to(here)) {
        return NAN;
    }
    if (pthread_create(&other, NULL, answer, &line) == 0) {
        for (int batch = 0; batch < BATCHES && answered; batch++) {
            const double start = now_s();
            for (int end = trip + TRIPS; trip < end && answered; trip++) {
                atomic_store_explicit(&line.turn, 2 * trip + 1, memory_order_release);
                answered = await_turn(&line.turn, 2 * trip + 2);
            }
            const double each = (now_s() - start) / TRIPS;
            least = each < least ? each : least;
        }
        pthread_join(other, NULL);
    } else {
        answered = 0;
    }
    pthread_setaffinity_np(pthread_self(), sizeof before, &before);
    return answered ? least : NAN;
}

#else

static double round_trip(int here, int there)
{
    (void)here, (void)there;
    return NAN;
}

#endif

#endif
