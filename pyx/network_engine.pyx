# The engine of networks: native steps one after another over one arena, no Python in between; several programs side by
# side where a batch is shared among threads.

from libc.stdint cimport uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy
from cython.parallel cimport parallel, threadid

include "native_plan.pxi"
include "clock.pxi"

cdef extern from "layers.h" nogil:
    ctypedef struct pooling:
        ptrdiff_t maps, height, width, kernel_y, kernel_x, stride_y, stride_x, padding_y, padding_x
        ptrdiff_t out_height, out_width
    void max_pool(const pooling *p, const float *x, float *y)
    void bias_and_activation(float *y, const float *bias, ptrdiff_t rows, ptrdiff_t columns, int activation)

cdef extern from "transpose.h" nogil:
    void transpose(const float *source, ptrdiff_t ld_source, ptrdiff_t rows, ptrdiff_t columns,
                   float *target, ptrdiff_t ld_target)

ACTIVATIONS = {"": 0, "relu": 1, "gelu": 2}

cdef struct SimpleCall:
    pooling pool
    float *x
    float *y
    const float *bias
    ptrdiff_t rows
    ptrdiff_t columns
    int activation


cdef void call_pool(void *context) noexcept nogil:
    cdef const SimpleCall *c = <const SimpleCall *>context
    max_pool(&c.pool, c.x, c.y)


cdef void call_activation(void *context) noexcept nogil:
    cdef const SimpleCall *c = <const SimpleCall *>context
    bias_and_activation(c.y, c.bias, c.rows, c.columns, c.activation)


cdef void call_transpose(void *context) noexcept nogil:
    cdef const SimpleCall *c = <const SimpleCall *>context
    transpose(c.x, c.columns, c.rows, c.columns, c.y, c.rows)


cdef void call_copy(void *context) noexcept nogil:
    cdef const SimpleCall *c = <const SimpleCall *>context
    memcpy(c.y, c.x, c.rows * sizeof(float))


cdef class Simple(NativeCall):
    """A layer without weights, bound to arrays. Built by the functions below."""

    cdef SimpleCall native

    cdef void *state(self) noexcept:
        return &self.native


cdef Simple simple(entry_fn function, x, y):
    cdef Simple made = Simple()
    cdef float[::1] source = x.reshape(-1)
    cdef float[::1] target = y.reshape(-1)
    made.function = function
    made.native.x, made.native.y = &source[0], &target[0]
    made.arrays = (x, y)
    return made


def pool(x, y, window):
    """Max-pool x [N, C, H, W] into y [N, C, H', W']; `window` is a `sparsebench.window.Window` without dilation.

    x is part of an arena: 32 floats beyond its end can be read.
    """
    cdef Simple made = simple(call_pool, x, y)
    made.native.pool = pooling(
        maps=x.shape[0] * x.shape[1], height=x.shape[2], width=x.shape[3], kernel_y=window.kernel[0],
        kernel_x=window.kernel[1], stride_y=window.stride[0], stride_x=window.stride[1], padding_y=window.padding[0],
        padding_x=window.padding[1], out_height=y.shape[2], out_width=y.shape[3],
    )
    return made


def activate(y, bias, activation):
    """Add bias [rows] to y [rows, columns] and apply an activation of `ACTIVATIONS`, in place."""
    cdef Simple made = simple(call_activation, y, y)
    cdef const float[::1] values = bias
    made.native.bias = &values[0]
    made.arrays = (y, bias)
    made.native.rows, made.native.columns = y.shape
    made.native.activation = ACTIVATIONS[activation]
    return made


def transposed(x, y):
    """Write x [rows, columns] to y [columns, rows]."""
    cdef Simple made = simple(call_transpose, x, y)
    made.native.rows, made.native.columns = x.shape
    return made


def copied(x, y):
    """Write x to y, of equal size."""
    cdef Simple made = simple(call_copy, x, y)
    made.native.rows = x.size
    return made


