#include "mcuq_rows_s16_mve.h"

void mcuq_add_s16_broadcast_mve(const mcuq_add_s16_broadcast_params *p, const void *a,
                                const void *b, void *out)
{
    const mcuq_spread *const s = &p->spread;
    const int16_t *x = a, *y = b;
    int16_t *to = out;
    const mcuq_mve_rows rows = {p->mul_a, p->mul_b, p->out_min, p->out_max, p->bias, -p->shift};

    for (int32_t row = 0; row < s->rows; row++, to += s->inner) {
        mcuq_mve_add_row(&rows, x, s->inner_step_a, y, s->inner_step_b, to, s->inner);
        x += s->row_step_a;
        y += s->row_step_b;
    }
}
