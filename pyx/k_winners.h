/* k-winners: the k largest of a list of floats, exactly k, ties to the lowest index.
 *
 * Ranks are floats compared as such: -0 equals 0, and NaN ranks as -infinity, so that it wins only where fewer than k
 * others can. Every function finds the k-th largest rank, the threshold; winners are the ranks above it and the first
 * few that equal it. What is output is x itself, whatever the boost made of its rank.
 *
 * global: one threshold for a map x[size]. local: one a pixel, among the channels of x[C, P]; VLEN pixels at a time.
 * 0 <= k <= size or C. `boost` is NULL or the factor of each rank, [size] or [C]. `out` may be x. Scratch is 64-byte
 * aligned, as many floats as the function *_scratch says. */
#ifndef SPARSEBENCH_K_WINNERS_H
#define SPARSEBENCH_K_WINNERS_H

#include <math.h>
#include "simd.h"

/* count + 1 where r >= t. */
ALWAYS_INLINE vi count_reaching(vi count, vf r, vf t)
{
#if VLEN == 16
    const __mmask16 reached = _mm512_cmp_ps_mask((__m512)r, (__m512)t, _CMP_GE_OQ);
    return (vi)_mm512_mask_sub_epi32((__m512i)count, reached, (__m512i)count, _mm512_set1_epi32(-1));
#else
    return count - (vi)(r >= t);
#endif
}

/* A bit for each lane of a comparison's result, lane 0 lowest. */
ALWAYS_INLINE uint64_t lane_bits(vi compared)
{
#if VLEN == 16
    return _mm512_movepi32_mask((__m512i)compared);
#elif VLEN == 8
    return (uint64_t)(unsigned)_mm256_movemask_ps((__m256)compared);
#elif defined(__x86_64__)
    return (uint64_t)(unsigned)_mm_movemask_ps((__m128)compared);
#else
    const vi own = compared & (vi){1, 2, 4, 8};
    return (uint64_t)(uint32_t)(own[0] | own[1] | own[2] | own[3]);
#endif
}

ALWAYS_INLINE vf spread(float value) { return (vf){0} + value; }
ALWAYS_INLINE vi spread_int(int32_t value) { return (vi){0} + value; }
ALWAYS_INLINE vf keep_where(vi mask, vf v) { return (vf)(mask & (vi)v); }
ALWAYS_INLINE vi blend(vi mask, vi a, vi b) { return (mask & a) | (~mask & b); }

/* Integers in the order of floats; -0 comes just below 0, which no search here minds. Its own inverse. */
ALWAYS_INLINE vi order_lanes(vi bits) { return bits ^ (bits >> 31 & INT32_MAX); }

ALWAYS_INLINE int32_t to_key(float value)
{
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits ^ (bits >> 31 & INT32_MAX);
}

