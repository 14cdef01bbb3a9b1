/* Lane groups: L rows of W that share one list of inputs, and the register tiles that multiply them.
 *
 * csr has L = 1, block its block's rows, complementary its lanes, dense 16 rows that list every input.
 * tiles.h vectorises over columns of X, row_tiles.h over the rows of a group; the plan picks one by N. */
#ifndef SPARSEBENCH_LANE_GROUPS_H
#define SPARSEBENCH_LANE_GROUPS_H

#include "tile_sizes.h"

typedef struct {
    ptrdiff_t groups;      /* lane groups */
    ptrdiff_t kblocks;     /* blocks of K; the lists of block b come before those of block b + 1 */
    int lanes;             /* L */
    const int64_t *start;  /* [kblocks * groups + 1]: where each list begins */
    const uint16_t *index; /* input relative to the start of its block of K */
    const float *values;   /* [slots, L] */
    const int32_t *row;    /* [groups]: first row of Y */
    const int32_t *rows;   /* [groups]: rows of Y, <= L */
    int bypass;            /* Y is stored past the caches; its rows are whole cache lines, kblocks is 1 */
} lane_groups;

/* Groups [g0, g1) of block b for one tile of columns: y = W panel, or y += for b > 0. Rows of the panel lie ldp apart;
 * y points at the tile's first column, of which `valid` exist: all but a part of the last vector. */
#define COLUMNS_PARAMETERS                                                                                             \
    const lane_groups *G, ptrdiff_t b, ptrdiff_t g0, ptrdiff_t g1, const float *panel, ptrdiff_t ldp, float *y,        \
        ptrdiff_t ldy, ptrdiff_t valid
typedef void (*columns_fn)(COLUMNS_PARAMETERS);

/* The same for all N columns at once, straight from X[k0:, N] in row-major order. */
#define ROWS_PARAMETERS const lane_groups *G, ptrdiff_t b, ptrdiff_t g0, ptrdiff_t g1, const float *x, float *y
typedef void (*rows_fn)(ROWS_PARAMETERS);

/* Most columns that can be vectorised over rows; sparsebench/tiling.py says from where on it pays not to. */
#define MAX_ROW_COLUMNS 12
#define COLUMN_COUNTS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)

/* Rows of X that packing asks for before it copies them: they lie too far apart for hardware prefetching. */
#define PACK_AHEAD 32

static void copy_rows(float *to, ptrdiff_t ld_to, const float *from, ptrdiff_t ld_from, ptrdiff_t rows, ptrdiff_t n)
{
    for (ptrdiff_t r = 0; r < rows; r++)
        memcpy(to + r * ld_to, from + r * ld_from, (size_t)n * sizeof(float));
}

/* Copies `count` rows of X, `valid` floats each, into a contiguous [count, width] panel, zero beyond valid. */
static void pack_panel(const float *x, ptrdiff_t ldx, ptrdiff_t count, ptrdiff_t valid, ptrdiff_t width, float *panel)
{
    const ptrdiff_t whole = valid / 4 * 4;
    if (valid == width && width % VLEN == 0) {
        for (ptrdiff_t k = 0; k < count; k++) {
            for (ptrdiff_t i = 0; i < width; i += 16)
                __builtin_prefetch(x + (k + PACK_AHEAD) * ldx + i, 0, 3);
            for (ptrdiff_t i = 0; i < width; i += VLEN)
                *(vf *)(panel + k * width + i) = *(const vf *)(x + k * ldx + i);
        }
        return;
    }
    for (ptrdiff_t k = 0; k < count; k++) {
        const float *from = x + k * ldx;
        float *to = panel + k * width;
        ptrdiff_t i = 0;
        for (; i < whole; i += 4)
            *(v4f *)(to + i) = *(const v4f *)(from + i);
        if (whole < valid) {
            *(v4f *)(to + i) = load_part_4(from + i, (int)(valid - whole));
            i += 4;
        }
        for (; i < width; i += 4)
            *(v4f *)(to + i) = (v4f){0};
    }
}

