# The ceilings of this machine at this level: FMA throughput, and read bandwidth of a working set of given size.
# Each thread works on registers or on a buffer of its own; the best of several passes counts.

from cython.parallel cimport prange

from time import perf_counter

from sparsebench.memory import aligned_empty

cdef extern from "ceiling.h" nogil:
    int VLEN
    double fma_rounds(long rounds)
    void read_once(const float *data, ptrdiff_t floats)


def fma_gflops(int threads, double seconds=0.05):
    """Return the fused multiply-adds of all threads together, in GFLOP/s: the best of passes over `seconds`."""
    cdef long rounds = 10_000
    cdef int _t
    cdef double flops, best = 0.0
    end = perf_counter() + seconds
    while True:
        start = perf_counter()
        flops = 0.0
        for _t in prange(threads, nogil=True, num_threads=threads, schedule="static"):
            flops += fma_rounds(rounds)
        now = perf_counter()
        best = max(best, flops / (now - start) * 1e-9)
        if now - start < seconds / 20:
            rounds *= 2
        if now > end:
            return best


cdef void read_many(const float *data, ptrdiff_t floats, long passes) noexcept nogil:
    cdef long _p
    for _p in range(passes):
        read_once(data, floats)


def read_gbytes(Py_ssize_t nbytes, int threads, double seconds=0.05):
    """Return the read bandwidth, in GB/s of all threads together, each over `nbytes` of its own."""
    cdef ptrdiff_t floats = max(1, nbytes // (32 * VLEN)) * 8 * VLEN
    cdef float[:, ::1] data = aligned_empty((threads, floats))
    cdef long passes = 1
    cdef double best = 0.0
    cdef int t
    data[:, :] = 1.0
    end = perf_counter() + seconds
    while True:
        start = perf_counter()
        for t in prange(threads, nogil=True, num_threads=threads, schedule="static"):
            read_many(&data[t, 0], floats, passes)
        now = perf_counter()
        best = max(best, 4.0 * floats * threads * passes / (now - start) * 1e-9)
        if now - start < seconds / 20:
            passes *= 2
        if now > end:
            return best
