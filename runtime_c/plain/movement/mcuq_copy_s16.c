#include <string.h>

#include "mcuq_int16.h"

void mcuq_copy_s16(const mcuq_copy_params *p, const void *in, void *out)
{
    const int32_t length = p->size[4], step = p->stride[4];
    const int16_t *start = (const int16_t *)in + p->start;
    int16_t *to = out;

    for (int32_t a = 0; a < p->size[0]; a++) {
        for (int32_t b = 0; b < p->size[1]; b++) {
            for (int32_t c = 0; c < p->size[2]; c++) {
                const int16_t *from =
                    start + a * p->stride[0] + b * p->stride[1] + c * p->stride[2];
                for (int32_t d = 0; d < p->size[3]; d++) {
                    if (step == 1) {
                        memcpy(to, from, (size_t)length * sizeof *to);
                    } else {
                        for (int32_t e = 0; e < length; e++) {
                            to[e] = from[e * step];
                        }
                    }
                    to += length;
                    from += p->stride[3];
                }
            }
        }
    }
}
