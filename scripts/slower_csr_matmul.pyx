# slower-csr: csr, whose every call takes a fixed share of its own time longer. Not part of the package:
# scripts/aa_ab.py puts it into the pyx/ of throw-away commits, with SLOWER = 0 in one and another number in the next.

from sparsebench import isa

include "native_call.pxi"
include "clock.pxi"

NAME = "slower-csr"
OP = "matmul"
SUMMARY = "csr with an injected slowdown"

cdef double SLOWER = 0.0

_csr = isa.module("csr_matmul", isa.level_of(__name__))
supports = _csr.supports

cdef struct Wrapped:
    entry_fn function
    void *context


cdef void run_slower(void *pointer) noexcept nogil:
    cdef Wrapped *wrapped = <Wrapped *>pointer
    cdef int64_t start = now()
    wrapped.function(wrapped.context)
    cdef int64_t end = now()
    cdef int64_t until = end + <int64_t>(SLOWER * (end - start))
    while now() < until:
        pass


cdef class SlowerPlan(NativeCall):
    cdef Wrapped wrapped
    cdef readonly object plan

    def __init__(self, plan):
        self.plan = plan
        self.wrapped.function = <entry_fn><void *><size_t>plan.entry
        self.wrapped.context = <void *><size_t>plan.context
        self.function = run_slower

    cdef void *state(self) noexcept:
        return &self.wrapped

    @property
    def layout(self):
        return self.plan.layout

    @property
    def packed_bytes(self):
        return self.plan.packed_bytes

    @property
    def detail(self):
        return self.plan.detail

    def bind(self, x, out):
        self.plan.bind(x, out)

    def run(self, x, out):
        self.bind(x, out)
        self.call()


def prepare(problem, weights, threads):
    return SlowerPlan(_csr.prepare(problem, weights, threads))
