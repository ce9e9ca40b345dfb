/* mcuq_coded_dsp_body.h: weights of few distinct values for cores with the DSP extension. Codes
 * of MCUQ_CODED_BITS (4 or 2) lie in pairs, the first one lowest; a table in scratch holds, for
 * every pair of codes, the two values as int16 in a word, the first one low.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_CODED_BITS: 4 or 2
 */
#ifndef MCUQ_CODED_DSP_BODY_H
#define MCUQ_CODED_DSP_BODY_H

#include "mcuq_dsp.h"

/** Words of the table. */
#define MCUQ_CODED_PAIRS (1 << (2 * MCUQ_CODED_BITS))

/** Makes the table from the 2^MCUQ_CODED_BITS values; returns what lies behind it. */
static inline int32_t *mcuq_coded_pairs(const int8_t *values, uint32_t *table)
{
    const int32_t count = 1 << MCUQ_CODED_BITS;
    for (int32_t high = 0; high < count; high++) {
        for (int32_t low = 0; low < count; low++) {
            *table++ = mcuq_dsp_low((uint32_t)values[low], (uint32_t)values[high]);
        }
    }
    return (int32_t *)table;
}

#if MCUQ_CODED_BITS == 4
#define MCUQ_CODED_TABLE_BYTES "1024"
#else
#define MCUQ_CODED_TABLE_BYTES "64"
#endif
/** Assembly: the table's place, which ends `offset` bytes before `from`. */
#define MCUQ_CODED_TABLE(to, from, offset)                                                         \
    " sub " to ", " from ", #(" MCUQ_CODED_TABLE_BYTES " + " offset ")\n"
/** Assembly: the values of the pair of codes in `pair`. */
#define MCUQ_CODED_LOOKUP(pair, table) " ldr " pair ", [" table ", " pair ", lsl #2]\n"

/** Value `half` (0 or 1) of a pair of codes; the table ends at `end`. */
static inline int32_t mcuq_coded_of_pair(const int32_t *codes, int32_t pair, int32_t half,
                                         const int32_t *end)
{
    const uint8_t *const bytes = (const uint8_t *)(const void *)codes;
    const int32_t place = 2 * MCUQ_CODED_BITS * pair;
    const int32_t found = bytes[place >> 3] >> (place & 7) & (MCUQ_CODED_PAIRS - 1);
    return (int16_t)((uint32_t)(end - MCUQ_CODED_PAIRS)[found] >> (16 * half) & 0xffffu);
}

#endif
