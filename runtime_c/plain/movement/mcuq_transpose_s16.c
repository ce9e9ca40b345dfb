#include "mcuq_int16.h"

void mcuq_transpose_s16(const mcuq_transpose_params *p, const void *in, void *out)
{
    const int32_t step = p->in_stride[2];
    int16_t *to = out;

    for (int32_t i = 0; i < p->out_size[0]; i++) {
        for (int32_t j = 0; j < p->out_size[1]; j++) {
            const int16_t *from = (const int16_t *)in + i * p->in_stride[0] + j * p->in_stride[1];
            for (int32_t k = 0; k < p->out_size[2]; k++) {
                *to++ = from[k * step];
            }
        }
    }
}
