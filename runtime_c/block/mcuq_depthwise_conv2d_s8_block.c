#include "mcuq_band.h"
#include "mcuq_requant.h"

/* Where each tap lies from the first, in bytes. */
static void place_taps(const mcuq_depthwise_conv2d_block_params *p, int32_t *taps)
{
    for (int32_t y = 0; y < p->kernel_h; y++) {
        for (int32_t x = 0; x < p->kernel_w; x++) {
            *taps++ = (y * p->dilation_h * p->wide + x * p->dilation_w) * p->in_c;
        }
    }
}

/* A walk over the windows of a band's outputs, row by row. */
typedef struct {
    const int8_t *x;
    int32_t column, columns;
    int32_t right, down; /* bytes to the next window, in the row and from its end */
} walk;

static inline const int8_t *step(walk *at)
{
    const int8_t *const x = at->x;
    if (++at->column == at->columns) {
        at->column = 0;
        at->x += at->down;
    } else {
        at->x += at->right;
    }
    return x;
}

/* One output channel: `count` outputs, four at a time; a last group that is not full repeats one.
 */
static void run_channel(const mcuq_depthwise_conv2d_block_params *p, int32_t channel, int32_t count,
                        const int32_t *taps, const int8_t *rows, int8_t *out)
{
    const int32_t area = p->kernel_h * p->kernel_w;
    const int8_t *const weights = p->weights + channel * area;
    const int32_t *const end = taps + area;
    const int32_t bias = p->bias[channel];
    const int shift = p->shift[channel];
    const int32_t low = p->out_min;
    const int32_t high = p->out_max;
    const int32_t out_c = p->in_c * p->multiplier;
    walk at = {rows, 0, p->out_w, p->stride_w * p->in_c,
               (p->stride_h * p->wide - (p->out_w - 1) * p->stride_w) * p->in_c};
    for (; count > 0; count -= 4) {
        const int8_t *const x0 = step(&at);
        const int8_t *const x1 = (count > 1) ? step(&at) : x0;
        const int8_t *const x2 = (count > 2) ? step(&at) : x0;
        const int8_t *const x3 = (count > 3) ? step(&at) : x0;
        int32_t acc0 = bias;
        int32_t acc1 = bias;
        int32_t acc2 = bias;
        int32_t acc3 = bias;
        const int8_t *w = weights;
        for (const int32_t *tap = taps; tap != end; tap++) {
            const int32_t weight = *w++;
            acc0 += weight * x0[*tap];
            acc1 += weight * x1[*tap];
            acc2 += weight * x2[*tap];
            acc3 += weight * x3[*tap];
        }
        out[0] = mcuq_requant(acc0, shift, low, high);
        if (count > 1) {
            out[out_c] = mcuq_requant(acc1, shift, low, high);
        }
        if (count > 2) {
            out[2 * out_c] = mcuq_requant(acc2, shift, low, high);
        }
        if (count > 3) {
            out[3 * out_c] = mcuq_requant(acc3, shift, low, high);
        }
        out += 4 * out_c;
    }
}

void mcuq_depthwise_conv2d_s8_block(const mcuq_depthwise_conv2d_block_params *p, const int8_t *in,
                                    int8_t *out, void *scratch)
{
    int32_t *const taps = scratch;
    int8_t *const rows = (int8_t *)(taps + p->kernel_h * p->kernel_w);
    const int32_t out_c = p->in_c * p->multiplier;
    place_taps(p, taps);
    for (int32_t first = 0; first < p->out_h; first += p->band) {
        const int32_t left = p->out_h - first;
        const int32_t count = (left < p->band) ? left : p->band;
        mcuq_band_fill(p, in, first, rows);
        int32_t channel = 0;
        for (int32_t c = 0; c < p->in_c; c++) {
            for (int32_t m = 0; m < p->multiplier; m++, channel++) {
                run_channel(p, channel, count * p->out_w, taps, rows + c, out + channel);
            }
        }
        out += count * p->out_w * out_c;
    }
}
