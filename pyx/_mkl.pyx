# MKL entry points, found at run time in the library's own file, as (function pointer, context) for the timer.
# Constants and signatures: oneMKL C reference, "BLAS and Sparse BLAS Routines" (mkl_cblas.h, mkl_spblas.h,
# mkl_service.h).

from libc.stdint cimport int32_t

from sparsebench.errors import UnavailableError
from sparsebench.memory import aligned_empty

include "native_plan.pxi"

cdef extern from "<dlfcn.h>" nogil:
    void *dlopen(const char *path, int flags)
    void *dlsym(void *handle, const char *name)
    const char *dlerror()
    int RTLD_NOW
    int RTLD_GLOBAL

cdef enum:
    ROW_MAJOR = 101
    COLUMN_MAJOR = 102
    NO_TRANS = 111
    TRANS = 112
    A_MATRIX = 161
    B_MATRIX = 162
    JIT_SUCCESS = 0
    PACKED = 151
    NON_TRANSPOSE = 10
    GENERAL = 20
    LOWER = 40
    NON_UNIT = 50
    INDEX_BASE_ZERO = 0
    MEMORY_AGGRESSIVE = 81
    THREADING_INTEL = 0
    THREADING_SEQUENTIAL = 1
    THREADING_GNU = 3
    INTERFACE_LP64 = 0
    ENABLE_AVX2 = 2

cdef struct matrix_descr:
    int type
    int mode
    int diag

ctypedef int (*int_of_int_t)(int) noexcept nogil
ctypedef void (*void_of_int_t)(int) noexcept nogil
ctypedef int (*int_of_void_t)() noexcept nogil
ctypedef void (*version_t)(char *, int) noexcept nogil
ctypedef void (*gemm_t)(int, int, int, int32_t, int32_t, int32_t, float, const float *, int32_t, const float *, int32_t,
                        float, float *, int32_t) noexcept nogil
ctypedef void (*gemv_t)(int, int, int32_t, int32_t, float, const float *, int32_t, const float *, int32_t, float,
                        float *, int32_t) noexcept nogil
ctypedef void (*jit_kernel_t)(void *, const float *, const float *, float *) noexcept nogil
ctypedef int (*jit_create_t)(void **, int, int, int, int32_t, int32_t, int32_t, float, int32_t, int32_t, float,
                             int32_t) noexcept nogil
ctypedef jit_kernel_t (*jit_get_t)(const void *) noexcept nogil
ctypedef size_t (*pack_size_t)(int, int32_t, int32_t, int32_t) noexcept nogil
ctypedef void (*pack_t)(int, int, int, int32_t, int32_t, int32_t, float, const float *, int32_t, float *) noexcept nogil
ctypedef void (*compute_t)(int, int, int, int32_t, int32_t, int32_t, const float *, int32_t, const float *, int32_t,
                           float, float *, int32_t) noexcept nogil
ctypedef int (*create_csr_t)(void **, int, int32_t, int32_t, int32_t *, int32_t *, int32_t *, float *) noexcept nogil
ctypedef int (*create_bsr_t)(void **, int, int, int32_t, int32_t, int32_t, int32_t *, int32_t *, int32_t *,
                             float *) noexcept nogil
ctypedef int (*destroy_t)(void *) noexcept nogil
ctypedef int (*mm_hint_t)(void *, int, matrix_descr, int, int32_t, int32_t) noexcept nogil
ctypedef int (*mv_hint_t)(void *, int, matrix_descr, int32_t) noexcept nogil
ctypedef int (*memory_hint_t)(void *, int) noexcept nogil
ctypedef int (*optimize_t)(void *) noexcept nogil
ctypedef int (*mm_t)(int, float, void *, matrix_descr, int, const float *, int32_t, int32_t, float, float *,
                     int32_t) noexcept nogil
ctypedef int (*mv_t)(int, float, void *, matrix_descr, const float *, float, float *) noexcept nogil

cdef void *library = NULL
cdef gemm_t gemm
cdef gemv_t gemv
cdef pack_size_t pack_size
cdef pack_t pack
cdef compute_t compute
cdef jit_create_t jit_create
cdef jit_get_t jit_get
cdef destroy_t jit_destroy
cdef create_csr_t create_csr
cdef create_bsr_t create_bsr
cdef destroy_t destroy
cdef mm_hint_t set_mm_hint
cdef mv_hint_t set_mv_hint
cdef memory_hint_t set_memory_hint
cdef optimize_t optimize
cdef mm_t sparse_mm
cdef mv_t sparse_mv
cdef matrix_descr general = matrix_descr(GENERAL, LOWER, NON_UNIT)

