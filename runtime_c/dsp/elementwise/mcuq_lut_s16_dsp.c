#include "mcuq_int16_dsp.h"

/* 9 instructions a value. */
void mcuq_lut_s16_dsp(const mcuq_lut_s16_params *p, const void *in, void *out)
{
    const int16_t *const middle = p->table + 256;
    const int16_t *x = in, *const fours = x + (p->count & ~3), *const end = x + p->count;
    int16_t *to = out;

    for (; x != fours; x += 4, to += 4) {
        to[0] = (int16_t)mcuq_dsp_between(middle, x[0]);
        to[1] = (int16_t)mcuq_dsp_between(middle, x[1]);
        to[2] = (int16_t)mcuq_dsp_between(middle, x[2]);
        to[3] = (int16_t)mcuq_dsp_between(middle, x[3]);
    }
    for (; x != end; x++, to++) {
        *to = (int16_t)mcuq_dsp_between(middle, *x);
    }
}
