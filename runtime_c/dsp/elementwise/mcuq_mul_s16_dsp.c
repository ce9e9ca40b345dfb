#include "mcuq_rows_s16_dsp.h"

void mcuq_mul_s16_dsp(const mcuq_mul_s16_params *p, const void *a, const void *b, void *out)
{
    mcuq_dsp_mul_row(a, 1, b, 1, out, p->count, p->bias, p->shift);
    mcuq_dsp_clamp16(out, p->count, p->out_min, p->out_max);
}
