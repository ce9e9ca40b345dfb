/* mcuq_recurrent_dsp.h: recurrent layers on cores with the DSP extension.
 *
 * The rows are those of mcuq_recurrent_rows.h. Of each four, where turns are eights of inputs or of
 * units:
 *     4 words to start from, [turns of x][2][4] words of weights as in mcuq_dense_dsp.h,
 *     4 bytes left, 4 biases, [turns of h][...][4] words of weights, 4 bytes right.
 * A word of the state's weights holds two in halfwords (wide), or four in bytes: w0 w2 w1 w3. */
#ifndef MCUQ_RECURRENT_DSP_H
#define MCUQ_RECURRENT_DSP_H

#include "mcuq_recurrent_rows.h"

/** scratch: with U = hidden and I = in_len as multiples of 8: 2 * I bytes; 4 * U for two states;
 *  2 * U for the cell or the reset state; 2 bytes for each row. */
void mcuq_lstm_s8_dsp(const mcuq_recurrent_rows_params *p, const int8_t *in, int8_t *out,
                      void *scratch);
void mcuq_lstm_s8_dsp_wide(const mcuq_recurrent_rows_params *p, const int8_t *in, int8_t *out,
                           void *scratch);
void mcuq_gru_s8_dsp(const mcuq_recurrent_rows_params *p, const int8_t *in, int8_t *out,
                     void *scratch);
void mcuq_gru_s8_dsp_wide(const mcuq_recurrent_rows_params *p, const int8_t *in, int8_t *out,
                          void *scratch);
void mcuq_rnn_s8_dsp(const mcuq_recurrent_rows_params *p, const int8_t *in, int8_t *out,
                     void *scratch);
void mcuq_rnn_s8_dsp_wide(const mcuq_recurrent_rows_params *p, const int8_t *in, int8_t *out,
                          void *scratch);

#endif
