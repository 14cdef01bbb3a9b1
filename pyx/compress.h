/* Where a list of floats is not zero: the selection that every product with sparse activations begins with. */
#ifndef SPARSEBENCH_COMPRESS_H
#define SPARSEBENCH_COMPRESS_H

#include "simd.h"

/* Zeros that follow a list, so that who walks it may look ahead. */
#define NONZEROS_SPARE 16

/* list[n + NONZEROS_SPARE]: the i with x[i] != 0, ascending; -0 is zero, NaN is not. Returns how many there are.
 *
 * Values are not copied along: walking x[list[j]] costs nothing next to W's columns, a second compression as much as
 * the first. No branch depends on x, so the time does not either: 5 cycles for 16 floats with AVX-512, 1 for each
 * elsewhere. */
static ptrdiff_t nonzeros(const float *x, ptrdiff_t n, int32_t *list)
{
    ptrdiff_t found = 0;
#if VLEN == 16
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (ptrdiff_t i = 0; i < n; i += 16) {
        const __m512 v = i + 16 <= n ? _mm512_loadu_ps(x + i) : (__m512)load_part_16(x + i, (int)(n - i));
        const __mmask16 kept = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_NEQ_UQ);
        const __m512i at = _mm512_add_epi32(lane, _mm512_set1_epi32((int)i));
        /* Compressed in a register: a compressing store is microcode on Zen 4. */
        _mm512_storeu_si512(list + found, _mm512_maskz_compress_epi32(kept, at));
        found += __builtin_popcount(kept);
    }
#else
    for (ptrdiff_t i = 0; i < n; i++) {
        list[found] = (int32_t)i;
        found += x[i] != 0;
    }
#endif
    memset(list + found, 0, NONZEROS_SPARE * sizeof *list);
    return found;
}

#endif
