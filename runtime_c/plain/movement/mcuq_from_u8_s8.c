#include "mcuq_elementwise.h"

void mcuq_from_u8_s8(const mcuq_from_u8_params *p, const void *in, int8_t *out)
{
    const uint8_t *from = in;
    int32_t left = p->count;

    for (; left >= 4; left -= 4) {
        out[0] = (int8_t)(from[0] - 128);
        out[1] = (int8_t)(from[1] - 128);
        out[2] = (int8_t)(from[2] - 128);
        out[3] = (int8_t)(from[3] - 128);
        from += 4;
        out += 4;
    }
    for (; left > 0; left--) {
        *out++ = (int8_t)(*from++ - 128);
    }
}
