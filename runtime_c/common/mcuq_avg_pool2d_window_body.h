/* mcuq_avg_pool2d_window_body.h: the sum and the mean of the taps of a window.
 *
 * Parameters, which the includer defines before:
 *     element: a type, of the data: int8_t or int16_t
 */
#ifndef MCUQ_AVG_POOL2D_WINDOW_BODY_H
#define MCUQ_AVG_POOL2D_WINDOW_BODY_H

#include "mcuq_requant.h"

/** The taps of one window that lie inside the input, and what turns their sum into the mean. */
typedef struct {
    int32_t rows, columns, next_row, next_column;
    int32_t twice; /* 2 * 2^left */
    int32_t bias;  /* den - taps inside * zero_x * twice */
    int32_t twice_den;
    int32_t zero, low, high;
} window;

/** The output for a sum: zero + floor((sum * twice + bias) / twice_den), limited. */
static element mean(const window *w, int32_t sum)
{
    const int32_t numerator = sum * w->twice + w->bias;
    const int32_t quotient = numerator / w->twice_den;
    const int32_t floored = quotient - (numerator - quotient * w->twice_den < 0);
    return (element)mcuq_clamp(w->zero + floored, w->low, w->high);
}

/** The sum of one channel. */
static int32_t sum_of_one(const window *w, const element *row)
{
    int32_t sum = 0;
    for (int32_t y = w->rows; y > 0; y--, row += w->next_row) {
        const element *at = row;
        for (int32_t x = w->columns; x > 0; x--, at += w->next_column) {
            sum += *at;
        }
    }
    return sum;
}

#endif
