#include "mcuq_elementwise.h"

#include "mcuq_requant.h"

void mcuq_mul_s8(const mcuq_mul_params *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    const int32_t zero_a = p->zero_a, zero_b = p->zero_b, bias = p->bias;
    const int32_t low = p->out_min, high = p->out_max;
    const int shift = p->shift;
    int32_t left = p->count;

    for (; left >= 4; left -= 4) {
        out[0] = mcuq_requant((a[0] - zero_a) * (b[0] - zero_b) + bias, shift, low, high);
        out[1] = mcuq_requant((a[1] - zero_a) * (b[1] - zero_b) + bias, shift, low, high);
        out[2] = mcuq_requant((a[2] - zero_a) * (b[2] - zero_b) + bias, shift, low, high);
        out[3] = mcuq_requant((a[3] - zero_a) * (b[3] - zero_b) + bias, shift, low, high);
        a += 4;
        b += 4;
        out += 4;
    }
    for (; left > 0; left--) {
        *out++ = mcuq_requant((*a++ - zero_a) * (*b++ - zero_b) + bias, shift, low, high);
    }
}
