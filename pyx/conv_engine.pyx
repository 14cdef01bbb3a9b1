# The engine of convolutions: each sample's input is opened (padded, split by stride) once, then lane groups of filters
# are walked over tiles of its places. See conv.h.

from libc.stdint cimport int32_t, int64_t, uint32_t
from cython.parallel cimport parallel, threadid

from sparsebench.memory import aligned_empty

include "native_plan.pxi"

cdef extern from "conv.h" nogil:
    int VLEN
    ctypedef struct conv_groups:
        ptrdiff_t groups
        const int64_t *start
        const int32_t *offset
        const float *values
        const int32_t *row
        const int32_t *rows
        const float *bias
        int relu
    ctypedef struct conv_tile:
        int32_t place
        int32_t vectors
        int32_t *to
        int32_t *count
        uint32_t *keep
    ctypedef void (*conv_fn)(const conv_groups *, ptrdiff_t, ptrdiff_t, const float *, float *, ptrdiff_t,
                             const conv_tile *) noexcept nogil
    ctypedef struct conv_phase:
        ptrdiff_t start, top, left, first_row, last_row, first_column, last_column
    ctypedef struct conv_input:
        ptrdiff_t channels, height, width, padding, ahead, stride_y, stride_x, rows, pitch, phases
        const conv_phase *phase
    void open_input(const conv_input *source, const float *x, float *opened, ptrdiff_t row)
    conv_fn pick_conv(int lanes, int vectors, int vlen)

cdef extern from "conv_winners.h" nogil:
    int NETWORK_WINNERS
    ctypedef struct conv_winners:
        ptrdiff_t channels, k, vectors, pitch, pooled_width
    ptrdiff_t conv_winners_floats(const conv_winners *w)
    void winners_and_pool(const conv_winners *w, float *rows, float *y, ptrdiff_t ldy)

VECTOR_FLOATS = VLEN
MOST_WINNERS = NETWORK_WINNERS

cdef struct ConvCall:
    Operands io
    conv_groups groups
    conv_input source
    # First row of Y of each strip; of Y rows, columns and pixels.
    const int64_t *starts
    ptrdiff_t n_strips
    ptrdiff_t width
    ptrdiff_t pixels
    const conv_tile *tiles
    ptrdiff_t n_tiles
    conv_fn compute[4]
    const int64_t *chunks
    ptrdiff_t n_chunks
    int threads
    # [threads, opened_floats]
    float *opened
    ptrdiff_t opened_floats
    # k == 0: Y is the convolution. Else tiles are those of two of its rows, which follow one another in `rows`,
    # [threads, rows_floats], and Y is pooled.
    conv_winners winners
    ptrdiff_t pairs
    float *rows
    ptrdiff_t rows_floats


# Filters of one chunk of lane groups for the strip that is open, from row `start` of y on.
cdef void tiles_of_strip(const ConvCall *call, const float *opened, const int64_t *chunk, ptrdiff_t start,
                         float *y) noexcept nogil:
    cdef ptrdiff_t i
    cdef const conv_tile *tile
    for i in range(call.n_tiles):
        tile = call.tiles + i
        call.compute[tile.vectors](&call.groups, chunk[0], chunk[1], opened + tile.place, y + start * call.width,
                                   call.pixels, tile)


