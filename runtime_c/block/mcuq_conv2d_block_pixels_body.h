/* mcuq_conv2d_block_pixels_body.h: the inputs of blocks of four output pixels as pair words, and
 * where their outputs lie; a part of the blocked convolutions.
 *
 * Parameters: none.
 */
#ifndef MCUQ_CONV2D_BLOCK_PIXELS_BODY_H
#define MCUQ_CONV2D_BLOCK_PIXELS_BODY_H

#include "mcuq_conv2d_block.h"
#include "mcuq_pair.h"
#include "mcuq_requant.h"

/* Where the window of an output pixel starts in the input; may lie outside. */
typedef struct {
    int32_t y, x;
} place;

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

/* Whether the whole window lies in the image, its rows without gaps. */
static int is_whole(const mcuq_conv2d_block_params *p, place at)
{
    return at.x >= 0 && at.x + p->kernel_w <= p->in_w && at.y >= 0 &&
           at.y + (p->kernel_h - 1) * p->dilation_h < p->in_h &&
           (p->dilation_w == 1 || p->kernel_w == 1);
}

/* The inputs of four output pixels as pair words, kernel row by kernel row. */
static void gather(const mcuq_conv2d_block_params *p, const int8_t *in, const place at[4],
                   int8_t *pads, uint32_t *x)
{
    const int32_t run = p->kernel_w * p->in_c;
    const int8_t *from[4];
    if (is_whole(p, at[0]) && is_whole(p, at[1]) && is_whole(p, at[2]) && is_whole(p, at[3])) {
        const int32_t down = p->dilation_h * p->in_w * p->in_c;
        for (int32_t i = 0; i < 4; i++) {
            from[i] = in + (at[i].y * p->in_w + at[i].x) * p->in_c;
        }
        for (int32_t k = p->kernel_h; k > 0; k--) {
            x = mcuq_pair_merge(from, x, run);
            for (int32_t i = 0; i < 4; i++) {
                from[i] += down;
            }
        }
        return;
    }
    int8_t *const own = pads + run;
    for (int32_t k = 0; k < p->kernel_h; k++) {
        for (int32_t i = 0; i < 4; i++) {
            from[i] = kernel_row(p, in, at[i], k, pads, own + i * run);
        }
        x = mcuq_pair_merge(from, x, run);
    }
}

/* The place of the first output pixel. */
static inline place first_place(const mcuq_conv2d_block_params *p)
{
    return (place){-p->pad_top, -p->pad_left};
}

/* The next `count` places (at most 4), as four: the last one as often as it takes. */
static void next_places(const mcuq_conv2d_block_params *p, int32_t count, place *next, place at[4])
{
    const int32_t end = p->out_w * p->stride_w - p->pad_left;
    place last = *next;
    for (int32_t i = 0; i < 4; i++) {
        last = (i < count) ? *next : last;
        at[i] = last;
        next->x += p->stride_w;
        if (next->x == end) {
            next->x = -p->pad_left;
            next->y += p->stride_h;
        }
    }
}

/* A row of pads, for kernel rows outside. */
static void fill_pads(const mcuq_conv2d_block_params *p, int8_t *pads)
{
    for (int32_t i = 0; i < p->kernel_w * p->in_c; i++) {
        pads[i] = p->pad_value;
    }
}

/* Where the outputs of pixels 1 to 3 lie, of `count`; those that are missing repeat the last. */
static void place_outputs(const mcuq_conv2d_block_params *p, int32_t count, int32_t apart[3])
{
    const int32_t last = (count - 1) * p->out_c;
    for (int32_t i = 0; i < 3; i++) {
        const int32_t from_first = (i + 1) * p->out_c;
        apart[i] = (from_first < last) ? from_first : last;
    }
}

/* `count` outputs to the range that p asks for. */
static void narrow(const mcuq_conv2d_block_params *p, int8_t *out, int32_t count)
{
    if (p->narrow) {
        for (int32_t i = 0; i < count; i++) {
            out[i] = (int8_t)mcuq_clamp(out[i], p->out_min, p->out_max);
        }
    }
}

#endif