STATUS = {
    1: "not initialized", 2: "allocation failed", 3: "invalid value", 4: "execution failed", 5: "internal error",
    6: "not supported",
}
LAYERS = {"gnu": THREADING_GNU, "intel": THREADING_INTEL, "sequential": THREADING_SEQUENTIAL}


cdef void *symbol(const char *name) except NULL:
    cdef void *address = dlsym(library, name)
    if address == NULL:
        raise UnavailableError(f"MKL has no function {name.decode()}; its version is too old: pip install -U mkl")
    return address


def load(str path, str layer="gnu"):
    """Load libmkl_rt from `path`, fix its threading layer before any other call, and find its functions.

    Raises
    ------
    UnavailableError
        If the library cannot be loaded, lacks a function, or takes another layer than the one asked for.
    """
    global library, gemm, gemv, pack_size, pack, compute, jit_create, jit_get, jit_destroy
    global create_csr, create_bsr, destroy
    global set_mm_hint, set_mv_hint, set_memory_hint, optimize, sparse_mm, sparse_mv
    if library != NULL:
        return
    cdef void *handle = dlopen(path.encode(), RTLD_NOW | RTLD_GLOBAL)
    if handle == NULL:
        raise UnavailableError(f"MKL does not load: {dlerror().decode(errors='replace')}")
    library = handle
    try:
        # The mixed-case symbols are the C interface; the lower-case ones take pointers.
        taken = (<int_of_int_t>symbol(b"MKL_Set_Threading_Layer"))(LAYERS[layer])
        if taken != LAYERS[layer]:
            raise UnavailableError(f"MKL took threading layer {taken}, not '{layer}': something loaded it before us")
        interface = (<int_of_int_t>symbol(b"MKL_Set_Interface_Layer"))(INTERFACE_LP64)
        if interface != INTERFACE_LP64:
            raise UnavailableError(f"MKL took interface layer {interface}, not LP64")
        (<void_of_int_t>symbol(b"MKL_Set_Dynamic"))(0)
        gemm = <gemm_t>symbol(b"cblas_sgemm")
        gemv = <gemv_t>symbol(b"cblas_sgemv")
        pack_size = <pack_size_t>symbol(b"cblas_sgemm_pack_get_size")
        pack = <pack_t>symbol(b"cblas_sgemm_pack")
        compute = <compute_t>symbol(b"cblas_sgemm_compute")
        jit_create = <jit_create_t>symbol(b"mkl_cblas_jit_create_sgemm")
        jit_get = <jit_get_t>symbol(b"mkl_jit_get_sgemm_ptr")
        jit_destroy = <destroy_t>symbol(b"mkl_jit_destroy")
        create_csr = <create_csr_t>symbol(b"mkl_sparse_s_create_csr")
        create_bsr = <create_bsr_t>symbol(b"mkl_sparse_s_create_bsr")
        destroy = <destroy_t>symbol(b"mkl_sparse_destroy")
        set_mm_hint = <mm_hint_t>symbol(b"mkl_sparse_set_mm_hint")
        set_mv_hint = <mv_hint_t>symbol(b"mkl_sparse_set_mv_hint")
        set_memory_hint = <memory_hint_t>symbol(b"mkl_sparse_set_memory_hint")
        optimize = <optimize_t>symbol(b"mkl_sparse_optimize")
        sparse_mm = <mm_t>symbol(b"mkl_sparse_s_mm")
        sparse_mv = <mv_t>symbol(b"mkl_sparse_s_mv")
    except UnavailableError:
        library = NULL
        raise


def version():
    """Return the version string of the loaded library."""
    cdef char text[256]
    (<version_t>symbol(b"MKL_Get_Version_String"))(text, 256)
    return text.decode(errors="replace").strip()


def hold_to_avx2():
    """Let MKL use AVX2 at most, and return whether it will; it must not have computed anything yet."""
    return (<int_of_int_t>symbol(b"MKL_Enable_Instructions"))(ENABLE_AVX2) == 1


def set_threads(int threads):
    """Let MKL use `threads` threads from now on, and return how many it says it will."""
    (<void_of_int_t>symbol(b"MKL_Set_Num_Threads"))(threads)
    return max_threads()


