# The engine of sparse weights x sparse activations: each sample's non-zeros are listed, then their columns of W added.
# See sparse_columns.h.

from libc.stdint cimport int32_t, uint16_t
from libc.string cimport memcpy, memset
from cython.parallel cimport parallel, threadid

import numpy as np

from sparsebench.memory import aligned_empty

include "native_plan.pxi"

cdef extern from "sparse_columns.h" nogil:
    int COLUMNS_AHEAD
    ctypedef struct sparse_columns:
        ptrdiff_t sets
        ptrdiff_t set_rows
        const uint16_t *row
        const float *values
    ctypedef void (*add_columns_fn)(const sparse_columns *, ptrdiff_t, ptrdiff_t, const int32_t *, const float *,
                                    ptrdiff_t, float *) noexcept nogil
    add_columns_fn pick_add_columns(int lanes)
    ptrdiff_t compress(const float *x, ptrdiff_t n, int32_t *index, float *value)

cdef extern from "barrier.h" nogil:
    void barrier()

# What a thread works in: one sample's column of X, and its lists.
cdef struct Scratch:
    float *column
    int32_t *index
    float *value

cdef struct Call:
    Operands io
    sparse_columns columns
    add_columns_fn add
    int threads
    Scratch *scratch
    # Columns of Y, each with all rows of the last set, real or not.
    float *y
    ptrdiff_t ldy


cdef ptrdiff_t listed(const Call *call, ptrdiff_t sample, const Scratch *scratch) noexcept nogil:
    """List the non-zeros of one column of X, and return how many there are."""
    cdef const float *x = call.io.x
    cdef ptrdiff_t k, i, count
    if call.io.N > 1:
        for k in range(call.io.K):
            scratch.column[k] = call.io.x[k * call.io.N + sample]
        x = scratch.column
    count = compress(x, call.io.K, scratch.index, scratch.value)
    for i in range(COLUMNS_AHEAD):
        scratch.index[count + i] = scratch.index[count - 1] if count else 0
    return count


cdef void add_sets(const Call *call, int thread, ptrdiff_t sample, ptrdiff_t first, ptrdiff_t last) noexcept nogil:
    """Compute the rows of sets [first, last) of one column of Y."""
    cdef const Scratch *scratch = call.scratch + thread
    cdef ptrdiff_t count = listed(call, sample, scratch)
    cdef float *y = call.y + sample * call.ldy + first * call.columns.set_rows
    memset(y, 0, (last - first) * call.columns.set_rows * sizeof(float))
    call.add(&call.columns, first, last, scratch.index, scratch.value, count, y)


cdef void one_sample(const Call *call, int thread) noexcept nogil:
    """N = 1: each thread lists the non-zeros for itself and computes its share of the sets."""
    cdef ptrdiff_t first = call.columns.sets * thread // call.threads
    cdef ptrdiff_t last = call.columns.sets * (thread + 1) // call.threads
    cdef ptrdiff_t row = first * call.columns.set_rows
    add_sets(call, thread, 0, first, last)
    memcpy(call.io.y + row, call.y + row, (min(last * call.columns.set_rows, call.io.M) - row) * sizeof(float))


cdef void samples(const Call *call, int thread) noexcept nogil:
    """Whole samples to each thread; then rows of Y, so that no two threads write to one cache line for long."""
    cdef ptrdiff_t sample, m
    for sample in range(call.io.N * thread // call.threads, call.io.N * (thread + 1) // call.threads):
        add_sets(call, thread, sample, 0, call.columns.sets)
    if call.threads > 1:
        barrier()
    for m in range(call.io.M * thread // call.threads, call.io.M * (thread + 1) // call.threads):
        for sample in range(call.io.N):
            call.io.y[m * call.io.N + sample] = call.y[sample * call.ldy + m]


cdef void entry_point(void *context) noexcept nogil:
    cdef const Call *call = <const Call *>context
    if call.threads == 1:
        if call.io.N == 1:
            one_sample(call, 0)
        else:
            samples(call, 0)
        return
    with parallel(num_threads=call.threads):
        if call.io.N == 1:
            one_sample(call, threadid())
        else:
            samples(call, threadid())


cdef void selection_point(void *context) noexcept nogil:
    """What of a call is selection: listing the non-zeros, on one thread."""
    cdef const Call *call = <const Call *>context
    cdef ptrdiff_t sample
    for sample in range(call.io.N):
        listed(call, sample, call.scratch)


cdef class SparsePlan(NativePlan):
    """W as `sparsebench.formats.columns.Columns`; computes Y[M, N] = W[M, K] X[K, N] from the non-zeros of X."""

    cdef Call native
    cdef Scratch scratch[64]

    def __cinit__(self, columns, N, threads):
        cdef const uint16_t[:, ::1] row = columns.row
        cdef const float[:, :, ::1] values = columns.values
        cdef int i
        cdef float[::1] column, value
        cdef float[:, ::1] y
        cdef int32_t[::1] index
        if not 0 < threads <= 64:
            raise ValueError(f"{threads} threads; this plan takes from 1 to 64")
        self.operands = &self.native.io
        self.function = entry_point
        self.take(columns.shape[0], columns.shape[1], N, "row")
        self.native.columns = sparse_columns(
            sets=row.shape[1], set_rows=columns.overlay * columns.lanes, row=&row[0, 0], values=&values[0, 0, 0],
        )
        self.native.add = pick_add_columns(columns.lanes)
        if self.native.add == NULL:
            raise ValueError(f"no kernel for {columns.lanes} lanes")
        self.native.threads = threads
        self.native.scratch = self.scratch
        held = []
        room = columns.shape[1] + 32
        for i in range(threads):
            column, value, index = aligned_empty(room), aligned_empty(room), aligned_empty(room, np.int32)
            self.scratch[i] = Scratch(column=&column[0], index=&index[0], value=&value[0])
            held.append((column, value, index))
        # A line more, so that columns do not all begin in one set of the cache.
        y = aligned_empty((N, row.shape[1] * self.native.columns.set_rows + 16))
        self.native.y = &y[0, 0]
        self.native.ldy = y.shape[1]
        self.arrays = (columns, held, y)
        self.packed_bytes = columns.nbytes
        sets, s = row.shape[1], "s" if threads > 1 else ""
        self.detail = f"columns of {sets} set{'s' if sets > 1 else ''} x {columns.lanes} lanes, {threads} thread{s}"

    @property
    def selection_entry(self):
        """Address of the part of `entry` that lists the non-zeros, to be timed apart; takes the same context."""
        return <size_t><void *>selection_point
