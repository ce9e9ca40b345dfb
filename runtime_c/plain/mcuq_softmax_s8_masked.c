#include "mcuq_softmax.h"

#include "mcuq_share.h"

static int32_t largest(const int8_t *values, const int8_t *mask, int32_t length)
{
    int32_t found = -128;
    for (int32_t i = 0; i < length; i++) {
        found = (mask[i] && values[i] > found) ? values[i] : found;
    }
    return found;
}

void mcuq_softmax_s8_masked(const mcuq_softmax_masked_params *p, const int8_t *in, int8_t *out)
{
    const uint16_t *table = p->table;
    const int32_t length = p->length, mask_end = p->mask_rows * length;
    int32_t at = 0;

    for (int32_t row = 0; row < p->rows; row++) {
        const int8_t *mask = p->mask + at;
        const int32_t top = largest(in, mask, length);
        uint32_t sum = 0;
        for (int32_t i = 0; i < length; i++) {
            sum += mask[i] ? table[top - in[i]] : 0u;
        }
        for (int32_t i = 0; i < length; i++) {
            out[i] = mask[i] ? mcuq_share_s8(table[top - in[i]], sum) : (int8_t)-128;
        }
        in += length;
        out += length;
        at = (at + length == mask_end) ? 0 : at + length;
    }
}
