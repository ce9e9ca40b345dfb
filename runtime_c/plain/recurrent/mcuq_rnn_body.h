/* mcuq_rnn_body.h: the body of rnn on any core; see mcuq_recurrent_body.h.
 *
 * Parameters, which the includer defines before:
 *     element: a type, of input and output: int8_t or int16_t
 */
#include "mcuq_recurrent_body.h"

static inline void run(const mcuq_recurrent_params *p, const int8_t *in, int8_t *out,
                       int16_t *scratch)
{
    const int32_t down = 15 - p->state_frac;
    int16_t *h = scratch, *next = scratch + p->hidden;
    mcuq_copy_state(h, p->start, p->hidden);
    for (int32_t t = 0; t < p->steps; t++) {
        const element *const x = mcuq_step_input(p, in, t);
        int16_t *const before = h;
        for (int32_t j = 0; j < p->hidden; j++) {
            const int32_t z = mcuq_row(p, x, h, j);
            next[j] = (int16_t)(p->tanh ? (mcuq_curve(p->tanh, z) + mcuq_half(down)) >> down : z);
        }
        mcuq_step_output(p, next, out, t);
        h = next;
        next = before;
    }
}
