#include "mcuq_top.h"

#include <string.h>

#include "mcuq_next_largest.h"

void mcuq_hardmax_s8(const mcuq_hardmax_params *p, const int8_t *in, int8_t *out)
{
    for (int32_t row = 0; row < p->rows; row++) {
        const int32_t first = mcuq_next_largest(in, p->length, -1);
        memset(out, p->low, (size_t)p->length);
        out[first] = p->high;
        in += p->length;
        out += p->length;
    }
}
