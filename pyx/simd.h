/* The vector types of the level being compiled, as GCC vector extensions: they serve every architecture. Intrinsics
 * stand only where the extensions have no word: masked loads and stores. */
#ifndef SPARSEBENCH_SIMD_H
#define SPARSEBENCH_SIMD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* aligned(4): rows of X and Y start where the caller's N puts them. */
typedef float v4f __attribute__((vector_size(16), aligned(4), may_alias));
typedef float v8f __attribute__((vector_size(32), aligned(4), may_alias));
typedef float v16f __attribute__((vector_size(64), aligned(4), may_alias));

/* VLEN: floats a vector; REGISTER_ROWS x REGISTER_VECTORS: the largest tile of accumulators that leaves room for T
 * inputs and a broadcast among 32 (AVX-512, Neon) or 16 (AVX2, SSE) registers. */
#if defined(__AVX512F__)
#define VLEN 16
#define REGISTER_ROWS 8
#define REGISTER_VECTORS 3
#elif defined(__AVX__)
#define VLEN 8
#define REGISTER_ROWS 4
#define REGISTER_VECTORS 3
#elif defined(__aarch64__)
#define VLEN 4
#define REGISTER_ROWS 8
#define REGISTER_VECTORS 3
#else
#define VLEN 4
#define REGISTER_ROWS 4
#define REGISTER_VECTORS 2
#endif

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define ALWAYS_INLINE static inline __attribute__((always_inline))

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* The first n floats of a vector, 0 < n <= its length; nothing beyond them is touched in memory. */
#if defined(__AVX512VL__)
#define MASK(n) ((1u << (n)) - 1)
ALWAYS_INLINE v4f load_part_4(const float *p, int n) { return (v4f)_mm_maskz_loadu_ps(MASK(n), p); }
ALWAYS_INLINE v8f load_part_8(const float *p, int n) { return (v8f)_mm256_maskz_loadu_ps(MASK(n), p); }
ALWAYS_INLINE v16f load_part_16(const float *p, int n) { return (v16f)_mm512_maskz_loadu_ps(MASK(n), p); }
ALWAYS_INLINE void store_part_4(float *p, v4f v, int n) { _mm_mask_storeu_ps(p, MASK(n), (__m128)v); }
ALWAYS_INLINE void store_part_8(float *p, v8f v, int n) { _mm256_mask_storeu_ps(p, MASK(n), (__m256)v); }
ALWAYS_INLINE void store_part_16(float *p, v16f v, int n) { _mm512_mask_storeu_ps(p, MASK(n), (__m512)v); }
#else
#define DEFINE_PARTS(V, VN)                                                                                            \
    ALWAYS_INLINE V load_part_##VN(const float *p, int n)                                                              \
    {                                                                                                                  \
        V v = {0};                                                                                                     \
        for (int i = 0; i < n; i++)                                                                                    \
            v[i] = p[i];                                                                                               \
        return v;                                                                                                      \
    }                                                                                                                  \
    ALWAYS_INLINE void store_part_##VN(float *p, V v, int n)                                                           \
    {                                                                                                                  \
        for (int i = 0; i < n; i++)                                                                                    \
            p[i] = v[i];                                                                                               \
    }
DEFINE_PARTS(v4f, 4)
#if VLEN >= 8
DEFINE_PARTS(v8f, 8)
#endif
#endif

/* The widest vector of the level. */
#if VLEN == 16
typedef v16f vf;
#elif VLEN == 8
typedef v8f vf;
#else
typedef v4f vf;
#endif

/* As many integers; comparisons of floats give them, all ones for true. */
typedef int32_t vi __attribute__((vector_size(4 * VLEN), aligned(4), may_alias));

/* a > b ? a : b and a < b ? a : b in every lane, which is what x86 does for NaN too. */
#if VLEN == 16
ALWAYS_INLINE vf larger(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
ALWAYS_INLINE vf smaller(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
#elif VLEN == 8
ALWAYS_INLINE vf larger(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
ALWAYS_INLINE vf smaller(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
#elif defined(__x86_64__)
ALWAYS_INLINE vf larger(vf a, vf b) { return (vf)_mm_max_ps((__m128)a, (__m128)b); }
ALWAYS_INLINE vf smaller(vf a, vf b) { return (vf)_mm_min_ps((__m128)a, (__m128)b); }
#else
ALWAYS_INLINE vf larger(vf a, vf b) { return (vf)(((vi)a & (vi)(a > b)) | ((vi)b & ~(vi)(a > b))); }
ALWAYS_INLINE vf smaller(vf a, vf b) { return (vf)(((vi)a & (vi)(a < b)) | ((vi)b & ~(vi)(a < b))); }
#endif

/* A loop over the rows or vectors of a tile: its bounds are constants, its variables registers. */
#define EACH(i, from, to) _Pragma("GCC unroll 16") for (int i = from; i < (to); i++)

#endif
