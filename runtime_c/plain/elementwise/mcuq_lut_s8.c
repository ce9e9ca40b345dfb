#include "mcuq_elementwise.h"

void mcuq_lut_s8(const mcuq_lut_params *p, const int8_t *in, int8_t *out)
{
    const int8_t *middle = p->table + 128;
    int32_t left = p->count;

    for (; left >= 4; left -= 4) {
        out[0] = middle[in[0]];
        out[1] = middle[in[1]];
        out[2] = middle[in[2]];
        out[3] = middle[in[3]];
        in += 4;
        out += 4;
    }
    for (; left > 0; left--) {
        *out++ = middle[*in++];
    }
}
