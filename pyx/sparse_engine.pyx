# The engine of sparse weights x sparse activations: each sample's non-zeros are listed, then their columns of W added.
# Parallel over samples, and over sets where samples are fewer than threads. See sparse_columns.h.

from libc.stdint cimport int32_t, uint16_t, uintptr_t
from libc.string cimport memcpy
from cython.parallel cimport parallel, threadid

from math import gcd

import numpy as np

from sparsebench.memory import aligned_empty

include "native_plan.pxi"

cdef extern from "sparse_columns.h" nogil:
    ptrdiff_t NONZEROS_SPARE
    ctypedef struct sparse_columns:
        ptrdiff_t sets
        ptrdiff_t set_rows
        const uint16_t *row
        const float *values
    ctypedef void (*add_fn)(const sparse_columns *, ptrdiff_t, const float *, const int32_t *, ptrdiff_t, float *,
                            float *) noexcept nogil
    const add_fn *pick_adds(int lanes)
    ptrdiff_t nonzeros(const float *x, ptrdiff_t n, int32_t *list)
    void multiply_columns(const sparse_columns *W, const add_fn *adds, ptrdiff_t s0, ptrdiff_t s1, const float *x,
                          const int32_t *list, ptrdiff_t count, float *y, ptrdiff_t rows, float *scratch)

cdef extern from "transpose.h" nogil:
    void transpose(const float *source, ptrdiff_t ld_source, ptrdiff_t rows, ptrdiff_t columns,
                   float *target, ptrdiff_t ld_target)

cdef extern from "barrier.h" nogil:
    void barrier()

# Samples that a thread transposes at a time: a cache line of each row of X.
TOGETHER = 16

cdef struct Call:
    Operands io
    sparse_columns W
    int lanes
    const add_fn *adds
    # X and Y hold one sample after the other.
    bint contiguous
    # Samples are cut into `parts` of at most `together`, sets into `cuts`.
    ptrdiff_t parts
    ptrdiff_t together
    ptrdiff_t cuts
    int threads
    # For each thread a list of non-zeros, and where samples are not contiguous, [together, ld_x] of them.
    int32_t *list
    float *x
    ptrdiff_t ld_list
    ptrdiff_t ld_x
    # With all rows of the last set, real or not: [N, ld_y], all samples; contiguous: [threads, ld_y].
    float *y
    ptrdiff_t ld_y


# One sample of X and sets [s0, s1), to `rows` rows of y.
cdef void multiply(const Call *call, int thread, const float *x, ptrdiff_t s0, ptrdiff_t s1, float *y, ptrdiff_t rows,
                   float *scratch, bint select_only) noexcept nogil:
    cdef int32_t *chosen = call.list + thread * call.ld_list
    cdef ptrdiff_t count = nonzeros(x, call.io.K, chosen)
    if not select_only:
        multiply_columns(&call.W, call.adds, s0, s1, x, chosen, count, y, rows, scratch)


# Samples [n0, n1), where they are.
cdef void contiguous_part(const Call *call, int thread, ptrdiff_t n0, ptrdiff_t n1, ptrdiff_t s0, ptrdiff_t s1,
                          bint select_only) noexcept nogil:
    cdef ptrdiff_t r0 = s0 * call.W.set_rows, n
    cdef ptrdiff_t rows = min(call.io.M, s1 * call.W.set_rows) - r0
    cdef const float *x
    cdef float *target
    cdef float *scratch = call.y + thread * call.ld_y
    for n in range(n0, n1):
        x = call.io.x + n * call.io.K
        target = call.io.y + n * call.io.M + r0
        if <uintptr_t>target % (4 * call.lanes) == 0:
            multiply(call, thread, x, s0, s1, target, rows, scratch, select_only)
        else:
            # Vectors across cache lines would cost more than the copy.
            multiply(call, thread, x, s0, s1, scratch, (s1 - s0) * call.W.set_rows, scratch, select_only)
            if not select_only:
                memcpy(target, scratch, rows * sizeof(float))


# Samples [n0, n1), to columns that `finish` transposes.
cdef void strided_part(const Call *call, int thread, ptrdiff_t n0, ptrdiff_t n1, ptrdiff_t s0, ptrdiff_t s1,
                       bint select_only) noexcept nogil:
    cdef ptrdiff_t r0 = s0 * call.W.set_rows, n
    cdef float *x = call.x + thread * call.together * call.ld_x
    cdef float *y = call.y + r0
    transpose(call.io.x + n0, call.io.N, call.io.K, n1 - n0, x, call.ld_x)
    for n in range(n0, n1):
        multiply(call, thread, x + (n - n0) * call.ld_x, s0, s1, y + n * call.ld_y, (s1 - s0) * call.W.set_rows, y,
                 select_only)


