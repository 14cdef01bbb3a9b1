/* Rows of pixels taken at a stride, by the vector where the stride is 2: convolutions open and unroll maps with it. */
#ifndef SPARSEBENCH_STRIDED_H
#define SPARSEBENCH_STRIDED_H

#include "simd.h"

#if VLEN == 16
#define EVEN ((vi){0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30})
#elif VLEN == 8
#define EVEN ((vi){0, 2, 4, 6, 8, 10, 12, 14})
#else
#define EVEN ((vi){0, 2, 4, 6})
#endif

/* to[i] = from[i * stride] for i < n; of x, nothing beyond from[(n - 1) * stride] is read. */
static void copy_strided(float *restrict to, const float *restrict from, ptrdiff_t n, ptrdiff_t stride)
{
    ptrdiff_t i = 0;
    if (stride == 1) {
        /* Rows are short: a call of memcpy takes longer than they. */
        for (; i + VLEN <= n; i += VLEN)
            *(vf *)(to + i) = *(const vf *)(from + i);
        if (i < n)
            JOIN(store_part_, VLEN)(to + i, JOIN(load_part_, VLEN)(from + i, (int)(n - i)), (int)(n - i));
        return;
    }
    if (stride == 2)
        for (; i < n; i += VLEN) {
            const ptrdiff_t left = n - i, there = 2 * left - 1;
            const float *at = from + 2 * i;
            const vf low = there >= VLEN ? *(const vf *)at : (vf)JOIN(load_part_, VLEN)(at, (int)there);
            vf high = {0};
            if (there >= 2 * VLEN)
                high = *(const vf *)(at + VLEN);
            else if (there > VLEN)
                high = JOIN(load_part_, VLEN)(at + VLEN, (int)(there - VLEN));
            const vf even = __builtin_shuffle(low, high, EVEN);
            if (left >= VLEN)
                *(vf *)(to + i) = even;
            else
                JOIN(store_part_, VLEN)(to + i, even, (int)left);
        }
    for (; i < n; i++)
        to[i] = from[i * stride];
}

#endif
