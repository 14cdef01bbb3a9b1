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
        ptrdiff_t channels, height, width, stride_y, stride_x, rows, pitch, phases
        const conv_phase *phase
    void open_input(const conv_input *source, const float *x, float *opened, ptrdiff_t c0, ptrdiff_t c1)
    conv_fn pick_conv(int lanes, int vectors, int vlen)

cdef extern from "conv_winners.h" nogil:
    int NETWORK_WINNERS
    ctypedef struct conv_winners:
        ptrdiff_t channels, k, vectors, pitch, pairs, pooled_width
    ptrdiff_t conv_winners_floats(const conv_winners *w)
    void winners_and_pool(const conv_winners *w, float *rows, float *y, ptrdiff_t ldy)

cdef extern from "barrier.h" nogil:
    void barrier()


VECTOR_FLOATS = VLEN
MOST_WINNERS = NETWORK_WINNERS

cdef struct ConvCall:
    Operands io
    conv_groups groups
    conv_input source
    ptrdiff_t pixels
    const conv_tile *tiles
    ptrdiff_t n_tiles
    conv_fn compute[4]
    const int64_t *chunks
    ptrdiff_t n_chunks
    ptrdiff_t items
    int threads
    float *opened
    ptrdiff_t opened_floats
    # k == 0: Y is the convolution. Else items are pairs of its rows, and tiles those of one pair.
    conv_winners winners
    # [threads, rows_floats]
    float *rows
    ptrdiff_t rows_floats


cdef void conv_pairs_of(const ConvCall *call, ptrdiff_t sample, const float *opened, int thread, ptrdiff_t first,
                        ptrdiff_t last) noexcept nogil:
    cdef const conv_winners *w = &call.winners
    cdef ptrdiff_t maps = w.pairs * w.pooled_width, pair, i
    cdef float *y = call.io.y + sample * call.io.M * maps
    cdef float *rows = call.rows + thread * call.rows_floats
    cdef const conv_tile *tile
    for pair in range(first, last):
        for i in range(call.n_tiles):
            tile = call.tiles + i
            call.compute[tile.vectors](&call.groups, 0, call.groups.groups, opened + 2 * pair * w.pitch + tile.place,
                                       rows, w.vectors * VLEN, tile)
        winners_and_pool(w, rows, y + pair * w.pooled_width, maps)


cdef void conv_items_of(const ConvCall *call, ptrdiff_t sample, const float *opened, int thread, ptrdiff_t first,
                        ptrdiff_t last) noexcept nogil:
    if call.winners.k > 0:
        conv_pairs_of(call, sample, opened, thread, first, last)
        return
    cdef float *y = call.io.y + sample * call.io.M * call.pixels
    cdef ptrdiff_t item
    cdef const conv_tile *tile
    cdef const int64_t *chunk
    for item in range(first, last):
        tile = call.tiles + item // call.n_chunks
        chunk = call.chunks + item % call.n_chunks
        call.compute[tile.vectors](&call.groups, chunk[0], chunk[1], opened + tile.place, y, call.pixels, tile)


cdef void conv_samples(const ConvCall *call, int thread) noexcept nogil:
    """Whole samples to each thread."""
    cdef float *opened = call.opened + thread * call.opened_floats
    cdef ptrdiff_t sample, size = call.source.channels * call.source.height * call.source.width
    for sample in range(call.io.N * thread // call.threads, call.io.N * (thread + 1) // call.threads):
        open_input(&call.source, call.io.x + sample * size, opened, 0, call.source.channels)
        conv_items_of(call, sample, opened, thread, 0, call.items)


cdef void conv_together(const ConvCall *call, int thread) noexcept nogil:
    """All threads on one sample after another: each opens its share of the channels."""
    cdef ptrdiff_t sample, size = call.source.channels * call.source.height * call.source.width
    for sample in range(call.io.N):
        open_input(&call.source, call.io.x + sample * size, call.opened, call.source.channels * thread // call.threads,
                   call.source.channels * (thread + 1) // call.threads)
        barrier()
        conv_items_of(call, sample, call.opened, thread, call.items * thread // call.threads,
                      call.items * (thread + 1) // call.threads)
        if sample + 1 < call.io.N:
            barrier()


cdef void conv_entry(void *context) noexcept nogil:
    cdef const ConvCall *call = <const ConvCall *>context
    if call.threads == 1:
        conv_samples(call, 0)
    elif call.io.N >= call.threads:
        with parallel(num_threads=call.threads):
            conv_samples(call, threadid())
    else:
        with parallel(num_threads=call.threads):
            conv_together(call, threadid())


cdef class ConvPlan(NativePlan):
    """Filters in lane groups over samples [N, C, H, W]; computes Y [N, M, H', W'] in float32, plus bias, then ReLU.

    With `winners` Y is [N, M, H'/2, W'/2]: of each pixel the so many largest channels, then max-pooled by 2 x 2.
    """

    cdef ConvCall native

    def __cinit__(self, groups, opening, offsets, conv_tiling, x_shape, y_shape, bias, relu, winners):
        cdef const int64_t[::1] start = groups.start
        cdef const int32_t[::1] offset = offsets
        cdef const float[:, ::1] values = groups.values
        cdef const int32_t[::1] row = groups.row
        cdef const int32_t[::1] rows = groups.rows
        cdef const int64_t[::1] chunks = conv_tiling.chunks
        cdef const float[::1] start_values = bias
        cdef const int64_t[:, ::1] phases = opening.phases
        cdef const int32_t[:, ::1] tiles = conv_tiling.tiles
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
            channels=x_shape[1], height=x_shape[2], width=x_shape[3], stride_y=opening.stride[0],
            stride_x=opening.stride[1], rows=opening.rows, pitch=opening.pitch, phases=phases.shape[0],
            phase=<const conv_phase *>&phases[0, 0],
        )
        self.native.pixels = y_shape[2] * y_shape[3]
        self.native.winners = conv_winners(
            channels=y_shape[1], k=winners, vectors=tiles[tiles.shape[0] - 1, 0] // VLEN + tiles[tiles.shape[0] - 1, 1],
            pitch=opening.pitch, pairs=y_shape[2], pooled_width=y_shape[3],
        )
        self.native.tiles = <const conv_tile *>&tiles[0, 0]
        self.native.n_tiles = tiles.shape[0]
        self.native.chunks = &chunks[0]
        self.native.n_chunks = chunks.shape[0] - 1
        self.native.threads = conv_tiling.threads
        self.native.items = y_shape[2] if winners else self.native.n_tiles * self.native.n_chunks
        for vectors in conv_tiling.widths:
            self.native.compute[vectors] = pick_conv(groups.lanes, vectors, conv_tiling.vlen)
            if self.native.compute[vectors] == NULL:
                raise ValueError(f"no tile for {groups.lanes} lanes, {vectors} vectors of {conv_tiling.vlen}")
        # Padding is written here, once. One line more: adjacent threads never share one.
        opened = aligned_empty((conv_tiling.copies, opening.floats + 16))
        opened[...] = 0
        self.native.opened = &opened[0, 0]
        self.native.opened_floats = opened.shape[1]
        rows_of_pairs = aligned_empty(
            (conv_tiling.threads, conv_winners_floats(&self.native.winners) + 16) if winners else (1, 1)
        )
        self.native.rows, self.native.rows_floats = &rows_of_pairs[0, 0], rows_of_pairs.shape[1]
        self.arrays = (groups, opening, offsets, conv_tiling, bias, opened, rows_of_pairs)
        self.packed_bytes = groups.nbytes - groups.index.nbytes + offsets.nbytes
        self.detail = conv_tiling.describe(groups)
