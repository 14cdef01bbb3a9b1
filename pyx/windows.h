/* Partitioned complementary sparsity, L = 1, few columns: every row owns one input of each window of S inputs.
 *
 * A vector holds VLEN rows. Per window and column two registers hold S <= 2 VLEN consecutive inputs, and one permute
 * gives each row its own: 1 permute + 1 FMA for VLEN weights, no gather, places of one byte. */
#ifndef SPARSEBENCH_WINDOWS_H
#define SPARSEBENCH_WINDOWS_H

#include "simd.h"

#define MAX_WINDOW_COLUMNS 12

typedef struct {
    ptrdiff_t windows;
    int width;            /* S */
    const float *values;  /* [blocks, windows, R, VLEN] */
    const uint8_t *place; /* the same: which input of the window */
} windows_of_rows;

#if VLEN == 16
#define HAVE_WINDOWS 1
typedef int32_t v16i __attribute__((vector_size(64)));

/* Row-major X [K, N] as [windows, N, 2 VLEN]: each column's inputs of a window together, beyond them whatever was there
 * (finite: the buffer begins as zeros). */
ALWAYS_INLINE void open_windows(int N, const windows_of_rows *W, const float *restrict x, ptrdiff_t K,
                                float *restrict opened)
{
    for (ptrdiff_t k = 0; k < K; k += W->width, opened += 2 * VLEN * N) {
        if (N == 1 && k + 2 * VLEN <= K) {
            *(v16f *)opened = *(const v16f *)(x + k);
            *(v16f *)(opened + VLEN) = *(const v16f *)(x + k + VLEN);
            continue;
        }
        const ptrdiff_t count = K - k < W->width ? K - k : W->width;
        for (ptrdiff_t i = 0; i < count; i++)
            EACH (n, 0, N) {
                opened[2 * VLEN * n + i] = x[(k + i) * N + n];
                /* One float at a time: the compiler's vectors of gathered floats take longer. */
                __asm__ volatile("" ::: "memory");
            }
    }
}

/* x: what `open_windows` made; y: row-major [rows, N], of at most R * VLEN rows. */
ALWAYS_INLINE void window_block(int R, int N, const windows_of_rows *W, ptrdiff_t block, const float *restrict x,
                                float *restrict y, ptrdiff_t rows)
{
    v16f acc[8][MAX_WINDOW_COLUMNS];
    const float *w = W->values + block * W->windows * R * VLEN;
    const uint8_t *place = W->place + block * W->windows * R * VLEN;
    EACH (r, 0, R)
        EACH (n, 0, N)
            acc[r][n] = (v16f){0};
    for (ptrdiff_t p = 0; p < W->windows; p++, x += 2 * VLEN * N, w += R * VLEN, place += R * VLEN) {
        v16i at[8];
        EACH (r, 0, R)
            at[r] = (v16i)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(place + r * VLEN)));
        EACH (n, 0, N) {
            const v16f low = *(const v16f *)(x + 2 * n * VLEN), high = *(const v16f *)(x + (2 * n + 1) * VLEN);
            EACH (r, 0, R)
                acc[r][n] += *(const v16f *)(w + r * VLEN) * __builtin_shuffle(low, high, at[r]);
        }
    }
    if (N == 1 && rows == R * VLEN) {
        EACH (r, 0, R)
            *(v16f *)(y + r * VLEN) = acc[r][0];
        return;
    }
    float sums[8 * MAX_WINDOW_COLUMNS * VLEN] __attribute__((aligned(64)));
    EACH (r, 0, R)
        EACH (n, 0, N)
            *(v16f *)(sums + (r * N + n) * VLEN) = acc[r][n];
    for (ptrdiff_t i = 0; i < rows; i++)
        EACH (n, 0, N)
            y[i * N + n] = sums[((i / VLEN) * N + n) * VLEN + i % VLEN];
}
#else
#define HAVE_WINDOWS 0
#endif

/* Blocks [first, last) of Y[M, N] = W X[K, N]; opened: scratch of windows * N * 2 VLEN floats, zero at first. */
#define WINDOWS_PARAMETERS                                                                                             \
    const windows_of_rows *W, ptrdiff_t first, ptrdiff_t last, const float *x, ptrdiff_t K, float *opened, float *y,   \
        ptrdiff_t M
typedef void (*window_fn)(WINDOWS_PARAMETERS);

#if HAVE_WINDOWS
#define WINDOW(R, N)                                                                                                   \
    static void windows_##N(WINDOWS_PARAMETERS)                                                                        \
    {                                                                                                                  \
        open_windows(N, W, x, K, opened);                                                                              \
        for (ptrdiff_t block = first; block < last; block++) {                                                         \
            const ptrdiff_t row = block * R * VLEN, left = M - row;                                                    \
            window_block(R, N, W, block, opened, y + row * N, left < R * VLEN ? left : R * VLEN);                      \
        }                                                                                                              \
    }
WINDOW(8, 1)
WINDOW(4, 2)
WINDOW(4, 3)
WINDOW(4, 4)
WINDOW(2, 5)
WINDOW(2, 6)
WINDOW(2, 7)
WINDOW(2, 8)
WINDOW(2, 9)
WINDOW(2, 10)
WINDOW(2, 11)
WINDOW(2, 12)
#undef WINDOW
#endif

/* Vectors of rows in a block for n columns; 0 where this level has no such kernel. */
static int window_vectors(int n)
{
    static const int vectors[MAX_WINDOW_COLUMNS] = {8, 4, 4, 4, 2, 2, 2, 2, 2, 2, 2, 2};
    return HAVE_WINDOWS && n >= 1 && n <= MAX_WINDOW_COLUMNS ? vectors[n - 1] : 0;
}

static window_fn pick_windows(int n)
{
#if HAVE_WINDOWS
    static const window_fn table[MAX_WINDOW_COLUMNS] = {windows_1, windows_2,  windows_3,  windows_4,
                                                        windows_5, windows_6,  windows_7,  windows_8,
                                                        windows_9, windows_10, windows_11, windows_12};
    if (n >= 1 && n <= MAX_WINDOW_COLUMNS)
        return table[n - 1];
#endif
    return NULL;
}

#endif
