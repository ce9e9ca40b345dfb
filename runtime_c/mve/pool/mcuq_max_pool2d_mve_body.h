/* mcuq_max_pool2d_mve_body.h: the largest of each window, a vector of channels at a time.
 *
 * Parameters, which the includer defines before:
 *     element: a type, of the data: int8_t or int16_t
 *     largest(row, rows, columns, next_row, next_column, channels, out): with Helium
 */
#include <stdint.h>

#include "mcuq_pool2d.h"

enum { LANES = 16 / sizeof(element), LEAST = -(1 << (8 * sizeof(element) - 1)) };

#if !defined(__ARM_FEATURE_MVE)
static void largest(const element *row, int32_t rows, int32_t columns, int32_t next_row,
                    int32_t next_column, int32_t channels, element *out)
{
    for (int32_t c = 0; c < channels && c < LANES; c++) {
        element best = LEAST;
        for (int32_t i = 0; i < rows * columns; i++) {
            const element value = row[i / columns * next_row + i % columns * next_column + c];
            best = (value > best) ? value : best;
        }
        out[c] = best;
    }
}
#endif

/** The first of start, start + step, ... that is not before the image. */
static int32_t first_inside(int32_t start, int32_t step)
{
    while (start < 0) {
        start += step;
    }
    return start;
}

/** How many of start, start + step, ... lie before both ends. */
static int32_t count(int32_t start, int32_t end, int32_t image, int32_t step)
{
    const int32_t room = ((end < image) ? end : image) - start;
    return (room + step - 1) / step;
}

static void run_max_pool2d(const mcuq_max_pool2d_params *p, const element *in, element *out)
{
    const int32_t channels = p->channels, step_h = p->dilation_h, step_w = p->dilation_w;
    const int32_t next_row = p->in_w * channels * step_h, next_column = channels * step_w;
    for (int32_t oy = 0, top = -p->pad_top; oy < p->out_h; oy++, top += p->stride_h) {
        const int32_t y = first_inside(top, step_h);
        const int32_t rows = count(y, top + p->kernel_h * step_h, p->in_h, step_h);
        for (int32_t ox = 0, left = -p->pad_left; ox < p->out_w; ox++, left += p->stride_w) {
            const int32_t x = first_inside(left, step_w);
            const int32_t columns = count(x, left + p->kernel_w * step_w, p->in_w, step_w);
            const element *first = in + (y * p->in_w + x) * channels;
            for (int32_t c = 0; c < channels; c += LANES) {
                largest(first + c, rows, columns, next_row, next_column, channels - c, out + c);
            }
            out += channels;
        }
    }
}