def max_threads():
    """Return how many threads MKL may use now."""
    return (<int_of_void_t>symbol(b"MKL_Get_Max_Threads"))()


cdef int check(int status, str what) except -1:
    if status != 0:
        raise RuntimeError(f"MKL {what}: {STATUS.get(status, 'status')} ({status})")
    return 0


cdef struct Call:
    Operands io
    const float *w
    void *handle
    void *jitter
    jit_kernel_t jitted
    int32_t last_status


cdef void call_gemm(void *context) noexcept nogil:
    cdef const Call *c = <const Call *>context
    gemm(ROW_MAJOR, NO_TRANS, NO_TRANS, c.io.M, c.io.N, c.io.K, 1.0, c.w, c.io.K, c.io.x, c.io.N, 0.0, c.io.y, c.io.N)


cdef void call_gemv(void *context) noexcept nogil:
    cdef const Call *c = <const Call *>context
    gemv(ROW_MAJOR, NO_TRANS, c.io.M, c.io.K, 1.0, c.w, c.io.K, c.io.x, 1, 0.0, c.io.y, 1)


cdef void call_packed(void *context) noexcept nogil:
    cdef const Call *c = <const Call *>context
    compute(ROW_MAJOR, PACKED, NO_TRANS, c.io.M, c.io.N, c.io.K, c.w, c.io.K, c.io.x, c.io.N, 0.0, c.io.y, c.io.N)


# Column-major X and Y are the row-major transposes: Y^T = X^T W^T.
cdef void call_gemm_columns(void *context) noexcept nogil:
    cdef const Call *c = <const Call *>context
    gemm(ROW_MAJOR, NO_TRANS, TRANS, c.io.N, c.io.M, c.io.K, 1.0, c.io.x, c.io.K, c.w, c.io.K, 0.0, c.io.y, c.io.M)


cdef void call_packed_columns(void *context) noexcept nogil:
    cdef const Call *c = <const Call *>context
    compute(ROW_MAJOR, NO_TRANS, PACKED, c.io.N, c.io.M, c.io.K, c.io.x, c.io.K, c.w, c.io.K, 0.0, c.io.y, c.io.M)


cdef void call_jit(void *context) noexcept nogil:
    cdef const Call *c = <const Call *>context
    c.jitted(c.jitter, c.w, c.io.x, c.io.y)


cdef void call_sparse_mm_columns(void *context) noexcept nogil:
    cdef Call *c = <Call *>context
    c.last_status |= sparse_mm(NON_TRANSPOSE, 1.0, c.handle, general, COLUMN_MAJOR, c.io.x, c.io.N, c.io.K, 0.0,
                               c.io.y, c.io.M)


cdef void call_sparse_mm(void *context) noexcept nogil:
    cdef Call *c = <Call *>context
    c.last_status |= sparse_mm(NON_TRANSPOSE, 1.0, c.handle, general, ROW_MAJOR, c.io.x, c.io.N, c.io.N, 0.0, c.io.y,
                               c.io.N)


cdef void call_sparse_mv(void *context) noexcept nogil:
    cdef Call *c = <Call *>context
    c.last_status |= sparse_mv(NON_TRANSPOSE, 1.0, c.handle, general, c.io.x, 0.0, c.io.y)


cdef class Plan(NativePlan):
    """One MKL routine with its operands. Built by `dense`, `csr` and `bsr` below."""

    cdef Call native

    def __cinit__(self, M, K, N, layout):
        self.operands = &self.native.io
        self.take(M, K, N, layout)

    def __dealloc__(self):
        if self.native.handle != NULL:
            destroy(self.native.handle)
        if self.native.jitter != NULL:
            jit_destroy(self.native.jitter)

    def call(self):
        NativePlan.call(self)
        check(self.native.last_status, self.detail)


