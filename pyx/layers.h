/* The layers of a network that have no weights: max-pooling, bias and activation. */
#ifndef SPARSEBENCH_LAYERS_H
#define SPARSEBENCH_LAYERS_H

#include <math.h>

#include "strided.h"

enum { ACT_NONE, ACT_RELU, ACT_GELU };

typedef struct {
    ptrdiff_t maps, height, width; /* maps: samples x channels */
    ptrdiff_t kernel_y, kernel_x, stride_y, stride_x, padding_y, padding_x;
    ptrdiff_t out_height, out_width;
} pooling;

/* 2 x 2 windows, side by side, of one map. Up to 2 VLEN floats beyond the map are read, and ignored. */
static void pool_pairs(const pooling *p, const float *restrict x, float *restrict y)
{
    for (ptrdiff_t i = 0; i < p->out_height; i++, x += 2 * p->width, y += p->out_width) {
        const float *below = x + p->width;
        for (ptrdiff_t j = 0; j < p->out_width; j += VLEN) {
            const vf left = larger(*(const vf *)(x + 2 * j), *(const vf *)(below + 2 * j));
            const vf right = larger(*(const vf *)(x + 2 * j + VLEN), *(const vf *)(below + 2 * j + VLEN));
            const vf most = larger(__builtin_shuffle(left, right, EVEN), __builtin_shuffle(left, right, EVEN + 1));
            if (p->out_width - j >= VLEN)
                *(vf *)(y + j) = most;
            else
                JOIN(store_part_, VLEN)(y + j, most, (int)(p->out_width - j));
        }
    }
}

static void pool_any(const pooling *p, const float *restrict x, float *restrict y)
{
    for (ptrdiff_t i = 0; i < p->out_height; i++)
        for (ptrdiff_t j = 0; j < p->out_width; j++) {
            float most = -INFINITY;
            for (ptrdiff_t ky = 0; ky < p->kernel_y; ky++)
                for (ptrdiff_t kx = 0; kx < p->kernel_x; kx++) {
                    const ptrdiff_t row = i * p->stride_y + ky - p->padding_y,
                                    col = j * p->stride_x + kx - p->padding_x;
                    if (row >= 0 && row < p->height && col >= 0 && col < p->width)
                        most = fmaxf(most, x[row * p->width + col]);
                }
            y[i * p->out_width + j] = most;
        }
}

static void max_pool(const pooling *p, const float *x, float *y)
{
    const int pairs = p->kernel_y == 2 && p->kernel_x == 2 && p->stride_y == 2 && p->stride_x == 2 &&
                      p->padding_y == 0 && p->padding_x == 0;
    for (ptrdiff_t map = 0; map < p->maps; map++, x += p->height * p->width, y += p->out_height * p->out_width)
        if (pairs)
            pool_pairs(p, x, y);
        else
            pool_any(p, x, y);
}

ALWAYS_INLINE float activated(float v, int activation)
{
    if (activation == ACT_RELU)
        return v > 0 ? v : 0;
    return activation == ACT_GELU ? 0.5f * v * (1 + erff(v * 0.70710678f)) : v;
}

ALWAYS_INLINE void bias_then(int activation, float *restrict y, const float *restrict bias, ptrdiff_t rows,
                             ptrdiff_t columns)
{
    if (columns == 1)
        for (ptrdiff_t r = 0; r < rows; r++)
            y[r] = activated(y[r] + bias[r], activation);
    else
        for (ptrdiff_t r = 0; r < rows; r++, y += columns)
            for (ptrdiff_t i = 0; i < columns; i++)
                y[i] = activated(y[i] + bias[r], activation);
}

/* y[rows, columns] += bias[row], then the activation. */
static void bias_and_activation(float *y, const float *bias, ptrdiff_t rows, ptrdiff_t columns, int activation)
{
    switch (activation) {
    case ACT_RELU: bias_then(ACT_RELU, y, bias, rows, columns); break;
    case ACT_GELU: bias_then(ACT_GELU, y, bias, rows, columns); break;
    default: bias_then(ACT_NONE, y, bias, rows, columns);
    }
}

#endif
