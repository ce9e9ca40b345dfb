/* mcuq_elementwise_mve.h: element by element operators with Helium (MVE).
 *
 * Formulas, ranges and overlaps are those of mcuq_elementwise.h: these kernels walk forward too,
 * and read a vector of elements before they write it.
 */
#ifndef MCUQ_ELEMENTWISE_MVE_H
#define MCUQ_ELEMENTWISE_MVE_H

#include "mcuq_elementwise.h"

/** As mcuq_add_s8: 8 elements a turn if no sum exceeds 16 bits, else 4. */
void mcuq_add_s8_mve(const mcuq_add_params *p, const int8_t *a, const int8_t *b, int8_t *out);

/** As mcuq_lut_s8, but the table starts with the result for 0, and -128 follows 127. */
void mcuq_lut_s8_mve(const mcuq_lut_params *p, const int8_t *in, int8_t *out);

/** As mcuq_from_u8_s8. */
void mcuq_from_u8_s8_mve(const mcuq_from_u8_params *p, const void *in, int8_t *out);

#endif
