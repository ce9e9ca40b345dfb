/* mcuq_max_pool2d_dsp_body.h: the largest of each window, four channels at a time.
 *
 * Parameters, which the includer defines before:
 *     element: a type, of the data: int8_t or int16_t
 *     largest_of_four(t, row, out): as largest, for four channels that neighbour each other
 */
#include "mcuq_max_pool2d_taps_body.h"
#include "mcuq_requant.h"

/* How many of start, start + step, ... lie before end. */
static int32_t count(int32_t start, int32_t end, int32_t step)
{
    return (start < end) ? (end - start + step - 1) / step : 0;
}

static void run_max_pool2d(const mcuq_max_pool2d_params *p, const element *in, element *out)
{
    const int32_t channels = p->channels;
    const int32_t step_h = p->dilation_h;
    const int32_t step_w = p->dilation_w;
    const int32_t span_h = (p->kernel_h - 1) * step_h + 1;
    const int32_t span_w = (p->kernel_w - 1) * step_w + 1;
    taps t = {0, 0, p->in_w * channels * step_h, channels * step_w};

    for (int32_t oy = 0, top = -p->pad_top; oy < p->out_h; oy++, top += p->stride_h) {
        const int32_t y = first_inside(top, step_h);
        t.rows = count(y, mcuq_clamp(top + span_h, 0, p->in_h), step_h);
        for (int32_t ox = 0, left = -p->pad_left; ox < p->out_w; ox++, left += p->stride_w) {
            const int32_t x = first_inside(left, step_w);
            const element *first = in + (y * p->in_w + x) * channels;
            int32_t rest = channels;
            t.columns = count(x, mcuq_clamp(left + span_w, 0, p->in_w), step_w);
            for (; rest >= 4; rest -= 4, first += 4, out += 4) {
                largest_of_four(&t, first, out);
            }
            for (; rest > 0; rest--) {
                *out++ = largest(&t, first++);
            }
        }
    }
}
