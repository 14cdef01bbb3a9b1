/* The non-zeros of a dense vector as lists of indices and values. */
#ifndef SPARSEBENCH_COMPRESS_H
#define SPARSEBENCH_COMPRESS_H

#include "simd.h"

/* Writes the non-zeros of x[0:n] in order and returns how many; both lists have room for n + 16. -0 is a zero, NaN not.
 */
static ptrdiff_t compress(const float *restrict x, ptrdiff_t n, int32_t *restrict index, float *restrict value)
{
    ptrdiff_t found = 0, i = 0;
#if VLEN == 16
    /* Compressed in registers: stores that compress are microcode on Zen 4. */
    __m512i at = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (; i + 16 <= n; i += 16) {
        const __m512 v = _mm512_loadu_ps(x + i);
        const __mmask16 some = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_NEQ_UQ);
        _mm512_storeu_ps(value + found, _mm512_maskz_compress_ps(some, v));
        _mm512_storeu_si512(index + found, _mm512_maskz_compress_epi32(some, at));
        found += __builtin_popcount(some);
        at = _mm512_add_epi32(at, _mm512_set1_epi32(16));
    }
#endif
    for (; i < n; i++) {
        index[found] = (int32_t)i;
        value[found] = x[i];
        found += x[i] != 0;
    }
    return found;
}

#endif
