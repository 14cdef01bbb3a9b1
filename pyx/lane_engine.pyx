# The engine of all kernels whose rows come in lane groups: panels of X are packed per thread into L2, the groups
# of W are walked over each panel, the work is a grid of (column tiles) x (row chunks). See lane_groups.h for the tiles.

from libc.stdint cimport int32_t, int64_t, uint16_t, uintptr_t
from libc.stdlib cimport free, malloc
from cython.parallel cimport parallel, threadid

from sparsebench.memory import aligned_empty

include "native_plan.pxi"

cdef extern from "lane_groups.h" nogil:
    int VLEN
    int MAX_ROW_COLUMNS
    ctypedef struct lane_groups:
        ptrdiff_t groups
        ptrdiff_t kblocks
        int lanes
        const int64_t *start
        const uint16_t *index
        const float *values
        const int32_t *row
        const int32_t *rows
        bint bypass
    ctypedef void (*columns_fn)(const lane_groups *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const float *, ptrdiff_t,
                                float *, ptrdiff_t, ptrdiff_t) noexcept nogil
    ctypedef void (*rows_fn)(const lane_groups *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const float *,
                             float *) noexcept nogil
    columns_fn pick_columns(int lanes, int vectors, int vlen)
    rows_fn pick_rows(int lanes, int n)
    void touch(const float *first, const float *last)
    void store_fence()
    void pack_panel(const float *x, ptrdiff_t ldx, ptrdiff_t count, ptrdiff_t valid, ptrdiff_t width, float *panel)

VECTOR_FLOATS = VLEN
ROW_COLUMNS = MAX_ROW_COLUMNS

# Where a tile begins in X and in Y, and how far apart their rows are: N, or the width of a column block.
cdef struct Tile:
    ptrdiff_t x
    ptrdiff_t y
    ptrdiff_t ld
    ptrdiff_t width
    ptrdiff_t valid
    bint touch
    columns_fn compute

cdef struct Call:
    Operands io
    ptrdiff_t samples
    lane_groups groups
    ptrdiff_t kblock
    rows_fn rows
    Tile *tiles
    ptrdiff_t n_tiles
    const int64_t *chunks
    ptrdiff_t n_chunks
    int threads
    bint direct
    bint streaming
    # Y goes past the caches where it begins with a cache line.
    bint bypass
    float *scratch
    ptrdiff_t scratch_stride

# One thread's share of the grid. Items are ordered tile by tile, so that a panel is packed once for adjacent chunks.
cdef void work(const Call *call, int thread) noexcept nogil:
    cdef ptrdiff_t items = call.samples * call.n_tiles * call.n_chunks
    cdef ptrdiff_t first = items * thread // call.threads
    cdef ptrdiff_t last = items * (thread + 1) // call.threads
    cdef ptrdiff_t item, panel_number, tiles_of_sample, b, k0, count, stride, packed = -1
    cdef const float *x
    cdef float *y
    cdef const Tile *tile
    cdef const int64_t *chunk
    cdef float *scratch = call.scratch + thread * call.scratch_stride
    cdef const float *panel
    for item in range(first, last):
        if call.streaming:
            # Sample by sample, a few groups go along all columns: they read few rows of X, each as one stream.
            tiles_of_sample = call.n_tiles * call.n_chunks
            chunk = call.chunks + item % tiles_of_sample // call.n_tiles
            panel_number = item // tiles_of_sample * call.n_tiles + item % call.n_tiles
        else:
            chunk = call.chunks + item % call.n_chunks
            panel_number = item // call.n_chunks
        x = call.io.x + panel_number // call.n_tiles * call.io.K * call.io.N
        y = call.io.y + panel_number // call.n_tiles * call.io.M * call.io.N
        for b in range(call.groups.kblocks):
            k0 = b * call.kblock
            if call.rows != NULL:
                call.rows(&call.groups, b, chunk[0], chunk[1], x + k0 * call.io.N, y)
                continue
            tile = call.tiles + panel_number % call.n_tiles
            if call.direct:
                panel = x + tile.x + k0 * tile.ld
                stride = tile.ld
                if tile.touch:
                    touch(panel, panel + min(call.kblock, call.io.K - k0) * stride)
            else:
                panel = scratch
                stride = tile.width
                if call.groups.kblocks > 1 or packed != panel_number:
                    count = min(call.kblock, call.io.K - k0)
                    pack_panel(x + tile.x + k0 * tile.ld, tile.ld, count, tile.valid, tile.width, scratch)
                    packed = panel_number
            tile.compute(&call.groups, b, chunk[0], chunk[1], panel, stride, y + tile.y, tile.ld, tile.valid)
    if call.groups.bypass:
        store_fence()


