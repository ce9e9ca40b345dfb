#include "mcuq_top.h"

#include <string.h>

#include "mcuq_next_largest.h"

void mcuq_top_indices_s8(const mcuq_top_params *p, const int8_t *in, void *out)
{
    int8_t *to = out;

    for (int32_t row = 0; row < p->rows; row++) {
        int32_t place = -1;
        for (int32_t i = 0; i < p->count; i++) {
            place = mcuq_next_largest(in, p->length, place);
            memcpy(to, &place, sizeof place);
            to += sizeof place;
        }
        in += p->length;
    }
}
