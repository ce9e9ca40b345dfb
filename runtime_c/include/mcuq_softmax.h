/* mcuq_softmax.h: softmax and argmax over the last axis, int8. No alignment is asked for. */
#ifndef MCUQ_SOFTMAX_H
#define MCUQ_SOFTMAX_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const uint16_t *table; /* [256], 32767 * exp(-d * 2^-frac) for d = 0..255 */
    int32_t rows, length;  /* length <= 65535 */
} mcuq_softmax_params;

typedef struct {
    const uint16_t *table;
    int32_t rows, length;
    const int8_t *mask; /* [mask_rows][length], 1 where a value counts, at least one of a row */
    int32_t mask_rows;  /* the mask begins again behind so many rows */
} mcuq_softmax_masked_params;

typedef struct {
    int32_t rows, length;
} mcuq_argmax_params;

/** e[i] = table[max(in) - in[i]], S = sum of e;
 *  out[i] = min(127, (256 * e[i] + S / 2) / S - 128), which is frac 8 and zero -128.
 *  in, out: [rows][length]; out may lie at in, or anywhere before it. */
void mcuq_softmax_s8(const mcuq_softmax_params *p, const int8_t *in, int8_t *out);

/** The same over the values that count; the others become -128, a share of 0. */
void mcuq_softmax_masked_s8(const mcuq_softmax_masked_params *p, const int8_t *in, int8_t *out);

/** The index of the first largest value of each row; in: [rows][length], out: int32_t [rows],
 *  not aliased. */
void mcuq_argmax_s8(const mcuq_argmax_params *p, const int8_t *in, void *out);

#endif