def dense(const float[:, ::1] w, int N, str routine, str layout="row"):
    """Plan a dense product, X and Y in `layout` "row" or "column".

    `routine` is ``sgemm``, ``sgemm_compute`` (weights packed once), and with row-major X ``sgemv`` (N = 1) or
    ``sgemm_jit``. Returns None where MKL generates no code of its own for this size or processor.
    """
    cdef Plan plan = Plan(w.shape[0], w.shape[1], N, layout)
    cdef float[::1] packed
    cdef int status
    cdef bint columns = layout == "column"
    cdef int operand = B_MATRIX if columns else A_MATRIX
    cdef int trans = TRANS if columns else NO_TRANS
    cdef int32_t rows = N if columns else plan.operands.M
    cdef int32_t cols = plan.operands.M if columns else N
    plan.native.w = &w[0, 0]
    plan.detail = routine + (", column-major X and Y" if columns else "")
    plan.packed_bytes = 4 * w.shape[0] * w.shape[1]
    plan.arrays = w
    if routine == "sgemm":
        plan.function = call_gemm_columns if columns else call_gemm
    elif routine == "sgemm_compute":
        plan.packed_bytes = pack_size(operand, rows, cols, plan.operands.K)
        packed = aligned_empty(plan.packed_bytes // 4 + 16)
        pack(ROW_MAJOR, operand, trans, rows, cols, plan.operands.K, 1.0, &w[0, 0], plan.operands.K, &packed[0])
        plan.native.w = &packed[0]
        plan.arrays = packed
        plan.function = call_packed_columns if columns else call_packed
    elif routine == "sgemv" and N == 1 and not columns:
        plan.function = call_gemv
    elif routine == "sgemm_jit" and not columns:
        status = jit_create(&plan.native.jitter, ROW_MAJOR, NO_TRANS, NO_TRANS, plan.operands.M, N, plan.operands.K,
                            1.0, plan.operands.K, N, 0.0, N)
        if status != JIT_SUCCESS:
            return None
        plan.native.jitted = jit_get(plan.native.jitter)
        plan.function = call_jit
    else:
        raise ValueError(f"no dense routine '{routine}' for N = {N}, layout '{layout}'")
    return plan


cdef int finish(Plan plan, str routine, int expected_calls) except -1:
    """Give the handle its hints and let MKL optimise it for them."""
    cdef bint columns = plan.layout == "column"
    plan.detail = f"sparse_{routine}" + (", column-major X and Y" if columns else "")
    if routine == "mv":
        check(set_mv_hint(plan.native.handle, NON_TRANSPOSE, general, expected_calls), "set_mv_hint")
        plan.function = call_sparse_mv
    else:
        check(set_mm_hint(plan.native.handle, NON_TRANSPOSE, general, COLUMN_MAJOR if columns else ROW_MAJOR,
                          plan.operands.N, expected_calls), "set_mm_hint")
        plan.function = call_sparse_mm_columns if columns else call_sparse_mm
    check(set_memory_hint(plan.native.handle, MEMORY_AGGRESSIVE), "set_memory_hint")
    check(optimize(plan.native.handle), "optimize")
    return 0


def csr(shape, int32_t[::1] indptr, int32_t[::1] indices, float[::1] values, int N, str routine, str layout,
        int expected_calls):
    """Plan a product with W in CSR by ``mm`` or ``mv`` (N = 1), hinted with `expected_calls` and optimised.

    X and Y are in `layout`, "row" or "column".
    """
    cdef Plan plan = Plan(*shape, N, layout)
    plan.arrays = (indptr, indices, values)
    check(create_csr(&plan.native.handle, INDEX_BASE_ZERO, shape[0], shape[1], &indptr[0], &indptr[1], &indices[0],
                     &values[0]), "create_csr")
    plan.packed_bytes = 4 * (indptr.shape[0] + indices.shape[0] + values.shape[0])
    finish(plan, routine, expected_calls)
    return plan


def bsr(shape, int block, int32_t[::1] indptr, int32_t[::1] indices, float[:, :, ::1] values, int N, str routine,
        int expected_calls):
    """Plan a product with W in BSR of square blocks, rows and columns being multiples of the block size.

    X and Y are row-major: column-major ones MKL does not support with indices from 0.
    """
    cdef Plan plan = Plan(*shape, N, "row")
    plan.arrays = (indptr, indices, values)
    check(create_bsr(&plan.native.handle, INDEX_BASE_ZERO, ROW_MAJOR, shape[0] // block, shape[1] // block, block,
                     &indptr[0], &indptr[1], &indices[0], &values[0, 0, 0]), "create_bsr")
    plan.packed_bytes = 4 * (indptr.shape[0] + indices.shape[0] + values.size)
    finish(plan, routine, expected_calls)
    plan.detail += f", {block}x{block} blocks"
    return plan
