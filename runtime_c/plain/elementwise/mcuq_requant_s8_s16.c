#include "mcuq_int16.h"

void mcuq_requant_s8_s16(const mcuq_requant_params *p, const void *in, void *out)
{
    const int32_t mul = p->mul, bias = p->bias, low = p->out_min, high = p->out_max;
    const int shift = p->shift;
    const int8_t *from = in;
    int16_t *to = out;

    for (int32_t left = p->count; left > 0; left--) {
        *to++ = mcuq_requant_int16(*from++ * mul + bias, shift, low, high);
    }
}
