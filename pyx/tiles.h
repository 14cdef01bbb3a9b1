/* Tiles vectorised over columns, for one vector length: included by lane_groups.h once for every VN.
 *
 * A vector holds VN columns of X; a tile is R rows x T vectors; R * T accumulators stay in registers.
 * L, R, P and T are constants wherever these functions are inlined: every loop over them is unrolled.
 * `last` floats of a tile's last vector are columns of Y (VN inside of the matrix, fewer at its right edge). */

#define V JOIN(v, JOIN(VN, f))

ALWAYS_INLINE V TILE(load)(const float *y, int last) { return last == VN ? *(const V *)y : TILE(load_part)(y, last); }

ALWAYS_INLINE void TILE(store)(float *y, V v, int last)
{
    if (last == VN)
        *(V *)y = v;
    else
        TILE(store_part)(y, v, last);
}

/* R rows of T vectors to y; past the caches if the plan says so and all of them are whole cache lines. */
ALWAYS_INLINE void TILE(store_rows)(int R, int T, V acc[][4], float *restrict y, ptrdiff_t ldy, int last, int bypass)
{
#if VN == 16
    if (bypass && last == VN) {
        EACH (r, 0, R)
            EACH (t, 0, T)
                _mm512_stream_ps(y + r * ldy + t * VN, (__m512)acc[r][t]);
        return;
    }
#endif
    EACH (r, 0, R)
        EACH (t, 0, T)
            TILE(store)(y + r * ldy + t * VN, acc[r][t], t == T - 1 ? last : VN);
}

/* R of the L rows of one lane group (their weights L apart): per input T loads, R broadcasts, R * T FMAs. */
ALWAYS_INLINE void TILE(shared_tile)(int L, int R, int T, const float *restrict panel, ptrdiff_t ldp,
                                     const uint16_t *restrict index, const float *restrict w, ptrdiff_t count,
                                     float *restrict y, ptrdiff_t ldy, int last, int accumulate, int bypass)
{
    V acc[8][4];
    EACH (r, 0, R)
        EACH (t, 0, T)
            acc[r][t] = accumulate ? TILE(load)(y + r * ldy + t * VN, t == T - 1 ? last : VN) : (V){0};
    for (ptrdiff_t j = 0; j < count; j++) {
        const float *x = panel + (ptrdiff_t)index[j] * ldp;
        V xv[4];
        EACH (t, 0, T)
            xv[t] = *(const V *)(x + t * VN);
        EACH (r, 0, R)
            EACH (t, 0, T)
                acc[r][t] += w[j * L + r] * xv[t];
    }
    TILE(store_rows)(R, T, acc, y, ldy, last, bypass);
}

ALWAYS_INLINE void TILE(shared_groups)(int L, int T, COLUMNS_PARAMETERS)
{
    const int R = L < REGISTER_ROWS ? L : REGISTER_ROWS;
    const int last = (int)(valid - (T - 1) * VN);
    float edge[16 * 4 * VN] __attribute__((aligned(64)));
    for (ptrdiff_t g = g0; g < g1; g++) {
        const int64_t *start = G->start + b * G->groups + g;
        const int64_t first = start[0];
        const ptrdiff_t count = start[1] - first;
        float *tile = y + (ptrdiff_t)G->row[g] * ldy;
        /* The last group may have fewer rows than lanes: it is computed in a full-size copy. */
        const int cut = G->rows[g] < L;
        if (b && count == 0)
            continue;
        if (cut && b)
            copy_rows(edge, T * VN, tile, ldy, G->rows[g], valid);
        for (int r = 0; r < L; r += R)
            TILE(shared_tile)(L, R, T, panel, ldp, G->index + first, G->values + first * L + r, count,
                              cut ? edge + r * T * VN : tile + r * ldy, cut ? T * VN : ldy, last, b > 0,
                              G->bypass && !cut);
        if (cut)
            copy_rows(tile, ldy, edge, T * VN, G->rows[g], valid);
    }
}

/* P rows, each with a list of its own, interleaved so that P * T chains of FMAs hide the latency of one. */
ALWAYS_INLINE void TILE(single_rows)(int P, int T, const lane_groups *G, ptrdiff_t b, ptrdiff_t g, const float *panel,
                                     ptrdiff_t ldp, float *y, ptrdiff_t ldy, int last)
{
    V acc[4][4];
    const uint16_t *index[4];
    const float *w[4];
    ptrdiff_t count[4];
    EACH (p, 0, P) {
        const int64_t *start = G->start + b * G->groups + g + p;
        index[p] = G->index + start[0];
        w[p] = G->values + start[0];
        count[p] = start[1] - start[0];
    }
    ptrdiff_t common = count[0], most = count[0];
    for (int p = 1; p < P; p++) {
        common = count[p] < common ? count[p] : common;
        most = count[p] > most ? count[p] : most;
    }
    if (b && most == 0)
        return;
    /* Groups g .. g + P - 1 are rows that lie below one another. */
    float *tile = y + (ptrdiff_t)G->row[g] * ldy;
    EACH (p, 0, P)
        EACH (t, 0, T)
            acc[p][t] = b ? TILE(load)(tile + p * ldy + t * VN, t == T - 1 ? last : VN) : (V){0};
    for (ptrdiff_t j = 0; j < common; j++)
        EACH (p, 0, P) {
            const float *x = panel + (ptrdiff_t)index[p][j] * ldp;
            const float weight = w[p][j];
            EACH (t, 0, T)
                acc[p][t] += weight * *(const V *)(x + t * VN);
        }
    EACH (p, 0, P)
        for (ptrdiff_t j = common; j < count[p]; j++) {
            const float *x = panel + (ptrdiff_t)index[p][j] * ldp;
            const float weight = w[p][j];
            EACH (t, 0, T)
                acc[p][t] += weight * *(const V *)(x + t * VN);
        }
    TILE(store_rows)(P, T, acc, tile, ldy, last, G->bypass);
}

ALWAYS_INLINE void TILE(single_groups)(int P, int T, COLUMNS_PARAMETERS)
{
    const int last = (int)(valid - (T - 1) * VN);
    ptrdiff_t g = g0;
    for (; g + P <= g1; g += P)
        TILE(single_rows)(P, T, G, b, g, panel, ldp, y, ldy, last);
    for (; g < g1; g++)
        TILE(single_rows)(1, T, G, b, g, panel, ldp, y, ldy, last);
}

ALWAYS_INLINE void TILE(groups)(int L, int T, COLUMNS_PARAMETERS)
{
    if (L == 1)
        TILE(single_groups)(INTERLEAVED(T), T, G, b, g0, g1, panel, ldp, y, ldy, valid);
    else
        TILE(shared_groups)(L, T, G, b, g0, g1, panel, ldp, y, ldy, valid);
}

#if VN == VLEN
#define COMPILED(X) LEVEL_VECTOR_TILES(X) X(1, 4)
#else
#define COMPILED(X) SHORT_VECTOR_TILES(X)
#endif

#define DEFINE(L, T)                                                                                                   \
    static void TILE(tile_##L##_##T)(COLUMNS_PARAMETERS)                                                               \
    {                                                                                                                  \
        TILE(groups)(L, T, G, b, g0, g1, panel, ldp, y, ldy, valid);                                                   \
    }
COMPILED(DEFINE)

static columns_fn TILE(pick)(int lanes, int vectors)
{
#define PICK(L, T)                                                                                                     \
    if (lanes == L && vectors == T)                                                                                    \
        return TILE(tile_##L##_##T);
    COMPILED(PICK)
    return NULL;
}

#undef PICK
#undef DEFINE
#undef COMPILED
#undef V
#undef VN