ALWAYS_INLINE float from_key(int32_t key)
{
    const int32_t bits = key ^ (key >> 31 & INT32_MAX);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#define ROUND_UP(n, to) (((n) + (to) - 1) / (to) * (to))

/* ---- one map ---- */

static ptrdiff_t global_winners_scratch(ptrdiff_t size) { return ROUND_UP(size, 64); }

typedef struct {
    float low;
    float high;
} rank_range;

/* rank[ROUND_UP(size, 64)], padded with NaN, which reaches no threshold. */
static rank_range rank_map(const float *x, const float *boost, ptrdiff_t size, float *rank)
{
    const vf none = spread(-INFINITY);
    vf low = spread(INFINITY), high = none;
    ptrdiff_t i = 0;
    for (; i + VLEN <= size; i += VLEN) {
        vf r = *(const vf *)(x + i);
        if (boost)
            r *= *(const vf *)(boost + i);
        r = larger(r, none);
        *(vf *)(rank + i) = r;
        low = smaller(low, r);
        high = larger(high, r);
    }
    rank_range range = {low[0], high[0]};
    EACH (lane, 1, VLEN) {
        range.low = low[lane] < range.low ? low[lane] : range.low;
        range.high = high[lane] > range.high ? high[lane] : range.high;
    }
    for (; i < size; i++) {
        const float r = boost ? x[i] * boost[i] : x[i];
        rank[i] = r > -INFINITY ? r : -INFINITY;
        range.low = rank[i] < range.low ? rank[i] : range.low;
        range.high = rank[i] > range.high ? rank[i] : range.high;
    }
    for (; i < ROUND_UP(size, 64); i++)
        rank[i] = NAN;
    return range;
}

static ptrdiff_t count_map(const float *rank, ptrdiff_t padded, float threshold)
{
    const vf t = spread(threshold);
    vi count[4] = {{0}, {0}, {0}, {0}};
    for (ptrdiff_t i = 0; i < padded; i += 4 * VLEN)
        EACH (c, 0, 4)
            count[c] = count_reaching(count[c], *(const vf *)(rank + i + c * VLEN), t);
    count[0] += count[1] + (count[2] + count[3]);
    int32_t total = 0;
    EACH (lane, 0, VLEN)
        total += count[0][lane];
    return total;
}

/* The last `surplus` of the ranks that equal the threshold become NaN. */
static void drop_last_ties(float *rank, ptrdiff_t padded, float threshold, ptrdiff_t surplus)
{
    for (ptrdiff_t i = padded - VLEN; surplus > 0; i -= VLEN) {
        vf *r = (vf *)(rank + i);
        const vi tied = (vi)(*r == spread(threshold));
        const uint64_t bits = lane_bits(tied);
        const int count = __builtin_popcountll(bits);
        if (count <= surplus) {
            *r = (vf)((vi)*r | tied); /* all ones is a NaN */
            surplus -= count;
        } else
            for (int lane = VLEN - 1; surplus > 0; lane--)
                if (bits >> lane & 1) {
                    rank[i + lane] = NAN;
                    surplus--;
                }
    }
}

/* Fills in the ranks, and returns the threshold that exactly k of them reach.
 *
 * Halves, in the order of floats, the interval between a key that at least k ranks reach and one that fewer do: 34
 * passes at most. Guessing the next key from the counts takes more passes, and counting only the ranks that are left in
 * between gains nothing below some ten thousand: a pass over 1,500 is 26 ns with AVX-512. */
static float rank_and_cut(const float *x, const float *boost, ptrdiff_t size, ptrdiff_t k, float *rank)
{
    const rank_range range = rank_map(x, boost, size, rank);
    const ptrdiff_t padded = ROUND_UP(size, 64);
    int64_t lo = to_key(range.low), hi = (int64_t)to_key(range.high) + 1;
    ptrdiff_t reached = size;
    /* The least positive number first and then 0: after a ReLU it is zeros that tie. */
    int64_t key = lo < 1 && 1 < hi ? 1 : (lo + hi) >> 1;
    while (reached > k && hi - lo > 1) {
        const ptrdiff_t count = count_map(rank, padded, from_key((int32_t)key));
        if (count >= k) {
            lo = key;
            reached = count;
        } else
            hi = key;
        key = hi == 1 ? 0 : (lo + hi) >> 1;
    }
    const float threshold = from_key((int32_t)lo);
    drop_last_ties(rank, padded, threshold, reached - k);
    return threshold;
}

/* out[size]: the k winners of x, zero elsewhere. */
static void global_winners(const float *x, const float *boost, ptrdiff_t size, ptrdiff_t k, float *rank, float *out)
{
    if (k == 0) {
        memset(out, 0, (size_t)size * sizeof(float));
        return;
    }
    const float threshold = rank_and_cut(x, boost, size, k, rank);
    ptrdiff_t i = 0;
    for (; i + VLEN <= size; i += VLEN)
        *(vf *)(out + i) = keep_where((vi)(*(const vf *)(rank + i) >= spread(threshold)), *(const vf *)(x + i));
    for (; i < size; i++)
        out[i] = rank[i] >= threshold ? x[i] : 0.0f;
}

/* index[k], ascending, and value[k]: where the winners of x are, and what. */
static void global_winners_list(const float *x, const float *boost, ptrdiff_t size, ptrdiff_t k, float *rank,
                                int32_t *index, float *value)
{
    if (k == 0)
        return;
    const float threshold = rank_and_cut(x, boost, size, k, rank);
    ptrdiff_t n = 0;
#if VLEN == 16
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (ptrdiff_t i = 0; i < size; i += 16) {
        const __mmask16 won = _mm512_cmp_ps_mask(_mm512_load_ps(rank + i), _mm512_set1_ps(threshold), _CMP_GE_OQ);
        const int count = __builtin_popcount(won);
        const __mmask16 part = (__mmask16)MASK(count);
        const __m512 v = _mm512_maskz_loadu_ps(won, x + i);
        /* Compressed in a register: a compressing store is microcode on Zen 4. */
        _mm512_mask_storeu_ps(value + n, part, _mm512_maskz_compress_ps(won, v));
        const __m512i at = _mm512_add_epi32(lane, _mm512_set1_epi32((int)i));
        _mm512_mask_storeu_epi32(index + n, part, _mm512_maskz_compress_epi32(won, at));
        n += count;
    }
#else
    for (ptrdiff_t i = 0; i < size; i += 64) {
        uint64_t won = 0;
        EACH (part, 0, 64 / VLEN)
            won |= lane_bits((vi)(*(const vf *)(rank + i + part * VLEN) >= spread(threshold))) << part * VLEN;
        for (; won; won &= won - 1) {
            const ptrdiff_t at = i + __builtin_ctzll(won);
            index[n] = (int32_t)at;
            value[n++] = x[at];
        }
    }
#endif
}

/* ---- one map a pixel ---- */

/* Channels are ranked in chunks of 8; the winners of VLEN pixels are a bit each, in words of 32 channels. */
#define CHUNK 8

static ptrdiff_t local_winners_scratch(ptrdiff_t C) { return (ROUND_UP(C, CHUNK) + ROUND_UP(C, 64) / 32) * VLEN; }

ALWAYS_INLINE void exchange(vf *s, int i, int j)
{
    const vf a = s[i], b = s[j];
    s[i] = larger(a, b);
    s[j] = smaller(a, b);
}

/* Batcher's odd-even merge sort: 19 exchanges, largest first. */
ALWAYS_INLINE void sort_chunk(vf *s)
{
    static const int pairs[19][2] = {{0, 1}, {2, 3}, {4, 5}, {6, 7}, {0, 2}, {1, 3}, {4, 6}, {5, 7}, {1, 2}, {5, 6},
                                     {0, 4}, {1, 5}, {2, 6}, {3, 7}, {2, 4}, {3, 5}, {1, 2}, {3, 4}, {5, 6}};
    _Pragma("GCC unroll 19") for (int p = 0; p < 19; p++) exchange(s, pairs[p][0], pairs[p][1]);
}

/* best[W], sorted, becomes the W largest of itself and a sorted chunk, sorted: a bitonic merge without its lower half.
 */
ALWAYS_INLINE void merge_chunk(int W, vf *best, const vf *chunk)
{
    EACH (i, 0, CHUNK)
        best[W - CHUNK + i] = larger(best[W - CHUNK + i], chunk[CHUNK - 1 - i]);
#define CLEAN(half)                                                                                                    \
    EACH (i, 0, W)                                                                                                     \
        if (!(i & half))                                                                                               \
            exchange(best, i, i + half);
    if (W == 16) {
        CLEAN(8)
    }
    CLEAN(4)
    CLEAN(2)
    CLEAN(1)
#undef CLEAN
}

/* Where the winners of VLEN pixels end: ranks above the threshold, and the first so many that equal it. */
typedef struct {
    vf threshold;
    vi ties;
} cut;

/* Channels [c, c + CHUNK) of x[C], ld apart, sorted; -infinity beyond the last. */
ALWAYS_INLINE void sorted_chunk(const float *x, ptrdiff_t ld, ptrdiff_t C, ptrdiff_t c, vf *chunk)
{
    if (c + CHUNK <= C)
        EACH (i, 0, CHUNK)
            chunk[i] = *(const vf *)(x + (c + i) * ld);
    else
        EACH (i, 0, CHUNK)
            chunk[i] = c + i < C ? *(const vf *)(x + (c + i) * ld) : spread(-INFINITY);
    sort_chunk(chunk);
}

/* The k-th largest of channels x[C], ld apart, of VLEN pixels; k <= W. Only right where no channel is NaN. */
ALWAYS_INLINE vf kth_by_network(int W, const float *x, ptrdiff_t ld, ptrdiff_t C, ptrdiff_t k)
{
    vf best[16], chunk[CHUNK];
    EACH (i, 0, W)
        best[i] = spread(-INFINITY);
    sorted_chunk(x, ld, C, 0, best);
    for (ptrdiff_t c = CHUNK; c < C; c += CHUNK) {
        sorted_chunk(x, ld, C, c, chunk);
        if (k == CHUNK && W == CHUNK && c + CHUNK >= C) {
            /* The last merge, of which only the least is wanted. */
            EACH (i, 0, CHUNK)
                best[i] = larger(best[i], chunk[CHUNK - 1 - i]);
            return smaller(smaller(smaller(best[0], best[1]), smaller(best[2], best[3])),
                           smaller(smaller(best[4], best[5]), smaller(best[6], best[7])));
        }
        merge_chunk(W, best, chunk);
    }
    float sorted[16 * VLEN] __attribute__((aligned(64)));
    EACH (i, 0, W)
        *(vf *)(sorted + i * VLEN) = best[i];
    return *(const vf *)(sorted + (k - 1) * VLEN);
}

static vf kth_by_network_8(const float *x, ptrdiff_t ld, ptrdiff_t C, ptrdiff_t k)
{
    return kth_by_network(8, x, ld, C, k);
}

static vf kth_by_network_16(const float *x, ptrdiff_t ld, ptrdiff_t C, ptrdiff_t k)
{
    return kth_by_network(16, x, ld, C, k);
}

/* Most winners that networks find. */
#define NETWORK_WINNERS 16

ALWAYS_INLINE vf kth_largest(const float *x, ptrdiff_t ld, ptrdiff_t C, ptrdiff_t k)
{
    return k <= 8 ? kth_by_network_8(x, ld, C, k) : kth_by_network_16(x, ld, C, k);
}

/* The same with the number of ties that win, for ranks, which are never NaN. */
static cut cut_by_network(const float *rank, ptrdiff_t C, ptrdiff_t k)
{
    cut found = {kth_largest(rank, VLEN, C, k), spread_int((int32_t)k)};
    for (ptrdiff_t c = 0; c < C; c++)
        found.ties += (vi)(*(const vf *)(rank + c * VLEN) > found.threshold);
    return found;
}

/* One channel of `keep_reaching`; returns count + 1 where x was kept. */
ALWAYS_INLINE vi keep_channel(const float *x, float *out, vf threshold, vi count)
{
    const vf v = *(const vf *)x;
#if VLEN == 16
    const __mmask16 won = _mm512_cmp_ps_mask((__m512)v, (__m512)threshold, _CMP_GE_OQ);
    *(vf *)out = (vf)_mm512_maskz_mov_ps(won, (__m512)v);
#else
    *(vf *)out = keep_where((vi)(v >= threshold), v);
#endif
    return count_reaching(count, v, threshold);
}

/* out[C, ld] = x[C, ld] where that reaches the threshold, zero elsewhere; returns how many do. out may be x. */
ALWAYS_INLINE vi keep_reaching(const float *x, float *out, ptrdiff_t ld, ptrdiff_t C, vf threshold)
{
    vi count[4] = {{0}, {0}, {0}, {0}};
    ptrdiff_t c = 0;
    for (; c + 4 <= C; c += 4)
        EACH (i, 0, 4)
            count[i] = keep_channel(x + (c + i) * ld, out + (c + i) * ld, threshold, count[i]);
    for (; c < C; c++)
        count[0] = keep_channel(x + c * ld, out + c * ld, threshold, count[0]);
    return (count[0] + count[1]) + (count[2] + count[3]);
}

/* Sets the last `surplus` of the values that equal the threshold to zero. Where that is zero itself, so it is done. */
static void drop_surplus(float *out, ptrdiff_t ld, ptrdiff_t C, vf threshold, vi surplus)
{
    for (ptrdiff_t c = C - 1; c >= 0 && lane_bits((vi)(surplus > 0)); c--) {
        vi *at = (vi *)(out + c * ld);
        const vi tied = (vi)(*(const vf *)at == threshold) & (vi)(surplus > 0);
        *at &= ~tied;
        surplus += tied;
    }
}

static int any_nan(const float *x, ptrdiff_t ld, ptrdiff_t C)
{
    vi found = {0};
    for (ptrdiff_t c = 0; c < C; c++) {
        const vf v = *(const vf *)(x + c * ld);
        found |= (vi)(v != v);
    }
    return lane_bits(found) != 0;
}

/* The k winners among the channels x[C, ld] of VLEN pixels, zero elsewhere; 0 < k <= NETWORK_WINNERS, k <= C. out may
 * be x. Returns whether there may be NaN, with which they are not the right ones.
 *
 * Where just k values reach the threshold they are the winners, however it was found. */
ALWAYS_INLINE int winners_by_network(const float *x, float *out, ptrdiff_t ld, ptrdiff_t C, ptrdiff_t k)
{
    const vf threshold = kth_largest(x, ld, C, k);
    const vi surplus = keep_reaching(x, out, ld, C, threshold) - (int32_t)k;
    if (!lane_bits((vi)(surplus != 0)))
        return 0;
    drop_surplus(out, ld, C, threshold, surplus);
    return 1;
}

static vi count_channels(const float *rank, ptrdiff_t C, vf t)
{
    vi count[2] = {{0}, {0}};
    for (ptrdiff_t c = 0; c < ROUND_UP(C, CHUNK); c += 2)
        EACH (i, 0, 2)
            count[i] = count_reaching(count[i], *(const vf *)(rank + (c + i) * VLEN), t);
    return count[0] + count[1];
}

/* Any k: halves the interval of the threshold in the order of floats, all pixels at a time, in 32 passes at most. */
static cut cut_by_halving(const float *rank, ptrdiff_t C, ptrdiff_t k)
{
    const vi enough = spread_int((int32_t)k);
    vf low = *(const vf *)rank, high = low;
    for (ptrdiff_t c = 1; c < C; c++) {
        low = smaller(low, *(const vf *)(rank + c * VLEN));
        high = larger(high, *(const vf *)(rank + c * VLEN));
    }
    vi lo = order_lanes((vi)low), hi = order_lanes((vi)high) + 1;
    vi reach_lo = spread_int((int32_t)C), reach_hi = {0};
    while (lane_bits((vi)(reach_lo > enough) & (vi)(lo + 1 < hi))) {
        const vi key = (lo & hi) + ((lo ^ hi) >> 1);
        const vi reach = count_channels(rank, C, (vf)order_lanes(key));
        const vi up = (vi)(reach >= enough);
        lo = blend(up, key, lo);
        reach_lo = blend(up, reach, reach_lo);
        hi = blend(up, hi, key);
        reach_hi = blend(up, reach_hi, reach);
    }
    return (cut){(vf)order_lanes(lo), enough - reach_hi};
}

/* rank[ROUND_UP(C, CHUNK), VLEN] of `width` pixels. */
static void rank_pixels(const float *x, const float *boost, ptrdiff_t C, ptrdiff_t P, ptrdiff_t width, float *rank)
{
    const vf none = spread(-INFINITY);
    for (ptrdiff_t c = 0; c < C; c++) {
        vf r = {0};
        if (width == VLEN)
            r = *(const vf *)(x + c * P);
        else
            memcpy(&r, x + c * P, (size_t)width * sizeof(float));
        if (boost)
            r *= boost[c];
        *(vf *)(rank + c * VLEN) = larger(r, none);
    }
    for (ptrdiff_t c = C; c < ROUND_UP(C, CHUNK); c++)
        *(vf *)(rank + c * VLEN) = none;
}

/* A whole vector of pixels wherever P has one: the last vector reaches back to pixels that are done, and `fresh` says
 * from which lane on they are not. */
typedef struct {
    ptrdiff_t first;
    ptrdiff_t width;
    ptrdiff_t fresh;
} pixels;

ALWAYS_INLINE pixels pixels_from(ptrdiff_t p, ptrdiff_t P)
{
    if (p + VLEN <= P)
        return (pixels){p, VLEN, 0};
    if (P < VLEN)
        return (pixels){0, P, 0};
    return (pixels){P - VLEN, VLEN, p - (P - VLEN)};
}

static cut rank_and_cut_pixels(const float *x, const float *boost, ptrdiff_t C, ptrdiff_t P, ptrdiff_t k,
                               ptrdiff_t width, float *rank)
{
    rank_pixels(x, boost, C, P, width, rank);
    return k <= NETWORK_WINNERS ? cut_by_network(rank, C, k) : cut_by_halving(rank, C, k);
}

/* The winners among ranks r of one channel, after `seen` ties in the channels before it. */
ALWAYS_INLINE vi winners(vf r, const cut *at, vi *seen)
{
    const vi tied = (vi)(r == at->threshold);
    const vi won = (vi)(r > at->threshold) | (tied & (vi)(*seen < at->ties));
    *seen -= tied;
    return won;
}

/* out[C, P]: of each pixel the k winners among its channels, zero elsewhere. */
static void local_winners(const float *x, const float *boost, ptrdiff_t C, ptrdiff_t P, ptrdiff_t k, float *rank,
                          float *out)
{
    if (k == 0) {
        memset(out, 0, (size_t)(C * P) * sizeof(float));
        return;
    }
    for (ptrdiff_t p = 0; p < P; p += VLEN) {
        const pixels at = pixels_from(p, P);
        const int plain = !boost && k <= NETWORK_WINNERS && at.width == VLEN && !at.fresh;
        if (plain && !(x == out && any_nan(x + p, P, C)) &&
            !(winners_by_network(x + p, out + p, P, C, k) && any_nan(x + p, P, C)))
            continue;
        const cut found = rank_and_cut_pixels(x + at.first, boost, C, P, k, at.width, rank);
        vi done, seen = {0};
        EACH (lane, 0, VLEN)
            done[lane] = lane < at.fresh ? -1 : 0;
        for (ptrdiff_t c = 0; c < C; c++) {
            const vi won = winners(*(const vf *)(rank + c * VLEN), &found, &seen);
            const float *from = x + c * P + at.first;
            float *to = out + c * P + at.first;
            if (at.width < VLEN) {
                for (ptrdiff_t lane = 0; lane < at.width; lane++)
                    to[lane] = won[lane] ? from[lane] : 0.0f;
            } else if (at.fresh)
                *(vi *)to = blend(done, *(const vi *)to, won & *(const vi *)from);
            else
                *(vf *)to = keep_where(won, *(const vf *)from);
        }
    }
}

/* Sets bit c % 32 of word[c / 32, VLEN] where channel c wins. */
static void mark_winners(const float *rank, ptrdiff_t C, const cut *found, uint32_t *word)
{
    vi seen = {0};
    for (ptrdiff_t c = 0; c < ROUND_UP(C, 64); c += 32) {
        vi bits = {0};
        for (ptrdiff_t i = c; i < c + 32 && i < C; i++)
            bits |= winners(*(const vf *)(rank + i * VLEN), found, &seen) & (int32_t)(1u << (i - c));
        *(vi *)(word + c / 32 * VLEN) = bits;
    }
}

/* channel[P, k], ascending for each pixel, and value[P, k]. */
#define DEFINE_LOCAL_WINNERS_LIST(BITS)                                                                                \
    static void local_winners_list_##BITS(const float *x, const float *boost, ptrdiff_t C, ptrdiff_t P, ptrdiff_t k,   \
                                          float *rank, uint##BITS##_t *channel, float *value)                          \
    {                                                                                                                  \
        uint32_t *word = (uint32_t *)(rank + ROUND_UP(C, CHUNK) * VLEN);                                               \
        for (ptrdiff_t p = 0; p < P && k > 0; p += VLEN) {                                                             \
            const pixels at = pixels_from(p, P);                                                                       \
            const cut found = rank_and_cut_pixels(x + at.first, boost, C, P, k, at.width, rank);                       \
            mark_winners(rank, C, &found, word);                                                                       \
            for (ptrdiff_t lane = at.fresh; lane < at.width; lane++) {                                                 \
                const float *from = x + at.first + lane;                                                               \
                ptrdiff_t n = (at.first + lane) * k;                                                                   \
                for (ptrdiff_t c = 0; c < C; c += 64) {                                                                \
                    const uint32_t *own = word + c / 32 * VLEN + lane;                                                 \
                    for (uint64_t bits = own[0] | (uint64_t)own[VLEN] << 32; bits; bits &= bits - 1) {                 \
                        const ptrdiff_t winner = c + __builtin_ctzll(bits);                                            \
                        channel[n] = (uint##BITS##_t)winner;                                                           \
                        value[n++] = from[winner * P];                                                                 \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }
DEFINE_LOCAL_WINNERS_LIST(8)
DEFINE_LOCAL_WINNERS_LIST(16)

#endif
