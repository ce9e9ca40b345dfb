/* mcuq_recurrent_rows.h: what the kernels of recurrent layers have in common that make rows by
 * four.
 *
 * The formulas are those of mcuq_recurrent.h. All rows of a step are made before its gates: lstm
 * 4 * hidden rows; gru 2 * hidden of z and r, then hidden of n, or after: of xn, and hidden of hn;
 * rnn hidden; each of these sections filled up to a multiple of 4. */
#ifndef MCUQ_RECURRENT_ROWS_H
#define MCUQ_RECURRENT_ROWS_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const uint32_t *rows;
    const int16_t *start, *sigmoid, *tanh; /* as in mcuq_recurrent_params */
    int32_t steps, in_len, hidden;
    int32_t in_first, in_step, out_first, out_step;
    int32_t z_min, z_max;
    int32_t out_shift, out_bias;
    int32_t cell_frac, state_frac, candidate_shift, variant;
} mcuq_recurrent_rows_params;

#endif