# Winners, pooled, of the strip that is open, from row `start` of the convolution on.
cdef void pairs_of_strip(const ConvCall *call, const float *opened, ptrdiff_t start, float *rows,
                         float *y) noexcept nogil:
    cdef const conv_winners *w = &call.winners
    cdef ptrdiff_t pair, i
    cdef const conv_tile *tile
    for pair in range(call.pairs):
        for i in range(call.n_tiles):
            tile = call.tiles + i
            call.compute[tile.vectors](&call.groups, 0, call.groups.groups, opened + 2 * pair * w.pitch + tile.place,
                                       rows, w.vectors * VLEN, tile)
        winners_and_pool(w, rows, y + (start // 2 + pair) * call.width, call.pixels)


# One thread's share of samples x strips x chunks; it opens a strip for itself, once for chunks that follow.
cdef void work(const ConvCall *call, int thread) noexcept nogil:
    cdef ptrdiff_t items = call.io.N * call.n_strips * call.n_chunks
    cdef ptrdiff_t item, sample, strip, start, is_open = -1
    cdef ptrdiff_t x_floats = call.source.channels * call.source.height * call.source.width
    cdef float *opened = call.opened + thread * call.opened_floats
    cdef float *y
    for item in range(items * thread // call.threads, items * (thread + 1) // call.threads):
        strip = item // call.n_chunks
        sample = strip // call.n_strips
        start = call.starts[strip % call.n_strips]
        if is_open != strip:
            open_input(&call.source, call.io.x + sample * x_floats, opened, start * call.source.stride_y)
            is_open = strip
        y = call.io.y + sample * call.io.M * call.pixels
        if call.winners.k > 0:
            pairs_of_strip(call, opened, start, call.rows + thread * call.rows_floats, y)
        else:
            tiles_of_strip(call, opened, call.chunks + item % call.n_chunks, start, y)


cdef void conv_entry(void *context) noexcept nogil:
    cdef const ConvCall *call = <const ConvCall *>context
    if call.threads == 1:
        work(call, 0)
        return
    with parallel(num_threads=call.threads):
        work(call, threadid())


cdef class ConvPlan(NativePlan):
    """Filters in lane groups over samples [N, C, H, W]; computes Y [N, M, H', W'] in float32, plus bias, then ReLU.

    With `winners` Y is [N, M, H'/2, W'/2]: of each pixel the so many largest channels, then max-pooled by 2 x 2.
    """

    cdef ConvCall native

    def __cinit__(self, groups, opening, offsets, tiling, x_shape, y_shape, conv, bias, relu, winners):
        cdef const int64_t[::1] start = groups.start
        cdef const int32_t[::1] offset = offsets
        cdef const float[:, ::1] values = groups.values
        cdef const int32_t[::1] row = groups.row
        cdef const int32_t[::1] rows = groups.rows
        cdef const int64_t[::1] chunks = tiling.chunks
        cdef const int64_t[::1] starts = tiling.starts
        cdef const float[::1] start_values = bias
        cdef const int64_t[:, ::1] phases = opening.phases
        cdef const int32_t[:, ::1] tiles = tiling.tiles
        cdef float[:, ::1] opened, rows_of_pairs
        cdef int vectors
        if tiles.shape[1] * sizeof(int32_t) != sizeof(conv_tile) or phases.shape[1] * 8 != sizeof(conv_phase):
            raise ValueError("tiles or phases do not have the fields of conv.h")
        self.operands = &self.native.io
        self.function = conv_entry
        self.operands.M, self.operands.K = groups.shape
        self.operands.N = x_shape[0]
        self.x_shape, self.y_shape, self.layout = x_shape, y_shape, "row"
        self.native.groups = conv_groups(
            groups=row.shape[0], start=&start[0], offset=&offset[0], values=&values[0, 0], row=&row[0], rows=&rows[0],
            bias=&start_values[0], relu=relu,
        )
        self.native.source = conv_input(
            channels=x_shape[1], height=x_shape[2], width=x_shape[3], padding=conv.window.padding[0],
            ahead=tiling.ahead,
            stride_y=opening.stride[0], stride_x=opening.stride[1], rows=opening.rows, pitch=opening.pitch,
            phases=phases.shape[0], phase=<const conv_phase *>&phases[0, 0],
        )
        self.native.width, self.native.pixels = y_shape[3], y_shape[2] * y_shape[3]
        self.native.starts, self.native.n_strips = &starts[0], starts.shape[0]
        self.native.winners = conv_winners(
            channels=y_shape[1], k=winners, vectors=tiles[tiles.shape[0] - 1, 0] // VLEN + tiles[tiles.shape[0] - 1, 1],
            pitch=opening.pitch, pooled_width=y_shape[3],
        )
        self.native.pairs = tiling.strip.output[0] // 2
        self.native.tiles = <const conv_tile *>&tiles[0, 0]
        self.native.n_tiles = tiles.shape[0]
        self.native.chunks = &chunks[0]
        self.native.n_chunks = chunks.shape[0] - 1
        self.native.threads = tiling.threads
        for vectors in tiling.widths:
            self.native.compute[vectors] = pick_conv(groups.lanes, vectors, tiling.vlen)
            if self.native.compute[vectors] == NULL:
                raise ValueError(f"no tile for {groups.lanes} lanes, {vectors} vectors of {tiling.vlen}")
        # Padding of columns is written here, once. One line more: adjacent threads never share one.
        opened = aligned_empty((tiling.threads, opening.floats + 16))
        opened[...] = 0
        self.native.opened = &opened[0, 0]
        self.native.opened_floats = opened.shape[1]
        rows_of_pairs = aligned_empty(
            (tiling.threads, conv_winners_floats(&self.native.winners) + 16) if winners else (1, 1)
        )
        self.native.rows, self.native.rows_floats = &rows_of_pairs[0, 0], rows_of_pairs.shape[1]
        self.arrays = (groups, opening, offsets, tiling, bias, opened, rows_of_pairs)
        self.packed_bytes = groups.nbytes - groups.index.nbytes + offsets.nbytes
        self.detail = tiling.describe(groups)
