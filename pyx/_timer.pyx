# The sampling loop: a C function pointer and its context, the monotonic clock, no Python in between.
# Contexts rotate, so that cold weights can be measured as copies larger than the last-level cache.

from libc.stdint cimport uintptr_t

include "clock.pxi"

ctypedef void (*entry_fn)(void *) noexcept nogil


cdef int64_t sample(entry_fn entry, const uintptr_t *contexts, Py_ssize_t copies, Py_ssize_t *turn,
                    Py_ssize_t calls) noexcept nogil:
    cdef int64_t start = now()
    cdef Py_ssize_t _i, c = turn[0]
    for _i in range(calls):
        entry(<void *>contexts[c])
        c += 1
        if c == copies:
            c = 0
    turn[0] = c
    return now() - start


cdef void nothing(void *context) noexcept nogil:
    pass


cdef class Timer:
    """Times `entry` over one or more contexts; each sample goes on where the last one stopped."""

    cdef entry_fn entry
    cdef uintptr_t[::1] contexts
    cdef Py_ssize_t turn

    def __cinit__(self, size_t entry, contexts):
        import array
        if entry == 0:
            raise ValueError("entry is 0: the plan has no native function")
        if len(contexts) == 0:
            raise ValueError("at least one context is needed")
        self.entry = <entry_fn><void *>entry
        self.contexts = array.array("L", contexts)
        self.turn = 0

    def seconds(self, Py_ssize_t calls, Py_ssize_t warm_up=0):
        """Return the seconds that `calls` calls took together, after `warm_up` calls that are not counted."""
        cdef int64_t elapsed
        with nogil:
            if warm_up > 0:
                sample(self.entry, &self.contexts[0], self.contexts.shape[0], &self.turn, warm_up)
            elapsed = sample(self.entry, &self.contexts[0], self.contexts.shape[0], &self.turn, calls)
        return elapsed * 1e-9


def empty_call_seconds(Py_ssize_t calls=1_000_000):
    """Return the seconds per call that the loop adds to every native kernel, measured on an empty function."""
    timer = Timer(<size_t><void *>nothing, [0])
    return min(timer.seconds(calls, calls // 10) for _ in range(5)) / calls
