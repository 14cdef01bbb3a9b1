# A native function and what it is called with: what the timer, and a network's steps, can call without Python.

ctypedef void (*entry_fn)(void *) noexcept nogil


cdef class NativeCall:
    """A subclass sets `function`, answers `state()`, and holds in `arrays` what its state points into."""

    cdef entry_fn function
    cdef object arrays

    cdef void *state(self) noexcept:
        return NULL

    @property
    def entry(self):
        return <size_t><void *>self.function

    @property
    def context(self):
        return <size_t>self.state()

    def call(self):
        cdef void *state = self.state()
        with nogil:
            self.function(state)
