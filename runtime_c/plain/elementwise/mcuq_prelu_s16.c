#include "mcuq_int16.h"

void mcuq_prelu_s16(const mcuq_prelu_s16_params *p, const void *in, void *out)
{
    const int32_t one = p->one, bias = p->bias, low = p->out_min, high = p->out_max;
    const int shift = p->shift;
    const int16_t *from = in;
    int16_t *to = out;

    for (int32_t row = 0; row < p->rows; row++) {
        for (int32_t channel = 0; channel < p->channels; channel++) {
            const int32_t x = *from++;
            const int32_t factor = (x < 0) ? p->slopes[channel] : one;
            *to++ = mcuq_requant_int16(x * factor + bias, shift, low, high);
        }
    }
}