cdef void entry_point(void *context) noexcept nogil:
    cdef Call *call = <Call *>context
    call.groups.bypass = call.bypass and <uintptr_t>call.io.y % 64 == 0
    if call.threads == 1:
        work(call, 0)
        return
    with parallel(num_threads=call.threads):
        work(call, threadid())


cdef class Plan(NativePlan):
    """W in lane groups, tiled for N columns; computes Y[M, N] = W[M, K] X[K, N] in float32.

    X and Y are `samples` matrices, one after another: arrays of `x_shape` and `y_shape`, or if these are None, of the
    shapes that one matrix has in the tiling's layout.
    """

    cdef Call native

    def __cinit__(self, groups, tiling, samples, x_shape, y_shape):
        cdef const int64_t[::1] start = groups.start
        cdef const uint16_t[::1] index = groups.index
        cdef const float[:, ::1] values = groups.values
        cdef const int32_t[::1] row = groups.row
        cdef const int32_t[::1] rows = groups.rows
        cdef const int64_t[::1] chunks = tiling.chunks
        cdef float[:, ::1] scratch
        cdef int i

        self.native.groups = lane_groups(
            groups=row.shape[0], kblocks=groups.kblocks, lanes=groups.lanes, start=&start[0],
            index=&index[0], values=&values[0, 0], row=&row[0], rows=&rows[0], bypass=False,
        )
        self.operands = &self.native.io
        self.function = entry_point
        self.take(groups.shape[0], groups.shape[1], tiling.N, tiling.layout)
        self.native.samples = samples
        if x_shape is not None:
            self.x_shape, self.y_shape = x_shape, y_shape
        self.native.kblock = groups.kblock
        self.native.chunks = &chunks[0]
        self.native.n_chunks = chunks.shape[0] - 1
        self.native.threads = tiling.choice.threads
        self.native.direct = tiling.choice.direct
        self.native.streaming = tiling.choice.streaming
        self.native.bypass = tiling.bypass
        self.native.n_tiles = max(1, len(tiling.tiles))
        if tiling.choice.axis == "rows":
            self.native.rows = pick_rows(groups.lanes, tiling.N)
            if self.native.rows == NULL:
                raise ValueError(f"no row tile for {groups.lanes} lanes and N = {tiling.N}")
        else:
            self.native.tiles = <Tile *>malloc(self.native.n_tiles * sizeof(Tile))
            if self.native.tiles == NULL:
                raise MemoryError("no memory for the plan's tiles")
            for i, tile in enumerate(tiling.tiles):
                self.native.tiles[i] = Tile(
                    x=tile.block * self.operands.K + tile.column - tile.block,
                    y=tile.block * self.operands.M + tile.column - tile.block,
                    ld=tile.ld, width=tile.vectors * tiling.vlen, valid=tile.valid,
                    touch=tiling.touch and tile.column == tile.block,
                    compute=pick_columns(groups.lanes, tile.vectors, tiling.vlen),
                )
                if self.native.tiles[i].compute == NULL:
                    raise ValueError(f"no tile for {groups.lanes} lanes, {tile.vectors} vectors of {tiling.vlen}")
        # One line more than the panel: adjacent threads never share a cache line.
        scratch = aligned_empty((tiling.choice.threads, tiling.panel_floats + 16))
        self.native.scratch = &scratch[0, 0]
        self.native.scratch_stride = scratch.shape[1]
        self.arrays = (groups, tiling, scratch)
        self.packed_bytes = groups.nbytes
        self.detail = tiling.describe(groups)

    def __dealloc__(self):
        free(self.native.tiles)
