# Convolution as others do it: the windows of a sample are unrolled into columns [C kh kw, H' W'], which are multiplied
# as a matrix. The product is any native plan's; what this engine adds is inside of its timed call.

from libc.stdint cimport uintptr_t
from cython.parallel cimport parallel, prange, threadid

from sparsebench.memory import aligned_empty

include "native_plan.pxi"

cdef extern from "im2col.h" nogil:
    ctypedef struct unrolling:
        ptrdiff_t height, width, kernel_y, kernel_x, stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x
        ptrdiff_t out_height, out_width
    void unroll(const unrolling *u, const float *x, ptrdiff_t tap, float *columns)

cdef struct Product:
    entry_fn call
    Operands *operands

cdef struct Call:
    Operands io
    unrolling window
    bint pointwise
    ptrdiff_t taps
    ptrdiff_t x_floats
    ptrdiff_t y_floats
    int threads
    Product *products
    ptrdiff_t n_products
    float *columns
    ptrdiff_t columns_floats


cdef void convolve(const Call *call, ptrdiff_t sample, const Product *product, float *columns,
                   int threads) noexcept nogil:
    cdef const float *x = call.io.x + sample * call.x_floats
    cdef ptrdiff_t tap
    if not call.pointwise:
        if threads == 1:
            for tap in range(call.taps):
                unroll(&call.window, x, tap, columns)
        else:
            for tap in prange(call.taps, num_threads=threads, schedule="static"):
                unroll(&call.window, x, tap, columns)
    product.operands.x = x if call.pointwise else columns
    product.operands.y = call.io.y + sample * call.y_floats
    product.call(product.operands)


cdef void entry_point(void *context) noexcept nogil:
    cdef const Call *call = <const Call *>context
    cdef ptrdiff_t sample
    cdef int thread
    if call.n_products == 1:
        for sample in range(call.io.N):
            convolve(call, sample, call.products, call.columns, call.threads)
        return
    # A product of its own for each thread: samples side by side.
    with parallel(num_threads=call.n_products):
        thread = threadid()
        for sample in range(call.io.N * thread // call.n_products, call.io.N * (thread + 1) // call.n_products):
            convolve(call, sample, call.products + thread, call.columns + thread * call.columns_floats, 1)


cdef class Im2colPlan(NativePlan):
    """Y [N, M, H', W'] by native plans of the product [M, taps] x [taps, H' W'].

    One plan computes sample after sample, itself on `threads` threads, as the unrolling is; several plans share the
    samples, each on one thread. `conv` is a `sparsebench.convolution.Convolution` of one group.
    """

    cdef Call native
    cdef Product products[64]

    def __cinit__(self, plans, conv, x_shape, y_shape, threads):
        cdef float[:, ::1] columns
        cdef int i
        if not 0 < len(plans) <= 64:
            raise ValueError(f"{len(plans)} plans; from 1 to 64 can share the samples")
        window = conv.window
        self.operands = &self.native.io
        self.function = entry_point
        self.operands.M, self.operands.K, self.operands.N = y_shape[1], conv.taps, x_shape[0]
        self.x_shape, self.y_shape, self.layout = x_shape, y_shape, "row"
        self.native.window = unrolling(
            height=conv.height, width=conv.width, kernel_y=window.kernel[0], kernel_x=window.kernel[1],
            stride_y=window.stride[0], stride_x=window.stride[1], padding_y=window.padding[0],
            padding_x=window.padding[1], dilation_y=window.dilation[0], dilation_x=window.dilation[1],
            out_height=conv.output[0], out_width=conv.output[1],
        )
        self.native.pointwise = conv.pointwise
        self.native.taps = conv.taps
        self.native.x_floats = conv.channels * conv.height * conv.width
        self.native.y_floats = y_shape[1] * conv.pixels
        self.native.threads = threads
        self.native.products = self.products
        self.native.n_products = len(plans)
        for i, plan in enumerate(plans):
            self.products[i].call = <entry_fn><uintptr_t>plan.entry
            self.products[i].operands = <Operands *><uintptr_t>plan.context
        columns = aligned_empty((len(plans), 16 if conv.pointwise else (conv.taps * conv.pixels + 31) // 16 * 16))
        self.native.columns = &columns[0, 0]
        self.native.columns_floats = columns.shape[1]
        self.arrays = (plans, columns)
        self.packed_bytes = plans[0].packed_bytes
        how = "no im2col needed" if conv.pointwise else "im2col"
        self.detail = f"{how}, {plans[0].detail}" + (", samples side by side" if len(plans) > 1 else "")
