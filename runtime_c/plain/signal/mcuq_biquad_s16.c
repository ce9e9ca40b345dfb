#include "mcuq_biquads.h"

void mcuq_biquad_s16(const mcuq_biquad_params *p, const int8_t *in, int8_t *out)
{
    const int16_t *x = (const int16_t *)(const void *)in;
    int16_t *to = (int16_t *)(void *)out;

    for (int32_t c = 0; c < p->channels; c++) {
        int32_t kept[2 * MCUQ_BIQUADS_MOST] = {0};
        mcuq_biquad_channel(p, x + c, to + c, kept);
    }
}
