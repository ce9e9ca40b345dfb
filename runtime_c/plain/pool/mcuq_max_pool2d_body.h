/* mcuq_max_pool2d_body.h: the largest of windows on any core, of int8 or int16 data.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_KERNEL: the function's name
 *     params, data: types, as its prototype has them
 *     element: a type, which data holds: int8_t or int16_t
 */
#ifndef MCUQ_MAX_POOL2D_BODY_H
#define MCUQ_MAX_POOL2D_BODY_H

#include "mcuq_max_pool2d_taps_body.h"
#include "mcuq_pool2d.h"

/** How many of start, start + step, ... lie before end. */
static int32_t count(int32_t start, int32_t end, int32_t step)
{
    int32_t found = 0;
    for (; start < end; start += step) {
        found++;
    }
    return found;
}

static int32_t smaller(int32_t a, int32_t b)
{
    return (a < b) ? a : b;
}

/** As largest, for four channels that neighbour each other. */
static void largest_of_four(const taps *t, const element *row, element *out)
{
    int32_t best_0 = LEAST, best_1 = LEAST, best_2 = LEAST, best_3 = LEAST;
    for (int32_t y = t->rows; y > 0; y--, row += t->next_row) {
        const element *at = row;
        for (int32_t x = t->columns; x > 0; x--, at += t->next_column) {
            best_0 = larger(best_0, at[0]);
            best_1 = larger(best_1, at[1]);
            best_2 = larger(best_2, at[2]);
            best_3 = larger(best_3, at[3]);
        }
    }
    out[0] = (element)best_0;
    out[1] = (element)best_1;
    out[2] = (element)best_2;
    out[3] = (element)best_3;
}

void MCUQ_KERNEL(const params *p, const data *in, data *out)
{
    element *to = out;
    const int32_t channels = p->channels, step_h = p->dilation_h, step_w = p->dilation_w;
    const int32_t span_h = (p->kernel_h - 1) * step_h + 1, span_w = (p->kernel_w - 1) * step_w + 1;
    taps t = {0, 0, p->in_w * channels * step_h, channels * step_w};

    for (int32_t oy = 0, top = -p->pad_top; oy < p->out_h; oy++, top += p->stride_h) {
        const int32_t y = first_inside(top, step_h);
        t.rows = count(y, smaller(top + span_h, p->in_h), step_h);
        for (int32_t ox = 0, left = -p->pad_left; ox < p->out_w; ox++, left += p->stride_w) {
            const int32_t x = first_inside(left, step_w);
            const element *first = (const element *)in + (y * p->in_w + x) * channels;
            int32_t rest = channels;
            t.columns = count(x, smaller(left + span_w, p->in_w), step_w);
            for (; rest >= 4; rest -= 4, first += 4, to += 4) {
                largest_of_four(&t, first, to);
            }
            for (; rest > 0; rest--) {
                *to++ = largest(&t, first++);
            }
        }
    }
}

#endif
