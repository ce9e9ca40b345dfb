#include <string.h>

#include "mcuq_int16.h"

void mcuq_copy_s16_take(const mcuq_take_params *p, const void *in, void *out)
{
    const int32_t length = p->size[2], step = p->stride[2];
    int16_t *to = out;

    for (int32_t row = 0; row < p->count; row++) {
        const int16_t *start = (const int16_t *)in + p->places[row];
        for (int32_t a = 0; a < p->size[0]; a++) {
            for (int32_t b = 0; b < p->size[1]; b++) {
                const int16_t *from = start + a * p->stride[0] + b * p->stride[1];
                if (step == 1) {
                    memcpy(to, from, (size_t)length * sizeof *to);
                } else {
                    for (int32_t c = 0; c < length; c++) {
                        to[c] = from[c * step];
                    }
                }
                to += length;
            }
        }
    }
}
