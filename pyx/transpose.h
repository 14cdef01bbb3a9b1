/* Transposition of small matrices, by squares of 4 x 4 in registers. */
#ifndef SPARSEBENCH_TRANSPOSE_H
#define SPARSEBENCH_TRANSPOSE_H

#include "simd.h"

/* to[c, r] = from[r, c]; rows of `from` lie ld_from apart, those of `to` ld_to. */
static void transpose(const float *restrict from, ptrdiff_t ld_from, ptrdiff_t rows, ptrdiff_t columns,
                      float *restrict to, ptrdiff_t ld_to)
{
    typedef int32_t v4i __attribute__((vector_size(16)));
    const ptrdiff_t whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
    for (ptrdiff_t r = 0; r < whole_rows; r += 4)
        for (ptrdiff_t c = 0; c < whole_columns; c += 4) {
            v4f in[4];
            EACH (i, 0, 4)
                in[i] = *(const v4f *)(from + (r + i) * ld_from + c);
            const v4f low01 = __builtin_shuffle(in[0], in[1], (v4i){0, 4, 1, 5});
            const v4f low23 = __builtin_shuffle(in[2], in[3], (v4i){0, 4, 1, 5});
            const v4f high01 = __builtin_shuffle(in[0], in[1], (v4i){2, 6, 3, 7});
            const v4f high23 = __builtin_shuffle(in[2], in[3], (v4i){2, 6, 3, 7});
            float *out = to + c * ld_to + r;
            *(v4f *)out = __builtin_shuffle(low01, low23, (v4i){0, 1, 4, 5});
            *(v4f *)(out + ld_to) = __builtin_shuffle(low01, low23, (v4i){2, 3, 6, 7});
            *(v4f *)(out + 2 * ld_to) = __builtin_shuffle(high01, high23, (v4i){0, 1, 4, 5});
            *(v4f *)(out + 3 * ld_to) = __builtin_shuffle(high01, high23, (v4i){2, 3, 6, 7});
        }
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t c = r < whole_rows ? whole_columns : 0; c < columns; c++)
            to[c * ld_to + r] = from[r * ld_from + c];
}

#endif