/* Stores past the caches become visible before what is stored after this. */
static void store_fence(void)
{
#if VLEN == 16
    _mm_sfence();
#endif
}

/* Reads [from, to) in order, at the rate of hardware prefetching: the lists' own order would wait for each line. */
static void touch(const float *from, const float *to)
{
    vf sum = {0};
    for (; from < to; from += 16)
        sum += *(const vf *)from;
    __asm__ volatile("" ::"x"(sum));
}

#define TILE(name) JOIN(name##_, VN)
#define VN 4
#include "tiles.h"
#if VLEN >= 8
#define VN 8
#include "tiles.h"
#endif
#if VLEN >= 16
#define VN 16
#include "tiles.h"
#endif
#undef TILE

#define ROWS(name) JOIN(name##_lanes_, L)
#define L 4
#include "row_tiles.h"
#define L 8
#include "row_tiles.h"
#define L 16
#include "row_tiles.h"
#undef ROWS

/* Four weights times their inputs. Weights and indices are loaded by the vector, inputs one by one: 6 loads where
 * scalar code takes 12, and no gather, which costs more than its loads on many processors. */
ALWAYS_INLINE v4f four_products(const float *w, const uint16_t *index, const float *x)
{
    uint64_t i; /* little-endian, like every architecture that we build for */
    memcpy(&i, index, sizeof i);
    const v4f inputs = {x[i & 0xffff], x[i >> 16 & 0xffff], x[i >> 32 & 0xffff], x[i >> 48]};
    return *(const v4f *)w * inputs;
}

/* N = 1 and P rows, each with a list of its own. */
ALWAYS_INLINE void single_column_rows(int P, const lane_groups *G, ptrdiff_t b, ptrdiff_t g, const float *x, float *y)
{
    const int64_t *start = G->start + b * G->groups + g;
    v4f sum[4];
    ptrdiff_t common = start[1] - start[0];
    for (int p = 1; p < P; p++)
        common = start[p + 1] - start[p] < common ? start[p + 1] - start[p] : common;
    EACH (p, 0, P)
        sum[p] = (v4f){0};
    ptrdiff_t j = 0;
    for (; j + 4 <= common; j += 4)
        EACH (p, 0, P)
            sum[p] += four_products(G->values + start[p] + j, G->index + start[p] + j, x);
    EACH (p, 0, P) {
        int64_t k = start[p] + j;
        for (; k + 4 <= start[p + 1]; k += 4)
            sum[p] += four_products(G->values + k, G->index + k, x);
        float total = (sum[p][0] + sum[p][1]) + (sum[p][2] + sum[p][3]);
        for (; k < start[p + 1]; k++)
            total += G->values[k] * x[G->index[k]];
        y[G->row[g + p]] = b ? y[G->row[g + p]] + total : total;
    }
}

static void single_column(ROWS_PARAMETERS)
{
    ptrdiff_t g = g0;
    for (; g + 4 <= g1; g += 4)
        single_column_rows(4, G, b, g, x, y);
    for (; g < g1; g++)
        single_column_rows(1, G, b, g, x, y);
}

/* The tile for `lanes` rows x `vectors` vectors of `vlen` floats, or NULL where this level has none. */
static columns_fn pick_columns(int lanes, int vectors, int vlen)
{
    switch (vlen) {
    case 4: return pick_4(lanes, vectors);
#if VLEN >= 8
    case 8: return pick_8(lanes, vectors);
#endif
#if VLEN >= 16
    case 16: return pick_16(lanes, vectors);
#endif
    default: return NULL;
    }
}

/* The row-vectorised routine for n columns, or NULL where columns are the better axis. */
static rows_fn pick_rows(int lanes, int n)
{
    switch (lanes) {
    case 1: return n == 1 ? single_column : NULL;
    case 4: return pick_lanes_4(n);
    case 8: return pick_lanes_8(n);
    case 16: return pick_lanes_16(n);
    default: return NULL;
    }
}

#endif
