#include "mcuq_pool2d.h"

/** The first of start, start + step, ... that is not before the image. */
static int32_t first_inside(int32_t start, int32_t step)
{
    while (start < 0) {
        start += step;
    }
    return start;
}

static int32_t smaller(int32_t a, int32_t b)
{
    return (a < b) ? a : b;
}

void mcuq_max_pool2d_s8(const mcuq_max_pool2d_params *p, const int8_t *in, int8_t *out)
{
    const int32_t channels = p->channels, step_h = p->dilation_h, step_w = p->dilation_w;
    const int32_t span_h = (p->kernel_h - 1) * step_h + 1, span_w = (p->kernel_w - 1) * step_w + 1;
    const int32_t next_row = p->in_w * channels * step_h, next_tap = channels * step_w;

    for (int32_t oy = 0, top = -p->pad_top; oy < p->out_h; oy++, top += p->stride_h) {
        const int32_t y_begin = first_inside(top, step_h), y_end = smaller(top + span_h, p->in_h);
        for (int32_t ox = 0, left = -p->pad_left; ox < p->out_w; ox++, left += p->stride_w) {
            const int32_t x_begin = first_inside(left, step_w);
            const int32_t x_end = smaller(left + span_w, p->in_w);
            const int32_t first = (y_begin * p->in_w + x_begin) * channels;
            for (int32_t c = 0; c < channels; c++) {
                int32_t best = INT8_MIN;
                int32_t row = first + c;
                for (int32_t y = y_begin; y < y_end; y += step_h, row += next_row) {
                    int32_t at = row;
                    for (int32_t x = x_begin; x < x_end; x += step_w, at += next_tap) {
                        best = (in[at] > best) ? in[at] : best;
                    }
                }
                *out++ = (int8_t)best;
            }
        }
    }
}
