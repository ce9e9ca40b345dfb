/* mcuq_top.h: the largest values of the last axis, int8. Of equal values the first comes first.
 *
 * In and out must not overlap. No alignment is asked for.
 */
#ifndef MCUQ_TOP_H
#define MCUQ_TOP_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    int32_t rows, length;
    int32_t count; /* <= length */
} mcuq_top_params;

typedef struct {
    int32_t rows, length;
    int8_t low, high; /* 0 and 1 */
} mcuq_hardmax_params;

/** The count largest values of each row, falling; in: [rows][length], out: [rows][count]. */
void mcuq_top_values_s8(const mcuq_top_params *p, const int8_t *in, int8_t *out);

/** Where they lie; out: int32_t [rows][count]. */
void mcuq_top_indices_s8(const mcuq_top_params *p, const int8_t *in, void *out);

/** high at the first largest value of each row, low elsewhere; in, out: [rows][length]. */
void mcuq_hardmax_s8(const mcuq_hardmax_params *p, const int8_t *in, int8_t *out);

#endif
