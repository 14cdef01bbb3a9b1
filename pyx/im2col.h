/* im2col: one row of columns for each tap, one column for each pixel of the output. */
#ifndef SPARSEBENCH_IM2COL_H
#define SPARSEBENCH_IM2COL_H

#include "strided.h"

typedef struct {
    ptrdiff_t height, width; /* of x */
    ptrdiff_t kernel_y, kernel_x, stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x;
    ptrdiff_t out_height, out_width;
} unrolling;

/* Least i with i * stride >= from. */
static ptrdiff_t first_from(ptrdiff_t from, ptrdiff_t stride) { return from <= 0 ? 0 : (from + stride - 1) / stride; }

static ptrdiff_t at_most(ptrdiff_t i, ptrdiff_t limit) { return i < limit ? i : limit; }

/* Writes row `tap` (c, ky, kx) of the columns of one sample. */
static void unroll(const unrolling *u, const float *restrict x, ptrdiff_t tap, float *restrict columns)
{
    const ptrdiff_t kx = tap % u->kernel_x, ky = tap / u->kernel_x % u->kernel_y;
    const float *map = x + tap / (u->kernel_x * u->kernel_y) * u->height * u->width;
    /* Pixel (i, j) of the output takes pixel (i * stride + top, j * stride + left) of x. */
    const ptrdiff_t top = ky * u->dilation_y - u->padding_y, left = kx * u->dilation_x - u->padding_x;
    const ptrdiff_t j0 = at_most(first_from(-left, u->stride_x), u->out_width);
    const ptrdiff_t j1 = at_most(first_from(u->width - left, u->stride_x), u->out_width);
    float *row = columns + tap * u->out_height * u->out_width;
    for (ptrdiff_t i = 0; i < u->out_height; i++, row += u->out_width) {
        const ptrdiff_t y = i * u->stride_y + top;
        const int inside = y >= 0 && y < u->height && j0 < j1;
        const ptrdiff_t before = inside ? j0 : u->out_width;
        for (ptrdiff_t j = 0; j < before; j++)
            row[j] = 0;
        if (!inside)
            continue;
        copy_strided(row + j0, map + y * u->width + j0 * u->stride_x + left, j1 - j0, u->stride_x);
        for (ptrdiff_t j = j1; j < u->out_width; j++)
            row[j] = 0;
    }
}

#endif
