#include "mcuq_softmax.h"

static int32_t largest(const int8_t *values, int32_t length)
{
    int32_t found = values[0];
    for (int32_t i = 1; i < length; i++) {
        found = (values[i] > found) ? values[i] : found;
    }
    return found;
}

void mcuq_softmax_s8(const mcuq_softmax_params *p, const int8_t *in, int8_t *out)
{
    const uint16_t *table = p->table;
    const int32_t length = p->length;

    for (int32_t row = 0; row < p->rows; row++) {
        const int32_t top = largest(in, length);
        uint32_t sum = 0;
        for (int32_t i = 0; i < length; i++) {
            sum += table[top - in[i]];
        }
        for (int32_t i = 0; i < length; i++) {
            const uint32_t share = (table[top - in[i]] * 256u + sum / 2u) / sum;
            out[i] = (int8_t)((int32_t)(share > 255u ? 255u : share) - 128);
        }
        in += length;
        out += length;
    }
}
