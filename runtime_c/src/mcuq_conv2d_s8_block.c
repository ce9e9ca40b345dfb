#include "mcuq_conv2d_block.h"
#include "mcuq_conv2d_block_pixels.h"

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
    mcuq_pair_run(&block);
    narrow(p, out, count * p->out_c);
}

void mcuq_conv2d_s8_block(const mcuq_conv2d_block_params *p, const int8_t *in, int8_t *out,
                          void *scratch)
{
    uint32_t *const x = scratch;
    int8_t *const pads = (int8_t *)(x + 2 * p->taps);
    place next = first_place(p);
    fill_pads(p, pads);
    for (int32_t pixels = p->out_h * p->out_w; pixels > 0; pixels -= 4) {
        const int32_t count = (pixels < 4) ? pixels : 4;
        place at[4];
        next_places(p, count, &next, at);
        gather(p, in, at, pads, x);
        run_block(p, x, count, out);
        out += 4 * p->out_c;
    }
}