cdef struct Step:
    entry_fn call
    void *context

cdef struct Program:
    Step *steps
    ptrdiff_t n_steps
    # How often it runs for one call, each time on the next samples; where these begin in the caller's arrays.
    ptrdiff_t repeats
    ptrdiff_t x_offset, x_floats, y_offset, y_floats
    float *x
    const float *y

cdef struct Call:
    Operands io
    Program *programs
    int n_programs


cdef void run_program(const Call *call, const Program *program) noexcept nogil:
    cdef ptrdiff_t i, turn
    for turn in range(program.repeats):
        memcpy(program.x, call.io.x + program.x_offset + turn * program.x_floats, program.x_floats * sizeof(float))
        for i in range(program.n_steps):
            program.steps[i].call(program.steps[i].context)
        memcpy(call.io.y + program.y_offset + turn * program.y_floats, program.y, program.y_floats * sizeof(float))


cdef void entry_point(void *context) noexcept nogil:
    cdef const Call *call = <const Call *>context
    if call.n_programs == 1:
        run_program(call, call.programs)
        return
    with parallel(num_threads=call.n_programs):
        run_program(call, call.programs + threadid())


cdef class NetworkPlan(NativePlan):
    """Programs run side by side: each (steps, input array, output array, repeats) takes the next part of the batch."""

    cdef Call native
    cdef readonly list programs

    def __cinit__(self, programs, x_shape, y_shape, packed_bytes, detail):
        cdef float[::1] x, y
        cdef int i
        cdef ptrdiff_t j, x_offset = 0, y_offset = 0
        self.programs = list(programs)
        self.operands = &self.native.io
        self.function = entry_point
        self.x_shape, self.y_shape, self.layout = x_shape, y_shape, "row"
        self.packed_bytes, self.detail = packed_bytes, detail
        self.native.n_programs = len(self.programs)
        self.native.programs = <Program *>calloc(self.native.n_programs, sizeof(Program))
        if self.native.programs == NULL:
            raise MemoryError("no memory for the network's programs")
        for i, (steps, source, target, repeats) in enumerate(self.programs):
            x, y = source.reshape(-1), target.reshape(-1)
            self.native.programs[i].steps = <Step *>calloc(len(steps), sizeof(Step))
            if self.native.programs[i].steps == NULL:
                raise MemoryError("no memory for the network's steps")
            self.native.programs[i].n_steps = len(steps)
            self.native.programs[i].x, self.native.programs[i].y = &x[0], &y[0]
            self.native.programs[i].x_offset, self.native.programs[i].x_floats = x_offset, x.shape[0]
            self.native.programs[i].y_offset, self.native.programs[i].y_floats = y_offset, y.shape[0]
            self.native.programs[i].repeats = repeats
            x_offset += repeats * x.shape[0]
            y_offset += repeats * y.shape[0]
            for j, step in enumerate(steps):
                self.native.programs[i].steps[j] = Step(
                    call=<entry_fn><void *><uintptr_t>step.entry, context=<void *><uintptr_t>step.context,
                )

    def __dealloc__(self):
        cdef int i
        if self.native.programs != NULL:
            for i in range(self.native.n_programs):
                free(self.native.programs[i].steps)
            free(self.native.programs)

    def step_seconds(self, Py_ssize_t runs):
        """Return the mean seconds of each step of the first program over `runs` runs of it."""
        cdef const Program *program = self.native.programs
        cdef Py_ssize_t _run, i
        cdef int64_t start
        cdef list total = [0.0] * program.n_steps
        cdef double[::1] seconds
        import array
        seconds = array.array("d", total)
        with nogil:
            for _run in range(runs):
                for i in range(program.n_steps):
                    start = now()
                    program.steps[i].call(program.steps[i].context)
                    seconds[i] += 1e-9 * (now() - start)
        return [second / runs for second in seconds]
