#include "mcuq_elementwise.h"

#include "mcuq_requant.h"

void mcuq_prelu_s8(const mcuq_prelu_params *p, const int8_t *in, int8_t *out)
{
    const int32_t one = p->one, bias = p->bias, zero = p->zero_x;
    const int32_t low = p->out_min, high = p->out_max;
    const int shift = p->shift;

    for (int32_t row = 0; row < p->rows; row++) {
        for (int32_t channel = 0; channel < p->channels; channel++) {
            const int32_t x = *in++ - zero;
            const int32_t factor = (x < 0) ? p->slopes[channel] : one;
            *out++ = mcuq_requant(x * factor + bias, shift, low, high);
        }
    }
}
