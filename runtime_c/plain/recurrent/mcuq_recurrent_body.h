/* mcuq_recurrent_body.h: what the plain kernels of recurrent layers share.
 *
 * Parameters, which the includer defines before:
 *     element: a type, of input and output: int8_t or int16_t
 */
#ifndef MCUQ_RECURRENT_BODY_H
#define MCUQ_RECURRENT_BODY_H

#include <stdint.h>

#include "mcuq_gates.h"
#include "mcuq_recurrent.h"

#define MCUQ_ELEMENT_MAX ((1 << (8 * sizeof(element) - 1)) - 1)

/** The sum of w[i] * x[i]. */
static inline int32_t mcuq_input_sum(const int8_t *w, const element *x, int32_t count)
{
    int32_t acc = 0;
    for (int32_t i = 0; i < count; i++) {
        acc += w[i] * x[i];
    }
    return acc;
}

/** acc + the sum of w[i] * h[i]. */
static inline int32_t mcuq_state_sum(int32_t acc, const int8_t *w, const int16_t *h, int32_t count)
{
    for (; count >= 4; count -= 4) {
        acc += w[0] * h[0];
        acc += w[1] * h[1];
        acc += w[2] * h[2];
        acc += w[3] * h[3];
        w += 4;
        h += 4;
    }
    for (; count > 0; count--) {
        acc += *w++ * *h++;
    }
    return acc;
}

/** What the input gives row `row`, shifted, with the bias. */
static inline int32_t mcuq_row_of_input(const mcuq_recurrent_params *p, const element *x,
                                        int32_t row)
{
    const int32_t sum = mcuq_input_sum(p->weights + row * p->in_len, x, p->in_len);
    return (int32_t)((uint32_t)sum << p->left[row]) + p->bias[row];
}

/** acc + what the state gives row `row`. */
static inline int32_t mcuq_row_of_state(const mcuq_recurrent_params *p, int32_t acc,
                                        const int16_t *h, int32_t row)
{
    return mcuq_state_sum(acc, p->recurrence + row * p->hidden, h, p->hidden);
}

/** The pre-activation of row `row`. */
static inline int32_t mcuq_row(const mcuq_recurrent_params *p, const element *x, const int16_t *h,
                               int32_t row)
{
    const int32_t acc = mcuq_row_of_state(p, mcuq_row_of_input(p, x, row), h, row);
    return mcuq_clamp(acc >> p->right[row], p->z_min, p->z_max);
}

/** The vector of step t, counted as the sequence is read. */
static inline const element *mcuq_step_input(const mcuq_recurrent_params *p, const int8_t *in,
                                             int32_t t)
{
    return (const element *)(const void *)in + (p->in_first + t * p->in_step);
}

/** Writes the values of step t, if they are given. */
static inline void mcuq_step_output(const mcuq_recurrent_params *p, const int16_t *values,
                                    int8_t *out, int32_t t)
{
    element *const to = (element *)(void *)out + (p->out_first + t * p->out_step);
    if (p->out_step == 0 && t != p->steps - 1) {
        return;
    }
    for (int32_t j = 0; j < p->hidden; j++) {
        const int32_t value = (values[j] + p->out_bias) >> p->out_shift;
        to[j] = (element)mcuq_clamp(value, -MCUQ_ELEMENT_MAX - 1, MCUQ_ELEMENT_MAX);
    }
}

static inline void mcuq_copy_state(int16_t *to, const int16_t *from, int32_t count)
{
    for (int32_t j = 0; j < count; j++) {
        to[j] = from[j];
    }
}

#endif
