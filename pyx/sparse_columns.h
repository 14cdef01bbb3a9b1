/* Sparse weights times sparse activations: W as columns of equal length, of which only those of non-zero inputs are
 * read. In each set of complementary W a column has L consecutive weights, so y[row .. row + L) += x[k] w[k][set].
 *
 * Bound by loading W from L2 (two cycles for each 64 bytes of columns that lie far apart) and by the load, add and
 * store of y, which together take about four. */
#ifndef SPARSEBENCH_SPARSE_COLUMNS_H
#define SPARSEBENCH_SPARSE_COLUMNS_H

#include "compress.h"

typedef struct {
    ptrdiff_t sets;
    ptrdiff_t set_rows;  /* S L */
    const uint16_t *row; /* [K, sets]: where in its set a column's weights begin */
    const float *values; /* [K, sets, L] */
} sparse_columns;

/* Columns are fetched so many non-zeros before their turn, at most NONZEROS_SPARE: 2 to 8 are equally fast. */
#define AHEAD 4
/* Most sets that one pass over the non-zeros takes. */
#define MOST_SETS 16

/* Rows of P sets of W x, from set s0 on; list[count] is what `nonzeros` made of x. The last set's rows go to
 * last[set_rows], those of the others to y[(P - 1) set_rows]: a caller's Y ends before a last set that is not full. */
#define ADD_PARAMETERS                                                                                                 \
    const sparse_columns *W, ptrdiff_t s0, const float *x, const int32_t *list, ptrdiff_t count, float *y, float *last
typedef void (*add_fn)(ADD_PARAMETERS);

/* A vector V holds L rows, or as many of them as the level allows. P is a constant, so that each set has a load and a
 * store of its own: by the addresses of these instructions processors tell which load of y waits for which store, and
 * one loop for all sets takes 15 % longer. The barrier is for gcc, which would else keep P pointers on the stack. */
#define DEFINE_ADDS(L, V)                                                                                              \
    ALWAYS_INLINE void add_##L(int P, ADD_PARAMETERS)                                                                  \
    {                                                                                                                  \
        enum { VECTORS = L * sizeof(float) / sizeof(V), SETS_A_LINE = 16 / L };                                        \
        const ptrdiff_t sets = W->sets, set_rows = W->set_rows;                                                        \
        const uint16_t *row = W->row + s0;                                                                             \
        const float *values = W->values + s0 * L;                                                                      \
        memset(y, 0, (size_t)((P - 1) * set_rows) * sizeof(float));                                                    \
        memset(last, 0, (size_t)set_rows * sizeof(float));                                                             \
        for (ptrdiff_t j = 0; j < count; j++) {                                                                        \
            const ptrdiff_t here = list[j] * sets, soon = list[j + AHEAD] * sets;                                      \
            const float xk = x[list[j]];                                                                               \
            float *set = y;                                                                                            \
            __builtin_prefetch(row + soon);                                                                            \
            EACH (p, 0, P) {                                                                                           \
                if (p % SETS_A_LINE == 0)                                                                              \
                    __builtin_prefetch(values + (soon + p) * L);                                                       \
                const V *w = (const V *)(values + (here + p) * L);                                                     \
                V *sum = (V *)((p < P - 1 ? set : last) + row[here + p]);                                              \
                EACH (i, 0, VECTORS)                                                                                   \
                    sum[i] += w[i] * xk;                                                                               \
                set += set_rows;                                                                                       \
                __asm__("" : "+r"(set));                                                                               \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    DEFINE_ADD(L, 1)                                                                                                   \
    DEFINE_ADD(L, 2)                                                                                                   \
    DEFINE_ADD(L, 3)                                                                                                   \
    DEFINE_ADD(L, 4)                                                                                                   \
    DEFINE_ADD(L, 5)                                                                                                   \
    DEFINE_ADD(L, 6)                                                                                                   \
    DEFINE_ADD(L, 7)                                                                                                   \
    DEFINE_ADD(L, 8)                                                                                                   \
    DEFINE_ADD(L, 9)                                                                                                   \
    DEFINE_ADD(L, 10)                                                                                                  \
    DEFINE_ADD(L, 11)                                                                                                  \
    DEFINE_ADD(L, 12)                                                                                                  \
    DEFINE_ADD(L, 13)                                                                                                  \
    DEFINE_ADD(L, 14)                                                                                                  \
    DEFINE_ADD(L, 15)                                                                                                  \
    DEFINE_ADD(L, 16)                                                                                                  \
    static const add_fn add_table_##L[MOST_SETS] = {add_##L##_1,  add_##L##_2,  add_##L##_3,  add_##L##_4,             \
                                                    add_##L##_5,  add_##L##_6,  add_##L##_7,  add_##L##_8,             \
                                                    add_##L##_9,  add_##L##_10, add_##L##_11, add_##L##_12,            \
                                                    add_##L##_13, add_##L##_14, add_##L##_15, add_##L##_16};

#define DEFINE_ADD(L, P)                                                                                               \
    static void add_##L##_##P(ADD_PARAMETERS) { add_##L(P, W, s0, x, list, count, y, last); }

DEFINE_ADDS(1, float)
DEFINE_ADDS(4, v4f)
#if VLEN == 4
DEFINE_ADDS(8, v4f)
#else
DEFINE_ADDS(8, v8f)
#endif
DEFINE_ADDS(16, vf)

/* Functions for 1 ... MOST_SETS sets, or NULL. */
static const add_fn *pick_adds(int lanes)
{
    switch (lanes) {
    case 1: return add_table_1;
    case 4: return add_table_4;
    case 8: return add_table_8;
    case 16: return add_table_16;
    default: return NULL;
    }
}

/* Rows of sets [s0, s1) of W x to y, which ends after `rows` of them; `scratch` is as long as a set. */
static void multiply_columns(const sparse_columns *W, const add_fn *adds, ptrdiff_t s0, ptrdiff_t s1, const float *x,
                             const int32_t *list, ptrdiff_t count, float *y, ptrdiff_t rows, float *scratch)
{
    const ptrdiff_t passes = (s1 - s0 + MOST_SETS - 1) / MOST_SETS;
    for (ptrdiff_t pass = 0; pass < passes; pass++) {
        const ptrdiff_t from = (s1 - s0) * pass / passes, to = (s1 - s0) * (pass + 1) / passes;
        const ptrdiff_t first = (to - 1) * W->set_rows, full = rows - first >= W->set_rows;
        float *last = full ? y + first : scratch;
        adds[to - from - 1](W, s0 + from, x, list, count, y + from * W->set_rows, last);
        if (!full)
            memcpy(y + first, scratch, (size_t)(rows - first) * sizeof(float));
    }
}

#endif
