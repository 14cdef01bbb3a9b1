/* Complementary sparsity walked by its columns: each input has one owner lane group in every set, so that a column is
 * a list of fixed length, and inputs that are zero cost nothing. */
#ifndef SPARSEBENCH_SPARSE_COLUMNS_H
#define SPARSEBENCH_SPARSE_COLUMNS_H

#include "compress.h"

typedef struct {
    ptrdiff_t sets;
    ptrdiff_t set_rows;  /* S L */
    const uint16_t *row; /* [K, sets]: first row of the owner within its set */
    const float *values; /* [K, sets, L] */
} sparse_columns;

/* Columns whose values are asked for ahead of their turn: they lie anywhere in memory. */
#define COLUMNS_AHEAD 4

/* Adds value[j] times column index[j] to the rows of sets [first, last) for all j < count; y is row 0 of set `first`.
 * Both lists go on for COLUMNS_AHEAD entries with any valid index. */
ALWAYS_INLINE void add_columns(int L, const sparse_columns *C, ptrdiff_t first, ptrdiff_t last, const int32_t *index,
                               const float *value, ptrdiff_t count, float *y)
{
    for (ptrdiff_t j = 0; j < count; j++) {
        const uint16_t *row = C->row + index[j] * C->sets;
        const float *w = C->values + index[j] * C->sets * L;
        const float *ahead = C->values + index[j + COLUMNS_AHEAD] * C->sets * L;
        const float x = value[j];
        float *of_set = y;
        __builtin_prefetch(C->row + index[j + COLUMNS_AHEAD] * C->sets + first);
        for (ptrdiff_t s = first; s < last; s++, of_set += C->set_rows) {
            float *at = of_set + row[s];
            __builtin_prefetch(ahead + s * L);
            if (L == 16 && VLEN == 16)
                *(vf *)at += x * *(const vf *)(w + s * 16);
#if VLEN >= 8
            else if (L >= 8)
                EACH (i, 0, L / 8)
                    *(v8f *)(at + 8 * i) += x * *(const v8f *)(w + s * L + 8 * i);
#endif
            else if (L >= 4)
                EACH (i, 0, L / 4)
                    *(v4f *)(at + 4 * i) += x * *(const v4f *)(w + s * L + 4 * i);
            else
                *at += x * w[s];
        }
    }
}

typedef void (*add_columns_fn)(const sparse_columns *, ptrdiff_t, ptrdiff_t, const int32_t *, const float *, ptrdiff_t,
                               float *);

#define ADD(L)                                                                                                         \
    static void add_columns_##L(const sparse_columns *C, ptrdiff_t first, ptrdiff_t last, const int32_t *index,        \
                                const float *value, ptrdiff_t count, float *y)                                         \
    {                                                                                                                  \
        add_columns(L, C, first, last, index, value, count, y);                                                        \
    }
ADD(1)
ADD(4)
ADD(8)
ADD(16)
#undef ADD

static add_columns_fn pick_add_columns(int lanes)
{
    switch (lanes) {
    case 1: return add_columns_1;
    case 4: return add_columns_4;
    case 8: return add_columns_8;
    case 16: return add_columns_16;
    default: return NULL;
    }
}

#endif
