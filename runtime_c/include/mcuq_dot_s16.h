/* mcuq_dot_s16.h: the dot product of a row of int8 weights and one of int16 data, on any core. */
#ifndef MCUQ_DOT_S16_H
#define MCUQ_DOT_S16_H

#include <stdint.h>

/** acc + sum of a[i] * b[i] for i in 0..count-1. */
static inline int32_t mcuq_dot_s16(int32_t acc, const int8_t *a, const int16_t *b, int32_t count)
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
