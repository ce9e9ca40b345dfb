#include "mcuq_copy.h"

#include "mcuq_runs.h"

void mcuq_copy_s8(const mcuq_copy_params *p, const int8_t *in, int8_t *out)
{
    const mcuq_loops inner = {p->size + 2, p->stride + 2};
    const int8_t *first = in + p->start;
    int8_t *to = out;

    for (int32_t a = 0; a < p->size[0]; a++, first += p->stride[0]) {
        const int8_t *from = first;
        for (int32_t b = 0; b < p->size[1]; b++, from += p->stride[1]) {
            to = mcuq_copy_loops(to, from, inner);
        }
    }
}
