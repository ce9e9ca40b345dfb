#include "mcuq_softmax.h"

static int32_t largest(const int16_t *values, const int8_t *mask, int32_t length)
{
    int32_t found = -32768;
    for (int32_t i = 0; i < length; i++) {
        found = ((mask == 0 || mask[i]) && values[i] > found) ? values[i] : found;
    }
    return found;
}

/* 32767 * exp(-u) for a value so far below the largest. */
static uint32_t part(const mcuq_softmax_s16_params *p, int32_t below)
{
    const uint32_t half = (1u << p->shift) >> 1;
    const uint32_t z = ((uint32_t)below * p->mul + half) >> p->shift;
    if (z > 65535u) {
        return 0;
    }
    const int16_t *at = p->table + (z >> 7);
    return (uint32_t)(at[0] + (((at[1] - at[0]) * (int32_t)(z & 127u) + 64) >> 7));
}

void mcuq_softmax_s16(const mcuq_softmax_s16_params *p, const void *in, void *out)
{
    const int32_t length = p->length, mask_end = p->mask_rows * length;
    const int16_t *from = in;
    int16_t *to = out;
    int32_t at = 0;

    for (int32_t row = 0; row < p->rows; row++) {
        const int8_t *const mask = (p->mask != 0) ? p->mask + at : 0;
        const int32_t top = largest(from, mask, length);
        uint32_t sum = 0;
        for (int32_t i = 0; i < length; i++) {
            const uint32_t own = (mask == 0 || mask[i]) ? part(p, top - from[i]) : 0u;
            to[i] = (int16_t)own;
            sum += own;
        }
        for (int32_t i = 0; i < length; i++) {
            const uint32_t share = (((uint32_t)to[i] << p->frac) + sum / 2u) / sum;
            to[i] = (int16_t)((share > 32767u) ? 32767u : share);
        }
        from += length;
        to += length;
        at = (at + length == mask_end) ? 0 : at + length;
    }
}
