# k-winners prepared for one shape: n samples in turn, dense or as lists of winners. See k_winners.h for the method.

from libc.stdint cimport int32_t, uint8_t, uint16_t

import numpy as np

from sparsebench.memory import aligned_empty

include "native_call.pxi"

cdef extern from "k_winners.h" nogil:
    int VLEN
    ptrdiff_t global_winners_scratch(ptrdiff_t size)
    void global_winners(const float *x, const float *boost, ptrdiff_t size, ptrdiff_t k, float *scratch, float *out)
    void global_winners_list(const float *x, const float *boost, ptrdiff_t size, ptrdiff_t k, float *scratch,
                             int32_t *index, float *value)
    ptrdiff_t local_winners_scratch(ptrdiff_t C)
    void local_winners(const float *x, const float *boost, ptrdiff_t C, ptrdiff_t P, ptrdiff_t k, float *scratch,
                       float *out)
    void local_winners_list_8(const float *x, const float *boost, ptrdiff_t C, ptrdiff_t P, ptrdiff_t k,
                              float *scratch, uint8_t *channel, float *value)
    void local_winners_list_16(const float *x, const float *boost, ptrdiff_t C, ptrdiff_t P, ptrdiff_t k,
                               float *scratch, uint16_t *channel, float *value)

VECTOR_FLOATS = VLEN

# `out` is [n, C * P], `values` and `indices` are [n, P * k]; a global map is one pixel of C = size units.
cdef struct Call:
    const float *x
    const float *boost
    float *out
    float *values
    char *indices
    ptrdiff_t index_bytes
    float *scratch
    ptrdiff_t n
    ptrdiff_t C
    ptrdiff_t P
    ptrdiff_t k


cdef void global_dense(void *context) noexcept nogil:
    cdef const Call *c = <const Call *>context
    cdef ptrdiff_t i
    for i in range(c.n):
        global_winners(c.x + i * c.C, c.boost, c.C, c.k, c.scratch, c.out + i * c.C)


cdef void global_list(void *context) noexcept nogil:
    cdef const Call *c = <const Call *>context
    cdef ptrdiff_t i
    for i in range(c.n):
        global_winners_list(c.x + i * c.C, c.boost, c.C, c.k, c.scratch,
                            <int32_t *>c.indices + i * c.k, c.values + i * c.k)


cdef void local_dense(void *context) noexcept nogil:
    cdef const Call *c = <const Call *>context
    cdef ptrdiff_t i, step = c.C * c.P
    for i in range(c.n):
        local_winners(c.x + i * step, c.boost, c.C, c.P, c.k, c.scratch, c.out + i * step)


cdef void local_list(void *context) noexcept nogil:
    cdef const Call *c = <const Call *>context
    cdef ptrdiff_t i, step = c.C * c.P, list_step = c.P * c.k
    for i in range(c.n):
        if c.index_bytes == 1:
            local_winners_list_8(c.x + i * step, c.boost, c.C, c.P, c.k, c.scratch,
                                 <uint8_t *>c.indices + i * list_step, c.values + i * list_step)
        else:
            local_winners_list_16(c.x + i * step, c.boost, c.C, c.P, c.k, c.scratch,
                                  <uint16_t *>c.indices + i * list_step, c.values + i * list_step)


cdef class Winners(NativeCall):
    """Arrays bound to a native function; whoever builds it has checked their shapes (sparsebench.k_winners)."""

    cdef Call native

    cdef void *state(self) noexcept:
        return &self.native

    def __cinit__(self, const float[:, :, ::1] x, Py_ssize_t k, bint is_local, boost, out, indices, values):
        cdef const float[::1] factors
        cdef float[:, :, ::1] dense
        cdef float[::1] listed
        cdef char[::1] raw
        cdef float[::1] scratch
        self.native = Call(x=&x[0, 0, 0], boost=NULL, out=NULL, values=NULL, indices=NULL, index_bytes=0,
                           scratch=NULL, n=x.shape[0], C=x.shape[1], P=x.shape[2], k=k)
        if boost is not None:
            factors = boost
            self.native.boost = &factors[0]
        scratch = aligned_empty(local_winners_scratch(x.shape[1]) if is_local else global_winners_scratch(x.shape[1]))
        self.native.scratch = &scratch[0]
        if out is not None:
            self.function = local_dense if is_local else global_dense
            dense = out
            self.native.out = &dense[0, 0, 0]
        else:
            self.function = local_list if is_local else global_list
            # k = 0 has empty lists, and no first element to point at.
            if k > 0:
                listed = values.reshape(-1)
                raw = indices.reshape(-1).view(np.int8)
                self.native.values = &listed[0]
                self.native.indices = &raw[0]
            self.native.index_bytes = indices.itemsize
        self.arrays = (x, boost, out, indices, values, scratch)
