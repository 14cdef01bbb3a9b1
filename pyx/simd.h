/* The vector type of the level being compiled, as GCC vector extensions: no intrinsics, every architecture. */
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

#define ALWAYS_INLINE static inline __attribute__((always_inline))
/* A loop over the rows or vectors of a tile: its bounds are constants, its variables registers. */
#define EACH(i, from, to) _Pragma("GCC unroll 16") for (int i = from; i < (to); i++)

#endif
