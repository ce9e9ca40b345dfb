/* mcuq_recurrent_mve.h: recurrent layers with Helium (MVE).
 *
 * The formulas are those of mcuq_recurrent.h. All rows of a step are made before its gates, in
 * sections as in mcuq_recurrent_dsp.h, each filled up to a multiple of 8 rows; steps are sixteens
 * of inputs or of units. */
#ifndef MCUQ_RECURRENT_MVE_H
#define MCUQ_RECURRENT_MVE_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const int8_t *weights;     /* [block of 8 rows][step][8][16], of sections with inputs */
    const int8_t *recurrence;  /* [block of 4 rows][step][4][16], of sections with the state */
    const int32_t *bias;       /* of all rows: with 128 times the sum of a row's recurrence */
    const int8_t *left;        /* of all rows */
    const int8_t *minus_right; /* of all rows */
    const int16_t *start, *sigmoid, *tanh; /* as in mcuq_recurrent_params */
    int32_t steps, in_len, hidden;
    int32_t in_first, in_step, out_first, out_step;
    int32_t z_min, z_max;
    int32_t out_shift, out_bias;
    int32_t cell_frac, state_frac, candidate_shift, variant;
} mcuq_recurrent_mve_params;

/** scratch: 768 bytes; I bytes and 6 * U, with I = in_len and U = hidden as multiples of 16; 2
 * bytes for each row and 16 more. */
void mcuq_lstm_s8_mve(const mcuq_recurrent_mve_params *p, const int8_t *in, int8_t *out,
                      void *scratch);
void mcuq_gru_s8_mve(const mcuq_recurrent_mve_params *p, const int8_t *in, int8_t *out,
                     void *scratch);

#endif
