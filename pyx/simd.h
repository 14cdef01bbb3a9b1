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

/* The first n floats of a vector, 0 < n <= its length; nothing beyond them is touched in memory. */
#if defined(__AVX512VL__)
#include <immintrin.h>
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

/* A loop over the rows or vectors of a tile: its bounds are constants, its variables registers. */
#define EACH(i, from, to) _Pragma("GCC unroll 16") for (int i = from; i < (to); i++)

#endif
