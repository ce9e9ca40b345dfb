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

/* One output channel of `count` output rows. */
static void run_channel(const mcuq_depthwise_conv2d_block_params *p, int32_t channel, int32_t count,
                        const int32_t *taps, const int8_t *rows, int8_t *out)
{
    const int32_t area = p->kernel_h * p->kernel_w;
    const int32_t *const end = taps + area;
    const int8_t *const weights = p->weights + channel * area;
    const int32_t out_c = p->in_c * p->multiplier;
    const int32_t bias = p->bias[channel];
    const int shift = p->shift[channel];
    for (int32_t y = 0; y < count; y++) {
        const int8_t *x = rows + y * p->stride_h * p->wide * p->in_c;
        for (int32_t i = 0; i < p->out_w; i++) {
            int32_t acc = bias;
            const int8_t *w = weights;
            for (const int32_t *tap = taps; tap != end; tap++) {
                acc += *w++ * x[*tap];
            }
            *out = mcuq_requant(acc, shift, p->out_min, p->out_max);
            out += out_c;
            x += p->stride_w * p->in_c;
        }
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
                run_channel(p, channel, count, taps, rows + c, out + channel);
            }
        }
        out += count * p->out_w * out_c;
    }
}
