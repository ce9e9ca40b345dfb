/* mcuq_resize.h: images of another size, int8, layout [H][W][C].
 * In and out must not overlap. No alignment is asked for. */
#ifndef MCUQ_RESIZE_H
#define MCUQ_RESIZE_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const uint16_t *rows;           /* [out_h] the first of the two rows between which it lies */
    const uint16_t *columns;        /* [out_w] */
    const uint16_t *row_weights;    /* [out_h] that of the next row, 0..2047; the first's: 2048 - */
    const uint16_t *column_weights; /* [out_w] */
    uint16_t in_h, in_w, channels;
    uint16_t out_h, out_w;
} mcuq_resize_linear_params;

/** out = (sum of row weight * column weight * in over the four neighbours + 2^21) >> 22; behind
 *  the last row or column it comes again. */
void mcuq_resize_linear_s8(const mcuq_resize_linear_params *p, const int8_t *in, int8_t *out);

#endif
