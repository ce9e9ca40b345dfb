/* mcuq_band.h: the input rows that a band of output rows reads, with pads, for the depthwise
 * kernels in blocks. A band's rows are at most `lines`; the next band keeps those it shares.
 */
#ifndef MCUQ_BAND_H
#define MCUQ_BAND_H

#include <string.h>

#include "mcuq_depthwise_conv2d_block.h"

/** Fills row[0..wide * in_c) with padded input row y, which may lie outside the image. */
static inline void mcuq_band_row(const mcuq_depthwise_conv2d_block_params *p, const int8_t *in,
                                 int32_t y, int8_t *row)
{
    const uint32_t bytes = (uint32_t)(p->wide * p->in_c);
    if (y < 0 || y >= p->in_h) {
        memset(row, p->pad_value, bytes);
        return;
    }
    const uint32_t left = (uint32_t)(p->pad_left * p->in_c);
    uint32_t middle = (uint32_t)(p->in_w * p->in_c);
    if (left >= bytes) {
        memset(row, p->pad_value, bytes);
        return;
    }
    middle = (middle < bytes - left) ? middle : bytes - left;
    memset(row, p->pad_value, left);
    memcpy(row + left, in + y * p->in_w * p->in_c, middle);
    memset(row + left + middle, p->pad_value, bytes - left - middle);
}

/** Brings the rows for output rows first, first + 1, ... into `rows`; those that the band before
 *  has read already (none for first = 0) are moved to their new place. */
static inline void mcuq_band_fill(const mcuq_depthwise_conv2d_block_params *p, const int8_t *in,
                                  int32_t first, int8_t *rows)
{
    const int32_t pitch = p->wide * p->in_c;
    const int32_t moved = p->band * p->stride_h; /* input rows from one band to the next */
    int32_t kept = (first == 0) ? 0 : p->lines - moved;
    kept = (kept < 0) ? 0 : kept;
    memmove(rows, rows + moved * pitch, (uint32_t)(kept * pitch));
    for (int32_t i = kept; i < p->lines; i++) {
        mcuq_band_row(p, in, first * p->stride_h - p->pad_top + i, rows + i * pitch);
    }
}

#endif
