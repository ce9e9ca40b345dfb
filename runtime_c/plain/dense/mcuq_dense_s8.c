#include "mcuq_dense.h"

#include "mcuq_requant.h"

typedef int8_t element;
#include "mcuq_dot_body.h"

void mcuq_dense_s8(const mcuq_dense_params *p, const int8_t *in, int8_t *out)
{
    const int32_t low = p->out_min, high = p->out_max;
    const int8_t *weights = p->weights;

    for (int32_t o = 0; o < p->out_len; o++) {
        const int32_t acc = mcuq_dot(p->bias[o], weights, in, p->in_len);
        out[o] = mcuq_requant(acc, p->shift[o], low, high);
        weights += p->in_len;
    }
}
