#include "mcuq_int16_dsp.h"

/** Writes element index of a pixel's window; x: that pixel's first word, every other is its own. */
static void put(uint32_t *x, int32_t index, int16_t value)
{
    memcpy((int16_t *)(void *)(x + 2 * (index >> 1)) + (index & 1), &value, sizeof value);
}

/** One tap, count elements from index on: as they lie at from, or pad where that is NULL. */
static void put_tap(uint32_t *x, int32_t index, const int16_t *from, int32_t count, int16_t pad)
{
    if (from != NULL && ((index | count) & 1) == 0) {
        uint32_t *to = x + index;
        for (; count > 0; count -= 2, from += 2, to += 2) {
            memcpy(to, from, 4);
        }
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        put(x, index + i, (from != NULL) ? from[i] : pad);
    }
}

/** The window of one output pixel. */
static void gather(const mcuq_conv2d_s16_dsp_params *p, const int16_t *in, int32_t oy, int32_t ox,
                   uint32_t *x)
{
    const int32_t top = oy * p->stride_h - p->pad_top, left = ox * p->stride_w - p->pad_left;
    int32_t index = 0;

    for (int32_t ky = 0, row = top; ky < p->kernel_h; ky++, row += p->dilation_h) {
        for (int32_t kx = 0, column = left; kx < p->kernel_w; kx++, column += p->dilation_w) {
            const int inside = row >= 0 && row < p->in_h && column >= 0 && column < p->in_w;
            const int16_t *from = inside ? in + (row * p->in_w + column) * p->in_c : NULL;
            put_tap(x, index, from, p->in_c, p->pad_value);
            index += p->in_c;
        }
    }
    if (index & 1) {
        put(x, index, 0);
    }
}

/** Four channels from o on, of two pixels. */
static const uint32_t *four(const mcuq_conv2d_s16_dsp_params *p, const uint32_t *w,
                            const uint32_t *x, int32_t o, int16_t *a, int16_t *b)
{
    int32_t s[8];
    int32_t a0 = p->bias[o], a1 = p->bias[o + 1], a2 = p->bias[o + 2], a3 = p->bias[o + 3];
    int32_t b0 = a0, b1 = a1, b2 = a2, b3 = a3;

    for (const uint32_t *const end = x + 2 * p->words; x != end; x += 2, w += 2) {
        const uint32_t first = x[0], second = x[1];
        const uint32_t w0 = mcuq_dsp_even(w[0]), w1 = mcuq_dsp_odd(w[0]);
        const uint32_t w2 = mcuq_dsp_even(w[1]), w3 = mcuq_dsp_odd(w[1]);
        a0 = mcuq_dsp_smlad(first, w0, a0);
        b0 = mcuq_dsp_smlad(second, w0, b0);
        a1 = mcuq_dsp_smlad(first, w1, a1);
        b1 = mcuq_dsp_smlad(second, w1, b1);
        a2 = mcuq_dsp_smlad(first, w2, a2);
        b2 = mcuq_dsp_smlad(second, w2, b2);
        a3 = mcuq_dsp_smlad(first, w3, a3);
        b3 = mcuq_dsp_smlad(second, w3, b3);
    }
    s[0] = a0, s[1] = a1, s[2] = a2, s[3] = a3;
    s[4] = b0, s[5] = b1, s[6] = b2, s[7] = b3;
    for (int32_t i = 0; i < 4; i++) {
        const int shift = p->shift[o + i];
        a[i] = mcuq_requant_int16(s[i], shift, p->out_min, p->out_max);
        b[i] = mcuq_requant_int16(s[4 + i], shift, p->out_min, p->out_max);
    }
    return w;
}

void mcuq_conv2d_s16_dsp(const mcuq_conv2d_s16_dsp_params *p, const void *in, void *out,
                         void *scratch)
{
    uint32_t *x = scratch;
    int16_t *to = out;

    for (int32_t oy = 0; oy < p->out_h; oy++) {
        for (int32_t ox = 0; ox < p->out_w; ox += 2) {
            const int32_t next = (ox + 1 < p->out_w) ? ox + 1 : ox;
            int16_t *second = to + (next - ox) * p->out_c;
            const uint32_t *w = p->weights;
            gather(p, in, oy, ox, x);
            gather(p, in, oy, next, x + 1);
            for (int32_t o = 0; o < p->out_c; o += 4) {
                w = four(p, w, x, o, to + o, second + o);
            }
            to = second + p->out_c;
        }
    }
}
