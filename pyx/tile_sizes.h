/* Which tiles of lanes x vectors a level has, for products and convolutions: X(lanes, vectors) for each. */
#ifndef SPARSEBENCH_TILE_SIZES_H
#define SPARSEBENCH_TILE_SIZES_H

#include "simd.h"

/* Vectors shorter than the level's are for few columns, of which there is one vector. */
#define SHORT_VECTOR_TILES(X) X(1, 1) X(4, 1) X(8, 1) X(16, 1)

#if REGISTER_VECTORS >= 3
#define THREE_VECTOR_TILES(X) X(4, 3) X(8, 3) X(16, 3)
#else
#define THREE_VECTOR_TILES(X)
#endif
#define LEVEL_VECTOR_TILES(X) SHORT_VECTOR_TILES(X) X(1, 2) X(4, 2) X(8, 2) X(16, 2) X(1, 3) THREE_VECTOR_TILES(X)

/* Rows of one lane that a tile of T vectors interleaves: up to 4, with up to 9 accumulators. */
#define INTERLEAVED(T) (9 / (T) < 4 ? 9 / (T) : 4)

#endif
