/* mcuq_lstm_rows_body.h: the body of lstm by rows.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_WORD_STATE: whether read_state makes a copy, in words, and inputs are words, too
 *     rows_job: a type, what run_rows needs
 *     run_rows, read_input, read_state, curve: functions
 */
#include "mcuq_recurrent_steps_body.h"

/** The gates of one step: the next h and the cells from z. */
static void update(const mcuq_recurrent_rows_params *p, const buffers *b)
{
    const int32_t hidden = p->hidden, down = 15 - p->cell_frac, up = 12 - p->cell_frac;
    const int32_t shift = 30 - p->state_frac, half = mcuq_half(shift);
    const int16_t *const sigmoid = p->sigmoid + 256, *const tanh = p->tanh + 256;
    const int16_t *z = b->z;
    for (int32_t j = 0; j < hidden; j++, z++) {
        const int32_t added = (curve(sigmoid, z[0]) * curve(tanh, z[3 * hidden])) >> down;
        const int32_t kept = curve(sigmoid, z[2 * hidden]) * b->more[j];
        const int32_t cell = mcuq_sat16((kept + added + (1 << 14)) >> 15);
        const int32_t seen = curve(tanh, mcuq_sat16(cell * (1 << up)));
        b->more[j] = (int16_t)cell;
        b->next[j] = (int16_t)((curve(sigmoid, z[hidden]) * seen + half) >> shift);
    }
}

static inline void run(const mcuq_recurrent_rows_params *p, const int8_t *in, int8_t *out,
                       void *scratch)
{
    buffers b = prepare(p, scratch);
    for (int32_t j = 0; j < p->hidden; j++) {
        b.more[j] = p->start[p->hidden + j];
    }
    for (int32_t t = 0; t < p->steps; t++) {
        const rows_job job = read_step(p, &b, in, t);
        (void)make_rows(p, p->rows, &job, 4 * p->hidden);
        update(p, &b);
        write_step(p, p->variant ? b.more : b.next, out, t);
        swap_states(&b);
    }
}
