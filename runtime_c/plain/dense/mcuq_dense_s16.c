#include "mcuq_int16.h"

typedef int16_t element;
#include "mcuq_dot_body.h"

void mcuq_dense_s16(const mcuq_dense_s16_params *p, const void *in, void *out)
{
    const int32_t low = p->out_min, high = p->out_max;
    const int8_t *weights = p->weights;
    int16_t *to = out;

    for (int32_t o = 0; o < p->out_len; o++) {
        const int32_t acc = mcuq_dot(p->bias[o], weights, in, p->in_len);
        to[o] = mcuq_requant_int16(acc, p->shift[o], low, high);
        weights += p->in_len;
    }
}
