#include "mcuq_softmax.h"

#include <string.h>

void mcuq_argmax_s8_last(const mcuq_argmax_params *p, const int8_t *in, void *out)
{
    int8_t *to = out;

    for (int32_t row = 0; row < p->rows; row++) {
        int32_t best = 0;
        for (int32_t i = 1; i < p->length; i++) {
            best = (in[i] >= in[best]) ? i : best;
        }
        memcpy(to, &best, sizeof best);
        in += p->length;
        to += sizeof best;
    }
}
