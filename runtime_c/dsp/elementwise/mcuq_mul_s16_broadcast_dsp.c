#include "mcuq_rows_s16_dsp.h"

void mcuq_mul_s16_broadcast_dsp(const mcuq_mul_s16_broadcast_params *p, const void *a,
                                const void *b, void *out)
{
    const mcuq_spread *const s = &p->spread;
    const int16_t *x = a, *y = b;
    int16_t *to = out;

    for (int32_t row = 0; row < s->rows; row++, to += s->inner) {
        mcuq_dsp_mul_row(x, s->inner_step_a, y, s->inner_step_b, to, s->inner, p->bias, p->shift);
        x += s->row_step_a;
        y += s->row_step_b;
    }
    mcuq_dsp_clamp16(out, s->rows * s->inner, p->out_min, p->out_max);
}
