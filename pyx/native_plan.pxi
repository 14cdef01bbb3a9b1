# What every native plan is to the bench (sparsebench.kernel.Plan): operands to bind, and a function to time.

from sparsebench.layouts import flat, shape_of

include "native_call.pxi"

# First member of a plan's state, so that a pointer to the state is one to its operands: Y[M, N] = W[M, K] X[K, N], or
# for a convolution M filters of K taps over N samples.
cdef struct Operands:
    const float *x
    float *y
    ptrdiff_t M
    ptrdiff_t K
    ptrdiff_t N


cdef class NativePlan(NativeCall):
    """A subclass points `operands` at its state, and `function` at what computes on it."""

    cdef Operands *operands
    cdef object bound
    cdef readonly str detail
    cdef readonly str layout
    cdef readonly tuple x_shape
    cdef readonly tuple y_shape
    cdef readonly Py_ssize_t packed_bytes

    cdef void *state(self) noexcept:
        return self.operands

    cdef int take(self, M, K, N, str layout) except -1:
        """Say what a product's operands are, X and Y in `layout`."""
        self.operands.M, self.operands.K, self.operands.N = M, K, N
        self.layout = layout
        self.x_shape = shape_of(K, N, layout)
        self.y_shape = shape_of(M, N, layout)
        return 0

    def bind(self, x, out):
        cdef const float[::1] source = flat("x", x, self.x_shape)
        cdef float[::1] target = flat("out", out, self.y_shape)
        self.operands.x = &source[0]
        self.operands.y = &target[0]
        self.bound = (x, out)

    def call(self):
        if self.operands.x == NULL:
            raise ValueError("bind(x, out) before call()")
        NativeCall.call(self)

    def run(self, x, out):
        self.bind(x, out)
        self.call()
