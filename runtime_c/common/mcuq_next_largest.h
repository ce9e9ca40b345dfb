/* mcuq_next_largest.h: the values of a row in falling order, without any memory. */
#ifndef MCUQ_NEXT_LARGEST_H
#define MCUQ_NEXT_LARGEST_H

#include <stdint.h>

/* The place of the value that comes after the one at before (-1: of the first): the largest of
 * those that are smaller, or equal and behind it; of equal ones the first. There must be one. */
static inline int32_t mcuq_next_largest(const int8_t *values, int32_t length, int32_t before)
{
    const int32_t limit = (before < 0) ? 128 : values[before];
    int32_t best = -1, top = -129;

    for (int32_t i = 0; i < length; i++) {
        const int32_t value = values[i];
        if (value > top && (value < limit || (value == limit && i > before))) {
            top = value;
            best = i;
        }
    }
    return best;
}

#endif
