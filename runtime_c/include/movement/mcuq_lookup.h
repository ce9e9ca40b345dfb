/* mcuq_lookup.h: rows of a table by index, int8. No alignment is asked for. */
#ifndef MCUQ_LOOKUP_H
#define MCUQ_LOOKUP_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const int8_t *table; /* [rows][width] */
    int32_t rows, width;
    int32_t count; /* indices */
    uint8_t bytes; /* of an index: 2 or 4 */
} mcuq_lookup_params;

/** out[i] = table[min(max(in[i], 0), rows - 1)]; in: int16_t or int32_t [count], out:
 *  [count][width], not aliased. */
void mcuq_lookup_s8(const mcuq_lookup_params *p, const void *in, int8_t *out);

#endif
