#include "mcuq_biquads.h"

void mcuq_biquad_s16_kept(const mcuq_biquad_params *p, const int8_t *in, const int8_t *before,
                          int8_t *out)
{
    const int16_t *x = (const int16_t *)(const void *)in;
    const int16_t *last = (const int16_t *)(const void *)before;
    int16_t *to = (int16_t *)(void *)out;
    const int32_t step = p->channels, numbers = 2 * p->count;

    for (int32_t c = 0; c < step; c++) {
        int32_t kept[2 * MCUQ_BIQUADS_MOST];
        for (int32_t i = 0; i < numbers; i++) {
            const uint16_t low = (uint16_t)last[2 * i * step + c];
            kept[i] = last[(2 * i + 1) * step + c] * 65536 + low;
        }
        mcuq_biquad_channel(p, x + c, to + 2 * numbers * step + c, kept);
        for (int32_t i = 0; i < numbers; i++) {
            to[2 * i * step + c] = (int16_t)(kept[i] & 0xFFFF);
            to[(2 * i + 1) * step + c] = (int16_t)(kept[i] >> 16);
        }
    }
}
