/* Convolution without im2col: taps are offsets into an input that was padded, and split by stride, once.
 *
 * The opened input of a strip of rows holds, for each phase (remainder of a tap's row and column by the stride) that
 * any tap needs, the pixels of every channel that lie in it, rows `pitch` apart. There a step of one output pixel is a
 * step of one float, whatever the stride, so that a tap (cin, kh, kw) is one constant offset for all pixels of a tile.
 */
#ifndef SPARSEBENCH_CONV_H
#define SPARSEBENCH_CONV_H

#include "strided.h"
#include "tile_sizes.h"

/* Most vectors of a tile. */
#define CONV_VECTORS 3

typedef struct {
    ptrdiff_t groups;      /* lane groups */
    const int64_t *start;  /* [groups + 1] */
    const int32_t *offset; /* of each tap, in floats of the opened input */
    const float *values;   /* [slots, L] */
    const int32_t *row;    /* [groups]: first filter */
    const int32_t *rows;   /* [groups]: filters, <= L */
    const float *bias;     /* [M + 16] */
    int relu;
} conv_groups;

/* A run of T vectors of places; which of them are pixels of Y, and where their vectors begin there. */
typedef struct {
    int32_t place;
    int32_t vectors;
    int32_t to[CONV_VECTORS];
    int32_t count[CONV_VECTORS];
    uint32_t keep[CONV_VECTORS];
} conv_tile;

/* Lane groups [g0, g1) for one tile: x is the opened input at the tile's first place; filters of y lie ldy apart. */
#define CONV_PARAMETERS                                                                                                \
    const conv_groups *G, ptrdiff_t g0, ptrdiff_t g1, const float *x, float *y, ptrdiff_t ldy, const conv_tile *tile
typedef void (*conv_fn)(CONV_PARAMETERS);

/* One phase of the opened input: its pixel (i, j) of channel c lies at start + (c * rows + i) * pitch + j and is pixel
 * (i * stride + top, j * stride + left) of x, counted from the strip's first row; columns outside of x stay zero. */
typedef struct {
    ptrdiff_t start;
    ptrdiff_t top;
    ptrdiff_t left;
    ptrdiff_t first_row, last_row;
    ptrdiff_t first_column, last_column;
} conv_phase;

typedef struct {
    ptrdiff_t channels, height, width; /* of x */
    ptrdiff_t padding;                 /* rows above x */
    ptrdiff_t ahead; /* channels whose rows are asked for before they are copied: 0 where x is in a cache */
    ptrdiff_t stride_y, stride_x;
    ptrdiff_t rows, pitch; /* of a phase's channel */
    ptrdiff_t phases;
    const conv_phase *phase;
} conv_input;

/* Opens the strip of x [channels, height, width] that begins with row `row` of the padded input. */
static void open_input(const conv_input *in, const float *restrict x, float *restrict opened, ptrdiff_t row)
{
    const ptrdiff_t top = row - in->padding, map = in->height * in->width;
    const conv_phase *only = in->phase;
    if (in->stride_y == 1 && in->stride_x == 1 && top == 0 && in->rows == in->height && in->pitch == in->width &&
        only->last_column - only->first_column == in->width) {
        /* Nothing is padded: the opened input is x. */
        memcpy(opened, x, (size_t)(in->channels * map) * sizeof(float));
        return;
    }
    for (ptrdiff_t c = 0; c < in->channels; c++)
        for (ptrdiff_t i = 0; i < in->rows; i++)
            for (ptrdiff_t p = 0; p < in->phases; p++) {
                const conv_phase *phase = in->phase + p;
                if (i < phase->first_row || i >= phase->last_row)
                    continue;
                const ptrdiff_t y = top + i * in->stride_y + phase->top;
                const ptrdiff_t n = phase->last_column - phase->first_column;
                float *to = opened + phase->start + (c * in->rows + i) * in->pitch + phase->first_column;
                const float *from = x + c * map + y * in->width + phase->first_column * in->stride_x + phase->left;
                if (y < 0 || y >= in->height) {
                    memset(to, 0, (size_t)n * sizeof(float));
                    continue;
                }
                if (in->ahead)
                    for (ptrdiff_t j = 0; j < n * in->stride_x; j += 16)
                        __builtin_prefetch(from + in->ahead * map + j);
                copy_strided(to, from, n, in->stride_x);
            }
}

#define CONV(name) JOIN(conv_##name##_, VN)
#define VN 4
#include "conv_tiles.h"
#if VLEN >= 8
#define VN 8
#include "conv_tiles.h"
#endif
#if VLEN >= 16
#define VN 16
#include "conv_tiles.h"
#endif
#undef CONV

/* The tile for `lanes` filters x `vectors` vectors of `vlen` places, or NULL where this level has none. */
static conv_fn pick_conv(int lanes, int vectors, int vlen)
{
    switch (vlen) {
    case 4: return conv_pick_4(lanes, vectors);
#if VLEN >= 8
    case 8: return conv_pick_8(lanes, vectors);
#endif
#if VLEN >= 16
    case 16: return conv_pick_16(lanes, vectors);
#endif
    default: return NULL;
    }
}

#endif
