#include "mcuq_rows_s16_mve.h"

void mcuq_mul_s16_mve(const mcuq_mul_s16_params *p, const void *a, const void *b, void *out)
{
    const mcuq_mve_rows rows = {0, 0, p->out_min, p->out_max, p->bias, -p->shift};
    mcuq_mve_mul_row(&rows, a, 1, b, 1, out, p->count);
}
