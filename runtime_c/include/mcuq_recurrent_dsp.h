/* mcuq_recurrent_dsp.h: recurrent layers on cores with the DSP extension.
 *
 * The formulas are those of mcuq_recurrent.h. Rows are made four at a time and all of a step before
 * its gates: lstm 4 * hidden rows; gru 2 * hidden of z and r, then hidden of n, or after: of xn, and
 * hidden of hn; rnn hidden; each section filled up to a multiple of 4. Of each four, where turns are
 * eights of inputs or of units:
 *     4 words to start from, [turns of x][2][4] words of weights as in mcuq_dense_dsp.h,
 *     4 bytes left, 4 biases, [turns of h][...][4] words of weights, 4 bytes right.
 * A word of the state's weights holds two in halfwords (wide), or four in bytes: w0 w2 w1 w3. */
#ifndef MCUQ_RECURRENT_DSP_H
#define MCUQ_RECURRENT_DSP_H

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
} mcuq_recurrent_dsp_params;

/** scratch: with U = hidden and I = in_len as multiples of 8: 2 * I bytes; 4 * U for two states;
 *  2 * U for the cell or the reset state; 2 bytes for each row. */
void mcuq_lstm_s8_dsp(const mcuq_recurrent_dsp_params *p, const int8_t *in, int8_t *out,
                      void *scratch);
void mcuq_lstm_s8_dsp_wide(const mcuq_recurrent_dsp_params *p, const int8_t *in, int8_t *out,
                           void *scratch);
void mcuq_gru_s8_dsp(const mcuq_recurrent_dsp_params *p, const int8_t *in, int8_t *out,
                     void *scratch);
void mcuq_gru_s8_dsp_wide(const mcuq_recurrent_dsp_params *p, const int8_t *in, int8_t *out,
                          void *scratch);
void mcuq_rnn_s8_dsp(const mcuq_recurrent_dsp_params *p, const int8_t *in, int8_t *out,
                     void *scratch);
void mcuq_rnn_s8_dsp_wide(const mcuq_recurrent_dsp_params *p, const int8_t *in, int8_t *out,
                          void *scratch);

#endif
