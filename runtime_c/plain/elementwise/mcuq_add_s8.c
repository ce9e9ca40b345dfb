#include "mcuq_elementwise.h"

#include "mcuq_requant.h"

void mcuq_add_s8(const mcuq_add_params *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    const int32_t mul_a = p->mul_a, mul_b = p->mul_b, bias = p->bias;
    const int32_t low = p->out_min, high = p->out_max;
    const int shift = p->shift;
    int32_t left = p->count;

    for (; left >= 4; left -= 4) {
        out[0] = mcuq_requant(bias + a[0] * mul_a + b[0] * mul_b, shift, low, high);
        out[1] = mcuq_requant(bias + a[1] * mul_a + b[1] * mul_b, shift, low, high);
        out[2] = mcuq_requant(bias + a[2] * mul_a + b[2] * mul_b, shift, low, high);
        out[3] = mcuq_requant(bias + a[3] * mul_a + b[3] * mul_b, shift, low, high);
        a += 4;
        b += 4;
        out += 4;
    }
    for (; left > 0; left--) {
        *out++ = mcuq_requant(bias + *a++ * mul_a + *b++ * mul_b, shift, low, high);
    }
}
