/* mcuq_coded_body.h: weights of few distinct values, kept as codes of MCUQ_CODED_BITS (4 or 2)
 * and a table of the values, decoded to int8. The first code of a byte lies in its lowest bits; a
 * table of the two values of every pair of codes is made in scratch once a call.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_CODED_BITS: 4 or 2
 */
#ifndef MCUQ_CODED_BODY_H
#define MCUQ_CODED_BODY_H

#include <stdint.h>

#include "mcuq_target.h"

enum { MCUQ_CODED_PAIRS = 1 << (2 * MCUQ_CODED_BITS) };

/** Makes the table from the 2^MCUQ_CODED_BITS values; returns what lies behind it. */
static inline uint32_t *mcuq_coded_pairs(const int8_t *values, uint16_t *table)
{
    const int32_t count = 1 << MCUQ_CODED_BITS;
    for (int32_t high = 0; high < count; high++) {
        const uint32_t upper = (uint32_t)(uint8_t)values[high] << 8;
        for (int32_t low = 0; low < count; low++) {
            *table++ = (uint16_t)(upper | (uint8_t)values[low]);
        }
    }
    return (uint32_t *)(void *)table;
}

/** Four int8 from the codes at `codes`. */
static inline uint32_t mcuq_coded_four(const uint8_t *codes, const uint16_t *table)
{
#if MCUQ_CODED_BITS == 4
    return table[codes[0]] | ((uint32_t)table[codes[1]] << 16);
#else
    return table[codes[0] & 15U] | ((uint32_t)table[codes[0] >> 4] << 16);
#endif
}

/** `words` times four int8; returns the codes behind. 2 instructions a weight on Armv7-M. */
static inline const uint8_t *mcuq_coded_decode(uint32_t *to, const uint8_t *codes, int32_t words,
                                               const uint16_t *table)
{
    const int32_t step = MCUQ_CODED_BITS / 2;
    for (int32_t left = words >> 1; left > 0; left--, codes += 2 * step, to += 2) {
        const uint32_t first = mcuq_coded_four(codes, table);
        to[1] = mcuq_coded_four(codes + step, table);
        to[0] = first;
    }
    if (words & 1) { /* not words > 0: gcc 12.2 drops that at -Os on Cortex-M55 */
        *to = mcuq_coded_four(codes, table);
        codes += step;
    }
    return codes;
}

#endif
