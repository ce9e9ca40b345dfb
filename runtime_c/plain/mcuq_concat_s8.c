#include "mcuq_copy.h"

#include <string.h>

void mcuq_concat_s8(const mcuq_concat_params *p, const int8_t *in, int8_t *out)
{
    for (int32_t row = 0; row < p->rows; row++) {
        memcpy(out + row * p->out_stride, in + row * p->chunk, (size_t)p->chunk);
    }
}
