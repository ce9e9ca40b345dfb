#include "mcuq_copy.h"

void mcuq_transpose_s8(const mcuq_transpose_params *p, const int8_t *in, int8_t *out)
{
    const int32_t step = p->in_stride[2];

    for (int32_t i = 0; i < p->out_size[0]; i++) {
        for (int32_t j = 0; j < p->out_size[1]; j++) {
            const int8_t *from = in + i * p->in_stride[0] + j * p->in_stride[1];
            for (int32_t k = 0; k < p->out_size[2]; k++) {
                *out++ = from[k * step];
            }
        }
    }
}
