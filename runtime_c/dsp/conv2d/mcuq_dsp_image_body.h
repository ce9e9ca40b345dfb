/* mcuq_dsp_image_body.h: where the patches of output pixels lie in the input, and padding; a part
 * of the conv2d kernels for the DSP extension.
 *
 * Parameters: none.
 */
#ifndef MCUQ_DSP_IMAGE_BODY_H
#define MCUQ_DSP_IMAGE_BODY_H

#include "mcuq_conv2d_dsp.h"
#include "mcuq_dsp.h"

static inline void copy(int8_t *to, const int8_t *from, int32_t count)
{
    for (; count >= 4; count -= 4, to += 4, from += 4) {
        memcpy(to, from, 4);
    }
    if (count & 2) {
        memcpy(to, from, 2);
        to += 2;
        from += 2;
    }
    if (count & 1) {
        *to = *from;
    }
}

static inline void fill(int8_t *to, uint32_t pad_word, int32_t count)
{
    for (; count >= 4; count -= 4, to += 4) {
        memcpy(to, &pad_word, 4);
    }
    if (count & 2) {
        memcpy(to, &pad_word, 2);
        to += 2;
    }
    if (count & 1) {
        memcpy(to, &pad_word, 1);
    }
}

/* The input values of an output that lies partly outside, or whose taps are apart: run by run. */
static __attribute__((noinline)) void gather(const mcuq_conv2d_dsp_params *p, const int8_t *in,
                                             int32_t y, int32_t first_x, int8_t *patch)
{
    const uint32_t pad_word = 0x01010101u * (uint8_t)p->pad_value;
    const int32_t size = p->run;
    const int32_t taps = size / p->in_c;
    const int32_t runs_across = p->runs / p->kernel_h;
    const int32_t row_pitch = p->row_pitch;
    for (int32_t i = 0; i < runs_across; i++) {
        const int32_t x = first_x + i * p->dilation_w;
        const int32_t left = mcuq_clamp(-x, 0, taps) * p->in_c;
        const int32_t right = mcuq_clamp(x + taps - p->in_w, 0, taps) * p->in_c;
        const int32_t inside = size - left - right;
        int8_t *to = patch + i * size;
        const int8_t *from = in + (y * p->in_w + x) * p->in_c + left;
        int32_t row = y;
        for (int32_t ky = p->kernel_h; ky > 0; ky--) {
            const int32_t covered = row >= 0 && row < p->in_h;
            if (!covered || inside < size) {
                fill(to, pad_word, size);
            }
            if (covered && inside > 0) {
                copy(to + left, from, inside);
            }
            to += runs_across * size;
            from += row_pitch;
            row += p->dilation_h;
        }
    }
}

/* The next output pixel: its column, and the input row and column of its first tap. */
typedef struct {
    int32_t column, y, x;
} cursor;

static void advance(const mcuq_conv2d_dsp_params *p, cursor *at, int32_t pixels)
{
    at->column += pixels;
    at->x += pixels * p->stride_w;
    if (at->column == p->out_w) {
        at->column = 0;
        at->x = -p->pad_left;
        at->y += p->stride_h;
    }
}

/* How many pixels from `at` on, at most `count`, have patches that lie whole in one input row. */
static int32_t whole_pixels(const mcuq_conv2d_dsp_params *p, const cursor *at, int32_t count)
{
    const int32_t room = p->whole_x - at->x;
    if (at->y < 0 || at->y > p->whole_y || at->x < 0 || room < 0) {
        return 0;
    }
    count = (count < p->out_w - at->column) ? count : p->out_w - at->column;
    return (count * p->stride_w <= room) ? count : room / p->stride_w + 1;
}

/* The input with its padding, as one image of in_h x in_w. */
static const int8_t *pad_image(const mcuq_conv2d_dsp_params *p, const int8_t *in, int8_t *image)
{
    const uint32_t pad_word = 0x01010101u * (uint8_t)p->pad_value;
    const int32_t pitch = p->in_w * p->in_c;
    const int32_t row = p->copy_w * p->in_c;
    int8_t *to = image + (p->copy_top * p->in_w + p->copy_left) * p->in_c;
    fill(image, pad_word, p->in_h * pitch);
    for (int32_t y = 0; y < p->copy_h; y++, to += pitch, in += row) {
        copy(to, in, row);
    }
    return image;
}

#endif
