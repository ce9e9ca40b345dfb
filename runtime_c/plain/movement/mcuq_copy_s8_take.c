#include "mcuq_copy.h"

#include "mcuq_runs.h"

void mcuq_copy_s8_take(const mcuq_take_params *p, const int8_t *in, int8_t *out)
{
    const mcuq_loops inner = {p->size, p->stride};
    int8_t *to = out;

    for (int32_t row = 0; row < p->count; row++) {
        to = mcuq_copy_loops(to, in + p->places[row], inner);
    }
}
