/* What follows a convolution in networks with sparse activations, while two rows of all its channels are in L1:
 * k-winners among the channels of each pixel, then max-pooling by 2 x 2. */
#ifndef SPARSEBENCH_CONV_WINNERS_H
#define SPARSEBENCH_CONV_WINNERS_H

#include "k_winners.h"
#include "layers.h"

typedef struct {
    ptrdiff_t channels;
    ptrdiff_t k;
    ptrdiff_t vectors; /* of a channel's two rows and what lies between and behind them */
    ptrdiff_t pitch;   /* from the first row to the second */
    ptrdiff_t pooled_width;
} conv_winners;

/* Floats of the two rows of all channels; pooling reads beyond the last. */
static ptrdiff_t conv_winners_floats(const conv_winners *w) { return (w->channels * w->vectors + 2) * VLEN; }

/* rows[channels, vectors VLEN] -> y, one row of each pooled map, which lie ldy apart. Places that are no pixels have
 * winners too; pooling does not look at them. With NaN any channels may win. */
static void winners_and_pool(const conv_winners *w, float *rows, float *y, ptrdiff_t ldy)
{
    const ptrdiff_t ld = w->vectors * VLEN;
    const pooling pool = {.width = w->pitch, .out_height = 1, .out_width = w->pooled_width};
    for (ptrdiff_t v = 0; v < w->vectors; v++)
        winners_by_network(rows + v * VLEN, rows + v * VLEN, ld, w->channels, w->k);
    for (ptrdiff_t c = 0; c < w->channels; c++)
        pool_pairs(&pool, rows + c * ld, y + c * ldy);
}

#endif
