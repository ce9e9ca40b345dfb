#include "mcuq_softmax.h"

#include "mcuq_share.h"

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
            out[i] = mcuq_share_s8(table[top - in[i]], sum);
        }
        in += length;
        out += length;
    }
}
