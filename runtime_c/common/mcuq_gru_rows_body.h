/* mcuq_gru_rows_body.h: the body of gru by rows.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_WORD_STATE: whether read_state makes a copy, in words, and inputs are words, too
 *     rows_job: a type, what run_rows needs
 *     run_rows, read_input, read_state, curve: functions
 */
#include "mcuq_recurrent_steps_body.h"

/** The pre-activations of n at xn, the reset gate acting on finished products hn. */
static void join_after(const mcuq_recurrent_rows_params *p, const int16_t *reset, int16_t *xn,
                       const int16_t *hn)
{
    const int32_t shift = p->candidate_shift, half = mcuq_half(shift);
    const int16_t *const sigmoid = p->sigmoid + 256;
    for (int32_t j = 0; j < p->hidden; j++) {
        const int32_t sum = xn[j] * 32768 + (curve(sigmoid, reset[j]) * hn[j] + half);
        xn[j] = mcuq_sat16(sum >> shift);
    }
}

/** b->more: the state as the reset gate lets it through. */
static void reset_state(const mcuq_recurrent_rows_params *p, const buffers *b, const int16_t *reset)
{
    const int16_t *const sigmoid = p->sigmoid + 256;
    for (int32_t j = 0; j < p->hidden; j++) {
        b->more[j] = (int16_t)((curve(sigmoid, reset[j]) * b->h[j] + (1 << 14)) >> 15);
    }
}

/** The next h from z and from the pre-activations of n. */
static void update(const mcuq_recurrent_rows_params *p, const buffers *b, const int16_t *candidate)
{
    const int32_t down = 15 - p->state_frac, half = mcuq_half(down);
    const int16_t *const sigmoid = p->sigmoid + 256, *const tanh = p->tanh + 256;
    for (int32_t j = 0; j < p->hidden; j++) {
        const int32_t z = curve(sigmoid, b->z[j]);
        const int32_t n = (curve(tanh, candidate[j]) + half) >> down;
        b->next[j] = (int16_t)(((32768 - z) * n + z * b->h[j] + (1 << 14)) >> 15);
    }
}

/** The pre-activations of n at z + `first`. */
static void candidates(const mcuq_recurrent_rows_params *p, const buffers *b, const uint32_t *words,
                       rows_job job, int32_t first)
{
    const int16_t *const reset = b->z + p->hidden;
    const int32_t units = 4 * ((p->hidden + 3) >> 2);
    job.z = b->z + first;
    if (p->variant) {
        const int32_t turns = job.h_turns, base = job.state_base;
        job.h_turns = 0;
        job.state_base = 0;
        job.groups = units >> 2;
        words = run_rows(words, &job);
        job.h_turns = turns;
        job.state_base = base;
        job.x_turns = 0;
        job.base = 0;
        job.z += units;
        (void)run_rows(words, &job);
        join_after(p, reset, b->z + first, b->z + first + units);
        limit_rows(p, b->z + first, p->hidden);
    } else {
        reset_state(p, b, reset);
        read_state(&job, b->more, b->state, p->hidden);
        (void)make_rows(p, words, &job, p->hidden);
    }
}

static inline void run(const mcuq_recurrent_rows_params *p, const int8_t *in, int8_t *out,
                       void *scratch)
{
    const int32_t first = 4 * ((2 * p->hidden + 3) >> 2);
    buffers b = prepare(p, scratch);
    for (int32_t t = 0; t < p->steps; t++) {
        const rows_job job = read_step(p, &b, in, t);
        const uint32_t *const words = make_rows(p, p->rows, &job, 2 * p->hidden);
        candidates(p, &b, words, job, first);
        update(p, &b, b.z + first);
        write_step(p, b.next, out, t);
        swap_states(&b);
    }
}
