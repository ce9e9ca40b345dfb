#include "mcuq_int16.h"

void mcuq_mul_s16(const mcuq_mul_s16_params *p, const void *a, const void *b, void *out)
{
    const int32_t bias = p->bias, low = p->out_min, high = p->out_max;
    const int shift = p->shift;
    const int16_t *x = a, *y = b;
    int16_t *to = out;

    for (int32_t left = p->count; left > 0; left--) {
        *to++ = mcuq_requant_int16(*x++ * *y++ + bias, shift, low, high);
    }
}
