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

/* erf by the rational approximation of Eigen (generic_fast_erf_float), within 5e-7: libm's takes 10 ns a number. Beyond
 * 4 it is 1 in float32. */
ALWAYS_INLINE vf erf_lanes(vf x)
{
    static const float odd[] = {-2.72614225801306e-10f, 2.77068142495902e-08f,  -2.10102402082508e-06f,
                                -5.69250639462346e-05f, -7.34990630326855e-04f, -2.95459980854025e-03f,
                                -1.60960333262415e-02f};
    static const float even[] = {-1.45660718464996e-05f, -2.13374055278905e-04f, -1.68282697438203e-03f,
                                 -7.37332916720468e-03f, -1.42647390514189e-02f};
    x = smaller(larger(x, (vf){0} - 4), (vf){0} + 4);
    const vf square = x * x;
    vf above = (vf){0} + odd[0], below = (vf){0} + even[0];
    EACH (i, 1, 7)
        above = above * square + odd[i];
    EACH (i, 1, 5)
        below = below * square + even[i];
    return x * above / below;
}

ALWAYS_INLINE vf activated(vf v, int activation)
{
    if (activation == ACT_RELU)
        return larger(v, (vf){0});
    if (activation == ACT_GELU)
        return 0.5f * v * (1 + erf_lanes(v * 0.70710678f));
    return v;
}

/* y[n] += bias[n], or bias[0] where that is all there is, then the activation. */
ALWAYS_INLINE void bias_and_activation_row(int activation, float *restrict y, const float *restrict bias, ptrdiff_t n,
                                           int one_bias)
{
    const vf same = (vf){0} + bias[0];
    ptrdiff_t i = 0;
    for (; i + VLEN <= n; i += VLEN)
        *(vf *)(y + i) = activated(*(const vf *)(y + i) + (one_bias ? same : *(const vf *)(bias + i)), activation);
    if (i == n)
        return;
    const int part = (int)(n - i);
    const vf last = (vf)JOIN(load_part_, VLEN)(y + i, part);
    const vf added = one_bias ? same : (vf)JOIN(load_part_, VLEN)(bias + i, part);
    JOIN(store_part_, VLEN)(y + i, activated(last + added, activation), part);
}

ALWAYS_INLINE void bias_then(int activation, float *restrict y, const float *restrict bias, ptrdiff_t rows,
                             ptrdiff_t columns)
{
    if (columns == 1)
        bias_and_activation_row(activation, y, bias, rows, 0);
    else
        for (ptrdiff_t r = 0; r < rows; r++)
            bias_and_activation_row(activation, y + r * columns, bias + r, columns, 1);
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
