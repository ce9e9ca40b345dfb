/* mcuq_recurrent_block.h: recurrent layers on any core, four rows sharing their data.
 *
 * The rows are those of mcuq_recurrent_rows.h. Of each four, where turns are eights of inputs or of
 * units and weights are bytes, 128 more than they are:
 *     [turns of x][8][4] weights, 4 bytes left, 4 biases, [turns of h][8][4] weights, 4 bytes
 *     right. */
#ifndef MCUQ_RECURRENT_BLOCK_H
#define MCUQ_RECURRENT_BLOCK_H

#include "mcuq_recurrent_rows.h"

/** scratch: with U = hidden and I = in_len as multiples of 8: 4 * I bytes; 4 * U for the state in
 *  words and 4 * U for two states; 2 * U for the cell or the reset state; 2 bytes for each row. */
void mcuq_lstm_s8_block(const mcuq_recurrent_rows_params *p, const int8_t *in, int8_t *out,
                        void *scratch);
void mcuq_gru_s8_block(const mcuq_recurrent_rows_params *p, const int8_t *in, int8_t *out,
                       void *scratch);
void mcuq_rnn_s8_block(const mcuq_recurrent_rows_params *p, const int8_t *in, int8_t *out,
                       void *scratch);

#endif
