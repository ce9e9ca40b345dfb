/* mcuq_rnn_rows_body.h: the body of rnn by rows.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_WORD_STATE: whether read_state makes a copy, in words, and inputs are words, too
 *     rows_job: a type, what run_rows needs
 *     run_rows, read_input, read_state, curve: functions
 */
#include "mcuq_recurrent_steps_body.h"

static inline void run(const mcuq_recurrent_rows_params *p, const int8_t *in, int8_t *out,
                       void *scratch)
{
    const int32_t down = 15 - p->state_frac, half = mcuq_half(down);
    buffers b = prepare(p, scratch);
    for (int32_t t = 0; t < p->steps; t++) {
        const rows_job job = read_step(p, &b, in, t);
        (void)make_rows(p, p->rows, &job, p->hidden);
        for (int32_t j = 0; j < p->hidden; j++) {
            b.next[j] = (int16_t)(p->tanh ? (curve(p->tanh + 256, b.z[j]) + half) >> down : b.z[j]);
        }
        write_step(p, b.next, out, t);
        swap_states(&b);
    }
}
