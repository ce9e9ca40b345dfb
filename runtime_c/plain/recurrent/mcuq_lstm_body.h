/* mcuq_lstm_body.h: the body of lstm on any core; see mcuq_recurrent_body.h.
 *
 * Parameters, which the includer defines before:
 *     element: a type, of input and output: int8_t or int16_t
 */
#include "mcuq_recurrent_body.h"

/** The next h of unit j; its cell is updated. */
static int16_t unit(const mcuq_recurrent_params *p, const element *x, const int16_t *h,
                    int16_t *cell, int32_t j)
{
    const int32_t i = mcuq_curve(p->sigmoid, mcuq_row(p, x, h, j));
    const int32_t o = mcuq_curve(p->sigmoid, mcuq_row(p, x, h, j + p->hidden));
    const int32_t f = mcuq_curve(p->sigmoid, mcuq_row(p, x, h, j + 2 * p->hidden));
    const int32_t g = mcuq_curve(p->tanh, mcuq_row(p, x, h, j + 3 * p->hidden));
    const int32_t added = (i * g) >> (15 - p->cell_frac);
    const int32_t shift = 30 - p->state_frac;
    int32_t z;
    cell[j] = mcuq_sat16((f * cell[j] + added + (1 << 14)) >> 15);
    z = mcuq_sat16(cell[j] * (1 << (12 - p->cell_frac)));
    return (int16_t)((o * mcuq_curve(p->tanh, z) + mcuq_half(shift)) >> shift);
}

static inline void run(const mcuq_recurrent_params *p, const int8_t *in, int8_t *out,
                       int16_t *scratch)
{
    int16_t *h = scratch, *next = scratch + p->hidden;
    int16_t *const cell = scratch + 2 * p->hidden;
    mcuq_copy_state(h, p->start, p->hidden);
    mcuq_copy_state(cell, p->start + p->hidden, p->hidden);
    for (int32_t t = 0; t < p->steps; t++) {
        const element *const x = mcuq_step_input(p, in, t);
        int16_t *const before = h;
        for (int32_t j = 0; j < p->hidden; j++) {
            next[j] = unit(p, x, h, cell, j);
        }
        mcuq_step_output(p, p->variant ? cell : next, out, t);
        h = next;
        next = before;
    }
}
