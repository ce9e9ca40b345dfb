#include "mcuq_lookup.h"

#include <string.h>

static int32_t index_at(const int8_t *in, uint8_t bytes)
{
    int32_t wide;
    int16_t narrow;

    if (bytes == sizeof wide) {
        memcpy(&wide, in, sizeof wide);
        return wide;
    }
    memcpy(&narrow, in, sizeof narrow);
    return narrow;
}

void mcuq_lookup_s8(const mcuq_lookup_params *p, const void *in, int8_t *out)
{
    const int8_t *from = in;

    for (int32_t i = 0; i < p->count; i++) {
        int32_t row = index_at(from, p->bytes);
        row = (row < 0) ? 0 : (row >= p->rows) ? p->rows - 1 : row;
        memcpy(out, p->table + row * p->width, (size_t)p->width);
        from += p->bytes;
        out += p->width;
    }
}
