#include "mcuq_conv2d_block.h"
#include "mcuq_conv2d_block_pixels_body.h"

/* All output channels of `count` pixels. */
static void run_block(const mcuq_conv2d_block_params *p, const uint32_t *x, int32_t count,
                      int8_t *out)
{
    mcuq_pair_block block = {
        .x = x,
        .taps = MCUQ_PAIR_TAPS(p->taps),
        .out = out,
        .end = out + p->out_c,
        .channels = p->channels,
        .extra = p->extra,
        .weights = p->weights,
    };
    place_outputs(p, count, block.place);
    mcuq_pair_outputs(&block, count);
    narrow(p, out, count * p->out_c);
}

/* All blocks; x the pair words of one, `pads` rows of pads and of inputs with pads. */
static void run_blocks(const mcuq_conv2d_block_params *p, const int8_t *in, int8_t *out,
                       uint32_t *x, int8_t *pads)
{
    place next = first_place(p);
    for (int32_t pixels = p->out_h * p->out_w; pixels > 0; pixels -= 4) {
        const int32_t count = (pixels < 4) ? pixels : 4;
        place at[4];
        next_places(p, count, &next, at);
        gather(p, in, at, pads, x);
        run_block(p, x, count, out);
        out += 4 * p->out_c;
    }
}

/* Row y of the input, that may lie outside, with its pads: `wide` pixels to `to`. */
static int8_t *pad_row(const mcuq_conv2d_block_params *p, const int8_t *in, int32_t y, int32_t wide,
                       int8_t *to)
{
    const int32_t inside = (y >= 0 && y < p->in_h) ? p->in_w * p->in_c : 0;
    const int32_t left = p->pad_left * p->in_c;
    const int8_t *const row = in + y * inside;
    for (int32_t i = -left; i < wide * p->in_c - left; i++) {
        *to++ = (i >= 0 && i < inside) ? row[i] : p->pad_value;
    }
    return to;
}

/* As run_blocks, over a copy of the input to which the pads were added. */
static void run_padded(const mcuq_conv2d_block_params *p, const int8_t *in, int8_t *out,
                       uint32_t *x, int8_t *image)
{
    mcuq_conv2d_block_params whole = *p;
    int8_t *to = image;
    whole.in_h = (int16_t)((p->out_h - 1) * p->stride_h + (p->kernel_h - 1) * p->dilation_h + 1);
    whole.in_w = (int16_t)((p->out_w - 1) * p->stride_w + p->kernel_w);
    whole.pad_top = 0;
    whole.pad_left = 0;
    for (int32_t y = 0; y < whole.in_h; y++) {
        to = pad_row(p, in, y - p->pad_top, whole.in_w, to);
    }
    run_blocks(&whole, image, out, x, image);
}

void mcuq_conv2d_s8_block(const mcuq_conv2d_block_params *p, const int8_t *in, int8_t *out,
                          void *scratch)
{
    uint32_t *const x = scratch;
    int8_t *const pads = (int8_t *)(x + 2 * p->taps);
    if (p->padded) {
        run_padded(p, in, out, x, pads);
    } else {
        fill_pads(p, pads);
        run_blocks(p, in, out, x, pads);
    }
}