# Rows of Y to each thread, in sixteens: no cache line is written by two.
cdef void finish(const Call *call, int thread) noexcept nogil:
    cdef ptrdiff_t M = call.io.M, N = call.io.N, lines = (M + 15) // 16
    cdef ptrdiff_t m0 = lines * thread // call.threads * 16
    cdef ptrdiff_t m1 = min(M, lines * (thread + 1) // call.threads * 16)
    if m0 < m1:
        transpose(call.y + m0, call.ld_y, N, m1 - m0, call.io.y + m0 * N, N)


# One thread's share of parts x cuts; the cuts of one part that fall to it are one range of sets. Then its rows of Y.
cdef void work(const Call *call, int thread, bint select_only) noexcept nogil:
    cdef ptrdiff_t items = call.parts * call.cuts
    cdef ptrdiff_t item = items * thread // call.threads
    cdef ptrdiff_t last = items * (thread + 1) // call.threads
    cdef ptrdiff_t part, cut, end, n0, n1, s0, s1
    while item < last:
        part = item // call.cuts
        cut = item % call.cuts
        end = min(call.cuts, cut + last - item)
        n0, n1 = call.io.N * part // call.parts, call.io.N * (part + 1) // call.parts
        s0, s1 = call.W.sets * cut // call.cuts, call.W.sets * end // call.cuts
        if call.contiguous:
            contiguous_part(call, thread, n0, n1, s0, s1, select_only)
        else:
            strided_part(call, thread, n0, n1, s0, s1, select_only)
        item += end - cut
    if not call.contiguous and not select_only:
        if call.threads > 1:
            barrier()
        finish(call, thread)


cdef void share(const Call *call, bint select_only) noexcept nogil:
    if call.threads == 1:
        work(call, 0, select_only)
        return
    with parallel(num_threads=call.threads):
        work(call, threadid(), select_only)


cdef void product_entry(void *context) noexcept nogil:
    share(<const Call *>context, False)


cdef void selection_entry(void *context) noexcept nogil:
    cdef const Call *call = <const Call *>context
    if call.parts == 1:
        # In the call every thread lists all non-zeros for itself: waking the others is not selection.
        work(call, 0, True)
    else:
        share(call, True)


cdef class SparsePlan(NativePlan):
    """W as `sparsebench.formats.columns.Columns`; computes Y[M, N] = W[M, K] X[K, N], skipping the zeros of X."""

    cdef Call native

    def __cinit__(self, columns, N, layout, threads):
        cdef const uint16_t[:, ::1] row = columns.row
        cdef const float[:, :, ::1] values = columns.values
        cdef float[:, :, ::1] x
        cdef float[:, ::1] y
        cdef int32_t[:, ::1] lists
        self.operands = &self.native.io
        self.function = product_entry
        self.take(columns.shape[0], columns.shape[1], N, layout)
        self.native.W = sparse_columns(
            sets=row.shape[1], set_rows=columns.overlay * columns.lanes, row=&row[0, 0], values=&values[0, 0, 0],
        )
        self.native.lanes = columns.lanes
        self.native.adds = pick_adds(columns.lanes)
        if self.native.adds == NULL:
            raise ValueError(f"no kernel for {columns.lanes} lanes")
        self.native.threads = threads
        self.native.contiguous = layout == "column" or N == 1
        together = 1 if self.native.contiguous else min(TOGETHER, -(-N // threads))
        self.native.together = together
        self.native.parts = -(-N // together)
        # As few cuts as give every thread the same number of items: each cut selects again.
        self.native.cuts = min(row.shape[1], threads // gcd(self.native.parts, threads)) \
            if self.native.parts < 4 * threads else 1
        # Odd numbers of cache lines: the rows of a transposition fall into different sets of L1.
        x = aligned_empty((threads, together, odd_lines(1 if self.native.contiguous else columns.shape[1])))
        y = aligned_empty((threads if self.native.contiguous else N, odd_lines(row.shape[1] * self.native.W.set_rows)))
        lists = aligned_empty((threads, odd_lines(columns.shape[1] + NONZEROS_SPARE)), np.int32)
        self.native.x, self.native.ld_x = &x[0, 0, 0], x.shape[2]
        self.native.y, self.native.ld_y = &y[0, 0], y.shape[1]
        self.native.list, self.native.ld_list = &lists[0, 0], lists.shape[1]
        self.arrays = (columns, x, y, lists)
        self.packed_bytes = columns.nbytes
        self.detail = (
            f"columns of {count(row.shape[1], 'set')} x {count(columns.lanes, 'lane')}, {count(threads, 'thread')}"
        )

    @property
    def selection_entry(self):
        """Address of the part of `entry` that lists the non-zeros, to be timed apart; takes the same context."""
        return <size_t><void *>selection_entry


def odd_lines(floats):
    """Return the least odd number of cache lines that holds so many floats, in floats."""
    return 16 * (-(-floats // 16) | 1)


def count(number, noun):
    return f"{number} {noun}{'' if number == 1 else 's'}"
