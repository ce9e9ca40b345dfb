/* mcuq_max_pool2d_taps_body.h: the taps of a window that may have gaps, and the largest of them.
 *
 * Parameters, which the includer defines before:
 *     element: a type, of the data: int8_t or int16_t
 */
#ifndef MCUQ_MAX_POOL2D_TAPS_BODY_H
#define MCUQ_MAX_POOL2D_TAPS_BODY_H

#include <stdint.h>

#include "mcuq_target.h"

enum { LEAST = -(1 << (8 * sizeof(element) - 1)) };

/** The taps of one window that lie inside the input, and the way from one to the next. */
typedef struct {
    int32_t rows, columns, next_row, next_column;
} taps;

static int32_t larger(int32_t a, int32_t b)
{
    return (a > b) ? a : b;
}

/** The first of start, start + step, ... that is not before the image. */
static int32_t first_inside(int32_t start, int32_t step)
{
    while (start < 0) {
        start += step;
    }
    return start;
}

/** The largest of one channel. */
static element largest(const taps *t, const element *row)
{
    int32_t best = LEAST;
    for (int32_t y = t->rows; y > 0; y--, row += t->next_row) {
        const element *at = row;
        for (int32_t x = t->columns; x > 0; x--, at += t->next_column) {
            best = larger(best, *at);
        }
    }
    return (element)best;
}

#endif
