/* mcuq_recurrent.h: recurrent layers along a whole sequence: lstm, gru, rnn.
 *
 * in [steps][in_len] and out [steps][hidden] (or [hidden]: the last step's) are int8_t, or of the
 * kernels named s16 int16_t. The state inside has 16 bits. A row is one dot product with a step's
 * input and one with the state, of a gate's pre-activation:
 *     z = clamp((((sum weights * x) << left) + sum recurrence * h + bias) >> right, z_min, z_max)
 * Every step ends with out = sat((value + out_bias) >> out_shift) for the values that are given.
 * in, out and scratch must not overlap; scratch is aligned to 4 bytes. */
#ifndef MCUQ_RECURRENT_H
#define MCUQ_RECURRENT_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const int8_t *weights;    /* [rows][in_len] */
    const int8_t *recurrence; /* [rows][hidden] */
    const int32_t *bias;      /* [rows], with half of 2^right; of gru after: then [hidden] of hn */
    const int8_t *left;       /* [rows] */
    const int8_t *right;      /* as bias */
    const int16_t *start;     /* [hidden] the first state; of lstm: then [hidden] the first cell */
    const int16_t *sigmoid;   /* [513] points of the curves, 1/32 apart */
    const int16_t *tanh;      /* rnn: the one curve, or NULL for relu */
    int32_t steps, in_len, hidden;
    int32_t in_first, in_step;   /* elements: to the first step's vector, from one to the next */
    int32_t out_first, out_step; /* out_step 0: only the last step is given */
    int32_t z_min, z_max;
    int32_t out_shift, out_bias;
    int32_t cell_frac;       /* lstm: of the cell, 0..12 */
    int32_t state_frac;      /* 0..15 */
    int32_t candidate_shift; /* gru after: 3 + the frac of xn and hn */
    int32_t variant;         /* lstm: 1 gives the cell; gru: 1 resets after the products */
} mcuq_recurrent_params;

/** Rows: i, o, f, g, each [hidden].
 *      c = sat16((f * c + ((i * g) >> (15 - cell_frac)) + 2^14) >> 15)
 *      h = (o * tanh(sat16(c << (12 - cell_frac))) + half) >> (30 - state_frac)
 *  scratch: 6 * hidden bytes. */
void mcuq_lstm_s8(const mcuq_recurrent_params *p, const int8_t *in, int8_t *out, void *scratch);
void mcuq_lstm_s16(const mcuq_recurrent_params *p, const int8_t *in, int8_t *out, void *scratch);

/** Rows: z, r, n, each [hidden].
 *      after:  n = tanh(clamp((xn * 2^15 + r * hn + half) >> candidate_shift, z_min, z_max))
 *      before: n = tanh(row of x and of (r * h + 2^14) >> 15)
 *      h = ((32768 - z) * ((n + half) >> (15 - state_frac)) + z * h + 2^14) >> 15
 *  scratch: 6 * hidden bytes. */
void mcuq_gru_s8(const mcuq_recurrent_params *p, const int8_t *in, int8_t *out, void *scratch);
void mcuq_gru_s16(const mcuq_recurrent_params *p, const int8_t *in, int8_t *out, void *scratch);

/** Rows: h, [hidden]: h = (curve(z) + half) >> (15 - state_frac), or z for relu.
 *  scratch: 4 * hidden bytes. */
void mcuq_rnn_s8(const mcuq_recurrent_params *p, const int8_t *in, int8_t *out, void *scratch);
void mcuq_rnn_s16(const mcuq_recurrent_params *p, const int8_t *in, int8_t *out, void *scratch);

#endif
