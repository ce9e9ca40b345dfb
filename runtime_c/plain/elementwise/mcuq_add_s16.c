#include "mcuq_int16.h"

void mcuq_add_s16(const mcuq_add_s16_params *p, const void *a, const void *b, void *out)
{
    const int32_t mul_a = p->mul_a, mul_b = p->mul_b, bias = p->bias;
    const int32_t low = p->out_min, high = p->out_max;
    const int shift = p->shift;
    const int16_t *x = a;
    const int16_t *y = b;
    int16_t *to = out;
    int32_t left = p->count;

    for (; left >= 4; left -= 4) {
        to[0] = mcuq_requant_int16(bias + x[0] * mul_a + y[0] * mul_b, shift, low, high);
        to[1] = mcuq_requant_int16(bias + x[1] * mul_a + y[1] * mul_b, shift, low, high);
        to[2] = mcuq_requant_int16(bias + x[2] * mul_a + y[2] * mul_b, shift, low, high);
        to[3] = mcuq_requant_int16(bias + x[3] * mul_a + y[3] * mul_b, shift, low, high);
        x += 4;
        y += 4;
        to += 4;
    }
    for (; left > 0; left--) {
        *to++ = mcuq_requant_int16(bias + *x++ * mul_a + *y++ * mul_b, shift, low, high);
    }
}
