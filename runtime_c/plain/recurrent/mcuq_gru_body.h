/* mcuq_gru_body.h: the body of gru on any core; see mcuq_recurrent_body.h.
 *
 * Parameters, which the includer defines before:
 *     element: a type, of input and output: int8_t or int16_t
 */
#include "mcuq_recurrent_body.h"

/** The row of n of unit j, the reset gate acting on finished products. */
static int32_t candidate_after(const mcuq_recurrent_params *p, const element *x, const int16_t *h,
                               int32_t j)
{
    const int32_t row = 2 * p->hidden + j, last = 3 * p->hidden + j;
    const int32_t reset = mcuq_curve(p->sigmoid, mcuq_row(p, x, h, p->hidden + j));
    const int32_t xn = mcuq_sat16(mcuq_row_of_input(p, x, row) >> p->right[row]);
    const int32_t hn = mcuq_sat16(mcuq_row_of_state(p, p->bias[last], h, row) >> p->right[last]);
    const int32_t sum = xn * 32768 + (reset * hn + mcuq_half(p->candidate_shift));
    return mcuq_clamp(sum >> p->candidate_shift, p->z_min, p->z_max);
}

/** kept = r * h for all units. */
static void reset_all(const mcuq_recurrent_params *p, const element *x, const int16_t *h,
                      int16_t *kept)
{
    for (int32_t j = 0; j < p->hidden; j++) {
        const int32_t reset = mcuq_curve(p->sigmoid, mcuq_row(p, x, h, p->hidden + j));
        kept[j] = (int16_t)((reset * h[j] + (1 << 14)) >> 15);
    }
}

/** The next h of unit j, whose candidate has the pre-activation `row`. */
static int16_t unit(const mcuq_recurrent_params *p, const element *x, const int16_t *h, int32_t row,
                    int32_t j)
{
    const int32_t down = 15 - p->state_frac;
    const int32_t z = mcuq_curve(p->sigmoid, mcuq_row(p, x, h, j));
    const int32_t n = (mcuq_curve(p->tanh, row) + mcuq_half(down)) >> down;
    return (int16_t)(((32768 - z) * n + z * h[j] + (1 << 14)) >> 15);
}

static inline void run(const mcuq_recurrent_params *p, const int8_t *in, int8_t *out,
                       int16_t *scratch)
{
    int16_t *h = scratch, *next = scratch + p->hidden;
    int16_t *const kept = scratch + 2 * p->hidden;
    mcuq_copy_state(h, p->start, p->hidden);
    for (int32_t t = 0; t < p->steps; t++) {
        const element *const x = mcuq_step_input(p, in, t);
        int16_t *const before = h;
        if (!p->variant) {
            reset_all(p, x, h, kept);
        }
        for (int32_t j = 0; j < p->hidden; j++) {
            const int32_t n =
                p->variant ? candidate_after(p, x, h, j) : mcuq_row(p, x, kept, 2 * p->hidden + j);
            next[j] = unit(p, x, h, n, j);
        }
        mcuq_step_output(p, next, out, t);
        h = next;
        next = before;
    }
}
