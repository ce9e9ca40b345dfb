/* mcuq_depthwise_taps_body.h: depthwise convolution of int16 data, a pixel at a time, by the
 * places of its taps.
 *
 * Parameters, which the includer defines before:
 *     params: a type, what the function is given
 *     run_pixel: a function, defined behind; its prototype is below
 */
#ifndef MCUQ_DEPTHWISE_TAPS_BODY_H
#define MCUQ_DEPTHWISE_TAPS_BODY_H

#include <stdint.h>

#include "mcuq_target.h"

enum { TAPS = 51 };

/** All channels of one pixel. A tap's first channel lies `offset` bytes behind its place. */
static void run_pixel(const params *p, const int16_t *const *taps, int32_t offset, int16_t *out);

/** Where the taps of the window at (top, left) lie; outside the image: at pad. */
static void place_taps(const params *p, const int16_t *in, const int16_t *pad, int32_t top,
                       int32_t left, const int16_t **taps)
{
    const int32_t kernel_w = p->kernel_w, step = p->dilation_w * p->channels;
    const int16_t **to = taps;

    for (int32_t ky = 0, y = top; ky < p->kernel_h; ky++, y += p->dilation_h) {
        const int32_t width = (y >= 0 && y < p->in_h) ? p->in_w : 0;
        int32_t at = (y * p->in_w + left) * p->channels;
        for (int32_t kx = 0, x = left; kx < kernel_w; kx++, x += p->dilation_w, at += step) {
            *to++ = (x >= 0 && x < width) ? in + at : pad;
        }
    }
    while (to < taps + p->taps) { /* weights of zero */
        *to++ = taps[0];
    }
}

/** The whole image. pad: [channels]. The taps are placed anew where a window, or the one before it
 *  in its row, does not lie wholly inside the image. */
static void run_image(const params *p, const int16_t *in, int16_t *out, int16_t *pad)
{
    const int32_t span_h = (p->kernel_h - 1) * p->dilation_h;
    const int32_t span_w = (p->kernel_w - 1) * p->dilation_w;
    const int32_t step = 2 * p->stride_w * p->channels; /* bytes from a window to the next */
    const int16_t *taps[TAPS];

    for (int32_t c = 0; c < p->channels; c++) {
        pad[c] = p->pad_value;
    }
    for (int32_t oy = 0, top = -p->pad_top; oy < p->out_h; oy++, top += p->stride_h) {
        const int inside = top >= 0 && top + span_h < p->in_h;
        int32_t offset = -1; /* of the window before, if it lay inside */
        for (int32_t ox = 0, left = -p->pad_left; ox < p->out_w; ox++, left += p->stride_w) {
            const int whole = inside && left >= 0 && left + span_w < p->in_w;
            offset = (whole && offset >= 0) ? offset + step : 0;
            if (offset == 0) {
                place_taps(p, in, pad, top, left, taps);
            }
            run_pixel(p, taps, offset, out);
            out += p->channels;
            offset = whole ? offset : -1;
        }
    }
}

#endif
