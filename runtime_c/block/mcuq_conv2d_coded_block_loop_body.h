/* mcuq_conv2d_coded_block_loop_body.h: the blocked convolution from codes of MCUQ_CODED_BITS.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_CODED_BITS: 4 or 2
 */
#ifndef MCUQ_CONV2D_CODED_BLOCK_LOOP_BODY_H
#define MCUQ_CONV2D_CODED_BLOCK_LOOP_BODY_H

#include "mcuq_coded_body.h"
#include "mcuq_conv2d_block_pixels_body.h"
#include "mcuq_conv2d_coded_block.h"

/* Where things lie in scratch: the table, a channel's weights, the inputs, pads. */
typedef struct {
    uint16_t *table;
    uint32_t *weights, *x;
    int8_t *pads;
} places;

/* The inputs of `pixels` output pixels; taps that fill up the last group are zero. */
static void gather_all(const mcuq_conv2d_block_params *p, const int8_t *in, int32_t pixels,
                       place *next, const places *own)
{
    uint32_t *x = own->x;
    for (; pixels > 0; pixels -= 4, x += 2 * p->taps) {
        place at[4];
        for (int32_t i = 2 * p->kernel_h * p->kernel_w * p->in_c; i < 2 * p->taps; i++) {
            x[i] = 0;
        }
        next_places(p, (pixels < 4) ? pixels : 4, next, at);
        gather(p, in, at, own->pads, x);
    }
}

/* One channel of four pixels; not inlined, so that compilers keep its sums in registers. */
static __attribute__((noinline)) void run_channel(const mcuq_pair_block *block)
{
    mcuq_pair_run(block);
}

/* All output channels of `pixels` pixels. */
static void run_channels(const mcuq_conv2d_coded_block_params *p, int32_t pixels, const places *own,
                         int8_t *out)
{
    const int32_t taps = p->conv.taps;
    const uint8_t *codes = p->codes;
    mcuq_pair_block block = {
        .taps = MCUQ_PAIR_TAPS(taps),
        .channels = p->conv.channels,
        .extra = p->conv.extra,
        .weights = (const int8_t *)own->weights,
    };
    for (int32_t channel = 0; channel < p->conv.out_c; channel++) {
        codes = mcuq_coded_decode(own->weights, codes, taps / 4, own->table);
        block.x = own->x;
        block.out = out + channel;
        for (int32_t left = pixels; left > 0; left -= 4) {
            block.end = block.out + 1;
            place_outputs(&p->conv, (left < 4) ? left : 4, block.place);
            run_channel(&block);
            block.x += 2 * taps;
            block.out += 4 * p->conv.out_c;
        }
        if (block.extra != 0) {
            block.extra += 2 * (block.channels[1] >> 8);
        }
        block.channels += 2;
    }
}

static void run_coded(const mcuq_conv2d_coded_block_params *p, const int8_t *in, int8_t *out,
                      void *scratch)
{
    const int32_t most = 4 * p->fours;
    places own = {.table = scratch};
    place next = first_place(&p->conv);
    own.weights = mcuq_coded_pairs(p->values, own.table);
    own.x = own.weights + p->conv.taps / 4;
    own.pads = (int8_t *)(own.x + 2 * p->conv.taps * p->fours);
    fill_pads(&p->conv, own.pads);
    for (int32_t pixels = p->conv.out_h * p->conv.out_w; pixels > 0; pixels -= most) {
        const int32_t count = (pixels < most) ? pixels : most;
        gather_all(&p->conv, in, count, &next, &own);
        run_channels(p, count, &own, out);
        narrow(&p->conv, out, count * p->conv.out_c);
        out += count * p->conv.out_c;
    }
}

#endif
