#include "mcuq_int16.h"

void mcuq_lut_s16(const mcuq_lut_s16_params *p, const void *in, void *out)
{
    const int16_t *x = in;
    int16_t *to = out;

    for (int32_t left = p->count; left > 0; left--) {
        const int32_t place = *x++ + 32768;
        const int16_t *entry = p->table + (place >> 7);
        const int32_t step = (entry[1] - entry[0]) * (place & 127);
        *to++ = (int16_t)(entry[0] + ((step + 64) >> 7));
    }
}
