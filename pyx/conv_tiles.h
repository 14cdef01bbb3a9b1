/* Register tiles of convolution, for one vector length: included by conv.h once for every VN.
 *
 * A tile is R filters x T vectors of VN places; places are the pixels of the opened input's rows, so that a tap is one
 * offset for all of them. Places between the rows of the output are computed too, and dropped when the tile is stored.
 */

#define V JOIN(v, JOIN(VN, f))

/* The places of vector t that are pixels of Y, side by side at y + to. */
ALWAYS_INLINE void CONV(store_pixels)(float *y, V v, int count, uint32_t keep)
{
    if (count == VN) {
        *(V *)y = v;
        return;
    }
#if VN == 16
    _mm512_mask_storeu_ps(y, MASK(count), _mm512_maskz_compress_ps((__mmask16)keep, (__m512)v));
#else
    for (int i = 0, to = 0; i < VN; i++)
        if (keep >> i & 1)
            y[to++] = v[i];
#endif
}

/* R rows of T vectors, of which the first `rows` are filters, to y. */
ALWAYS_INLINE void CONV(store)(int R, int T, V acc[][4], int relu, float *restrict y, ptrdiff_t ldy,
                               const conv_tile *restrict tile, int rows)
{
    int pixels = 0;
    EACH (t, 0, T)
        pixels += tile->count[t];
    if (relu)
        EACH (r, 0, R)
            EACH (t, 0, T) {
                const __typeof__(acc[r][t] > 0) positive = acc[r][t] > 0;
                acc[r][t] = (V)(positive & (__typeof__(positive))acc[r][t]);
            }
    if (pixels == T * VN && rows >= R) {
        /* The usual tile of wide maps, without a branch. */
        y += tile->to[0];
        EACH (r, 0, R)
            EACH (t, 0, T)
                *(V *)(y + r * ldy + t * VN) = acc[r][t];
        return;
    }
    EACH (t, 0, T) {
        const int count = tile->count[t];
        const uint32_t keep = tile->keep[t];
        float *to = y + tile->to[t];
        EACH (r, 0, R)
            if (r < rows)
                CONV(store_pixels)(to + r * ldy, acc[r][t], count, keep);
    }
}

/* R of the L filters of one lane group: per tap T loads, R broadcasts, R * T FMAs. */
ALWAYS_INLINE void CONV(shared_tile)(int L, int R, int T, const float *restrict x, const int32_t *restrict offset,
                                     const float *restrict w, ptrdiff_t count, const float *bias, int relu,
                                     float *restrict y, ptrdiff_t ldy, const conv_tile *tile, int rows)
{
    V acc[8][4];
    EACH (r, 0, R)
        EACH (t, 0, T)
            acc[r][t] = (V){0} + (r < rows ? bias[r] : 0);
    for (ptrdiff_t j = 0; j < count; j++) {
        const float *at = x + offset[j];
        V xv[4];
        EACH (t, 0, T)
            xv[t] = *(const V *)(at + t * VN);
        EACH (r, 0, R)
            EACH (t, 0, T)
                acc[r][t] += w[j * L + r] * xv[t];
    }
    CONV(store)(R, T, acc, relu, y, ldy, tile, rows);
}

ALWAYS_INLINE void CONV(shared_groups)(int L, int T, CONV_PARAMETERS)
{
    const int R = L < REGISTER_ROWS ? L : REGISTER_ROWS;
    for (ptrdiff_t g = g0; g < g1; g++) {
        const int64_t first = G->start[g];
        const ptrdiff_t row = G->row[g];
        for (int r = 0; r < G->rows[g]; r += R)
            CONV(shared_tile)(L, R, T, x, G->offset + first, G->values + first * L + r, G->start[g + 1] - first,
                              G->bias + row + r, G->relu, y + (row + r) * ldy, ldy, tile, G->rows[g] - r);
    }
}

/* P filters, each with taps of its own, interleaved so that P * T chains of FMAs hide the latency of one. */
ALWAYS_INLINE void CONV(single_rows)(int P, int T, const conv_groups *G, ptrdiff_t g, const float *x, float *y,
                                     ptrdiff_t ldy, const conv_tile *tile)
{
    V acc[4][4];
    const int64_t *start = G->start + g;
    ptrdiff_t common = start[1] - start[0];
    for (int p = 1; p < P; p++)
        common = start[p + 1] - start[p] < common ? start[p + 1] - start[p] : common;
    EACH (p, 0, P)
        EACH (t, 0, T)
            acc[p][t] = (V){0} + G->bias[G->row[g + p]];
    for (ptrdiff_t j = 0; j < common; j++)
        EACH (p, 0, P) {
            const float *at = x + G->offset[start[p] + j];
            const float weight = G->values[start[p] + j];
            EACH (t, 0, T)
                acc[p][t] += weight * *(const V *)(at + t * VN);
        }
    EACH (p, 0, P) {
        for (int64_t j = start[p] + common; j < start[p + 1]; j++) {
            const float *at = x + G->offset[j];
            EACH (t, 0, T)
                acc[p][t] += G->values[j] * *(const V *)(at + t * VN);
        }
        CONV(store)(1, T, acc + p, G->relu, y + G->row[g + p] * ldy, ldy, tile, 1);
    }
}

ALWAYS_INLINE void CONV(single_groups)(int P, int T, CONV_PARAMETERS)
{
    ptrdiff_t g = g0;
    for (; g + P <= g1; g += P)
        CONV(single_rows)(P, T, G, g, x, y, ldy, tile);
    for (; g < g1; g++)
        CONV(single_rows)(1, T, G, g, x, y, ldy, tile);
}

ALWAYS_INLINE void CONV(groups)(int L, int T, CONV_PARAMETERS)
{
    if (L == 1)
        CONV(single_groups)(INTERLEAVED(T), T, G, g0, g1, x, y, ldy, tile);
    else
        CONV(shared_groups)(L, T, G, g0, g1, x, y, ldy, tile);
}

#if VN == VLEN
#define COMPILED(X) LEVEL_VECTOR_TILES(X)
#else
#define COMPILED(X) SHORT_VECTOR_TILES(X)
#endif

#define DEFINE(L, T)                                                                                                   \
    static void CONV(tile_##L##_##T)(CONV_PARAMETERS) { CONV(groups)(L, T, G, g0, g1, x, y, ldy, tile); }
COMPILED(DEFINE)

static conv_fn CONV(pick)(int lanes, int vectors)
{
#define PICK(L, T)                                                                                                     \
    if (lanes == L && vectors == T)                                                                                    \
        return CONV(tile_##L##_##T);
    COMPILED(PICK)
    return NULL;
}

#undef PICK
#undef DEFINE
#undef COMPILED
#undef V
#undef VN
