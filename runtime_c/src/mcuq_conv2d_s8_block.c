#include "mcuq_conv2d_block.h"
#include "mcuq_pair.h"
#include "mcuq_requant.h"

/* Where the window of an output pixel starts in the input; may lie outside. */
typedef struct {
    int32_t y, x;
} place;

/* x[0], x[2], ... = the pairs of a[i] and b[i], x[1], x[3], ... = those of c[i] and d[i]. */
static uint32_t *merge(const int8_t *const from[4], uint32_t *x, int32_t count)
{
    const int8_t *const a = from[0] + count;
    const int8_t *const b = from[1] + count;
    const int8_t *const c = from[2] + count;
    const int8_t *const d = from[3] + count;
    for (int32_t i = -count; i != 0; i++) {
        x[0] = mcuq_pair(a[i], b[i]);
        x[1] = mcuq_pair(c[i], d[i]);
        x += 2;
    }
    return x;
}

/* The inputs of kernel row k for an output pixel, kernel_w * in_c in a row: where they lie, or a
 * row of pads, or `own` filled with both. */
static const int8_t *kernel_row(const mcuq_conv2d_block_params *p, const int8_t *in, place at,
                                int32_t k, const int8_t *pads, int8_t *own)
{
    const int32_t y = at.y + k * p->dilation_h;
    if (y < 0 || y >= p->in_h) {
        return pads;
    }
    in += y * p->in_w * p->in_c;
    if (at.x >= 0 && at.x + p->kernel_w <= p->in_w && (p->dilation_w == 1 || p->kernel_w == 1)) {
        return in + at.x * p->in_c;
    }
    int8_t *to = own;
    for (int32_t i = 0; i < p->kernel_w; i++) {
        const int32_t x = at.x + i * p->dilation_w;
        const int8_t *const from = (x >= 0 && x < p->in_w) ? in + x * p->in_c : pads;
        for (int32_t c = 0; c < p->in_c; c++) {
            *to++ = from[c];
        }
    }
    return own;
}

/* The inputs of four output pixels as pair words, kernel row by kernel row. */
static void gather(const mcuq_conv2d_block_params *p, const int8_t *in, const place at[4],
                   int8_t *pads, uint32_t *x)
{
    const int32_t run = p->kernel_w * p->in_c;
    int8_t *const own = pads + run;
    for (int32_t k = 0; k < p->kernel_h; k++) {
        const int8_t *from[4];
        for (int32_t i = 0; i < 4; i++) {
            from[i] = kernel_row(p, in, at[i], k, pads, own + i * run);
        }
        x = merge(from, x, run);
    }
}

/* Adds the weights that the groups could not hold. */
static void add_extra(const uint8_t *extra, int32_t count, const uint32_t *x, int32_t acc[4])
{
    for (; count > 0; count--) {
        x += 2 * extra[0];
        const uint32_t weight = (uint32_t)(int8_t)extra[1];
        for (int32_t i = 0; i < 2; i++) {
            const uint32_t a = x[i] * weight;
            const uint32_t high = mcuq_pair_high(a);
            acc[2 * i] += (int32_t)(a - (high << 16));
            acc[2 * i + 1] += (int32_t)high;
        }
        extra += 2;
    }
}

/* The outputs of one channel, out_c bytes apart. */
static inline void store(const mcuq_conv2d_block_params *p, const int32_t acc[4], int32_t shift,
                         int32_t count, int8_t *out)
{
    const int32_t step = p->out_c;
    if (p->narrow || count != 4) {
        for (int32_t i = 0; i < count; i++) {
            *out = mcuq_requant(acc[i], shift, p->out_min, p->out_max);
            out += step;
        }
        return;
    }
    *out = mcuq_requant_s8(acc[0], shift);
    out += step;
    *out = mcuq_requant_s8(acc[1], shift);
    out += step;
    *out = mcuq_requant_s8(acc[2], shift);
    out += step;
    *out = mcuq_requant_s8(acc[3], shift);
}

/* All output channels of `count` pixels. */
static void run_block(const mcuq_conv2d_block_params *p, const uint32_t *x, int32_t count,
                      int8_t *out)
{
    const int8_t *weights = p->weights;
    const int32_t *channel = p->channels;
    const uint8_t *extra = p->extra;
    const int32_t taps = p->taps;
    const int8_t *const end = out + p->out_c;
    for (; out != end; out++) {
        const int32_t shift = channel[1] & 31;
        const int32_t extras = channel[1] >> 5;
        int32_t acc[4];
        mcuq_pair_4x1(weights, x, taps, channel[0], acc);
        if (extras != 0) {
            add_extra(extra, extras, x, acc);
            extra += 2 * extras;
        }
        store(p, acc, shift, count, out);
        weights += taps;
        channel += 2;
    }
}

void mcuq_conv2d_s8_block(const mcuq_conv2d_block_params *p, const int8_t *in, int8_t *out,
                          void *scratch)
{
    uint32_t *const x = scratch;
    int8_t *const pads = (int8_t *)(x + 2 * p->taps);
    const int32_t left = -p->pad_left;
    const int32_t end = left + p->out_w * p->stride_w;
    place next = {-p->pad_top, left};
    for (int32_t i = 0; i < p->kernel_w * p->in_c; i++) {
        pads[i] = p->pad_value;
    }
    for (int32_t pixels = p->out_h * p->out_w; pixels > 0; pixels -= 4) {
        const int32_t count = (pixels < 4) ? pixels : 4;
        place at[4];
        for (int32_t i = 0; i < 4; i++) {
            at[i] = (i < count) ? next : at[0];
            next.x += p->stride_w;
            if (next.x == end) {
                next.x = left;
                next.y += p->stride_h;
            }
        }
        gather(p, in, at, pads, x);
        run_block(p, x, count, out);
        out += 4 * p->out_c;
    }
}
