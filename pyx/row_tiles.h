/* Tiles vectorised over the L rows of a lane group, for few columns: included by lane_groups.h once for every L.
 *
 * Per input L / VN loads of weights and N * L / VN FMAs, each with a broadcast of one x[k, n]; no gather anywhere.
 * At N = 1 bound by W's bytes, beyond by the FMA units. N is a constant wherever `group` is inlined. */

#define VN (L < VLEN ? L : VLEN)
#if L == 4 || VLEN == 4
#define V v4f
#elif L == 8 || VLEN == 8
#define V v8f
#else
#define V v16f
#endif

ALWAYS_INLINE void ROWS(group)(int N, const lane_groups *G, ptrdiff_t b, ptrdiff_t g, const float *restrict x,
                               float *restrict y)
{
    enum { VECTORS = L / VN };
    /* Several inputs at a time where columns are too few to hide an FMA's latency. */
    const int U = N == 1 ? 4 : N <= 3 ? 2 : 1;
    const int64_t *start = G->start + b * G->groups + g;
    const ptrdiff_t count = start[1] - start[0];
    const uint16_t *restrict index = G->index + start[0];
    const float *restrict w = G->values + start[0] * L;
    V acc[4][MAX_ROW_COLUMNS][VECTORS];
    EACH (u, 0, U)
        EACH (n, 0, N)
            EACH (i, 0, VECTORS)
                acc[u][n][i] = (V){0};
    ptrdiff_t j = 0;
    for (; j + U <= count; j += U)
        EACH (u, 0, U) {
            const float *xk = x + (size_t)index[j + u] * (size_t)N;
            EACH (i, 0, VECTORS) {
                const V weights = *(const V *)(w + (j + u) * L + i * VN);
                EACH (n, 0, N)
                    acc[u][n][i] += weights * xk[n];
            }
        }
    for (; j < count; j++) {
        const float *xk = x + (size_t)index[j] * (size_t)N;
        EACH (i, 0, VECTORS) {
            const V weights = *(const V *)(w + j * L + i * VN);
            EACH (n, 0, N)
                acc[0][n][i] += weights * xk[n];
        }
    }
    EACH (n, 0, N)
        EACH (i, 0, VECTORS)
            EACH (u, 1, U)
                acc[0][n][i] += acc[u][n][i];
    float *out = y + (ptrdiff_t)G->row[g] * N;
    if (N == 1 && G->rows[g] == L) {
        EACH (i, 0, VECTORS) {
            V *at = (V *)(out + i * VN);
            if (b)
                acc[0][0][i] += *at;
            *at = acc[0][0][i];
        }
        return;
    }
    /* The sums lie column by column, Y row by row. */
    float sums[MAX_ROW_COLUMNS * L] __attribute__((aligned(64)));
    EACH (n, 0, N)
        EACH (i, 0, VECTORS)
            *(V *)(sums + n * L + i * VN) = acc[0][n][i];
    for (int r = 0; r < G->rows[g]; r++)
        EACH (n, 0, N) {
            out[r * N + n] = b ? out[r * N + n] + sums[n * L + r] : sums[n * L + r];
            /* One float at a time: from N = 8 on the compiler's vectors of gathered floats take twice as long. */
            if (N >= 8)
                __asm__ volatile("" ::: "memory");
        }
}

#define DEFINE(N)                                                                                                      \
    static void ROWS(columns_##N)(ROWS_PARAMETERS)                                                                     \
    {                                                                                                                  \
        for (ptrdiff_t g = g0; g < g1; g++)                                                                            \
            ROWS(group)(N, G, b, g, x, y);                                                                             \
    }
COLUMN_COUNTS(DEFINE)

static rows_fn ROWS(pick)(int n)
{
#define ENTRY(N) ROWS(columns_##N),
    static const rows_fn table[MAX_ROW_COLUMNS] = {COLUMN_COUNTS(ENTRY)};
    return n >= 1 && n <= MAX_ROW_COLUMNS ? table[n - 1] : NULL;
}

#undef ENTRY
#undef DEFINE
#undef V
#undef VN
#undef L
