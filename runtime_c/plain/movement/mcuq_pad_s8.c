#include "mcuq_copy.h"

#include <string.h>

/** Writes the padding of count channels from the first on; returns what follows in out. */
static int8_t *fill_channels(const mcuq_pad_params *p, int8_t *out, int32_t first, int32_t count)
{
    if (p->values != NULL) {
        memcpy(out, p->values + first, (size_t)count);
    } else {
        memset(out, p->pad_value, (size_t)count);
    }
    return out + count;
}

/** Writes the padding of whole pixels; returns what follows in out. */
static int8_t *fill_pixels(const mcuq_pad_params *p, int8_t *out, int32_t pixels)
{
    for (int32_t i = 0; i < pixels; i++) {
        out = fill_channels(p, out, 0, p->out_c);
    }
    return out;
}

void mcuq_pad_s8(const mcuq_pad_params *p, const int8_t *in, int8_t *out)
{
    const int32_t right = p->out_w - p->left - p->in_w;
    const int32_t behind = p->front + p->in_c; /* the first channel behind the input's last */

    out = fill_pixels(p, out, p->top * p->out_w);
    for (int32_t y = 0; y < p->in_h; y++) {
        out = fill_pixels(p, out, p->left);
        for (int32_t x = 0; x < p->in_w; x++) {
            out = fill_channels(p, out, 0, p->front);
            memcpy(out, in, (size_t)p->in_c);
            in += p->in_c;
            out = fill_channels(p, out + p->in_c, behind, p->out_c - behind);
        }
        out = fill_pixels(p, out, right);
    }
    fill_pixels(p, out, p->bottom * p->out_w);
}
