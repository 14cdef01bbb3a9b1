# The engine for few columns of partitioned complementary sparsity with one lane; see windows.h.

from libc.stdint cimport uint8_t
from cython.parallel cimport parallel, threadid

from sparsebench.memory import aligned_empty

include "native_plan.pxi"

cdef extern from "windows.h" nogil:
    int VLEN
    ctypedef struct windows_of_rows:
        ptrdiff_t windows
        int width
        const float *values
        const uint8_t *place
    ctypedef void (*window_fn)(const windows_of_rows *, ptrdiff_t, ptrdiff_t, const float *, ptrdiff_t,
                               float *, float *, ptrdiff_t) noexcept nogil
    int window_vectors(int n)
    window_fn pick_windows(int n)

VECTOR_FLOATS = VLEN


def vectors_for(int N):
    """Vectors of rows in a block for N columns; 0 where this level has no such kernel."""
    return window_vectors(N)


cdef struct WindowCall:
    Operands io
    windows_of_rows windows
    window_fn compute
    ptrdiff_t blocks
    int threads
    float *opened
    ptrdiff_t opened_floats


cdef void window_work(const WindowCall *call, int thread) noexcept nogil:
    # Each thread opens the windows for itself: that costs less than waiting for another to do it.
    call.compute(&call.windows, call.blocks * thread // call.threads, call.blocks * (thread + 1) // call.threads,
                 call.io.x, call.io.K, call.opened + thread * call.opened_floats, call.io.y, call.io.M)


cdef void window_entry(void *context) noexcept nogil:
    cdef const WindowCall *call = <const WindowCall *>context
    if call.threads == 1:
        window_work(call, 0)
        return
    with parallel(num_threads=call.threads):
        window_work(call, threadid())


cdef class WindowPlan(NativePlan):
    """W as `sparsebench.formats.windows.Windows`; computes Y[M, N] = W[M, K] X[K, N], N at most 12."""

    cdef WindowCall native

    def __cinit__(self, windows, N, threads):
        cdef const float[:, :, :, ::1] values = windows.values
        cdef const uint8_t[:, :, :, ::1] place = windows.place
        cdef float[:, ::1] opened
        if pick_windows(N) == NULL or values.shape[2] != window_vectors(N):
            raise ValueError(f"no window kernel at this level for N = {N}, {values.shape[2]} vectors a block")
        self.operands = &self.native.io
        self.function = window_entry
        self.take(windows.shape[0], windows.shape[1], N, "row")
        self.native.windows = windows_of_rows(
            windows=values.shape[1], width=windows.width, values=&values[0, 0, 0, 0], place=&place[0, 0, 0, 0],
        )
        self.native.compute = pick_windows(N)
        self.native.blocks = values.shape[0]
        self.native.threads = max(1, min(threads, values.shape[0]))
        opened = aligned_empty((self.native.threads, values.shape[1] * 2 * VECTOR_FLOATS * N))
        opened[...] = 0
        self.native.opened = &opened[0, 0]
        self.native.opened_floats = opened.shape[1]
        self.arrays = (windows, opened)
        self.packed_bytes = windows.nbytes
        s = "s" if self.native.threads > 1 else ""
        self.detail = f"{values.shape[2]}x{VECTOR_FLOATS} rows by permutes, {self.native.threads} thread{s}"
