/* mcuq_dot_body.h: the dot product of a row of int8 weights and one of data, on any core.
 *
 * Parameters, which the includer defines before:
 *     element: a type, of the data: int8_t or int16_t
 */
#ifndef MCUQ_DOT_BODY_H
#define MCUQ_DOT_BODY_H

#include <stdint.h>

#include "mcuq_target.h"

/** acc + sum of a[i] * b[i] for i in 0..count-1. */
static inline int32_t mcuq_dot(int32_t acc, const int8_t *a, const element *b, int32_t count)
{
    for (; count >= 4; count -= 4) {
        acc += a[0] * b[0];
        acc += a[1] * b[1];
        acc += a[2] * b[2];
        acc += a[3] * b[3];
        a += 4;
        b += 4;
    }
    for (; count > 0; count--) {
        acc += *a++ * *b++;
    }
    return acc;
}

#endif
