#include "mcuq_pool2d_mve.h"

#if defined(__ARM_FEATURE_MVE)

/** The largest of rows x columns taps of up to 16 channels: 5 instructions a tap. */
static void largest(const int8_t *row, int32_t rows, int32_t columns, int32_t next_row,
                    int32_t next_column, int32_t channels, int8_t *out)
{
    const int8_t *at = row;
    __asm volatile("vmov.i8 q0, #128\n vctp.8 %[channels]\n"
                   "1: dls lr, %[columns]\n"
                   "2: vpst\n vldrbt.u8 q1, [%[at]]\n vmax.s8 q0, q0, q1\n"
                   "add %[at], %[next_column]\n le lr, 2b\n"
                   "add %[row], %[next_row]\n mov %[at], %[row]\n subs %[rows], #1\n bne 1b\n"
                   "vpst\n vstrbt.8 q0, [%[out]]\n"
                   : [at] "+&r"(at), [row] "+&r"(row), [rows] "+&r"(rows)
                   : [columns] "h"(columns), [next_row] "h"(next_row),
                     [next_column] "h"(next_column), [channels] "h"(channels), [out] "r"(out)
                   : "q0", "q1", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

#else

static void largest(const int8_t *row, int32_t rows, int32_t columns, int32_t next_row,
                    int32_t next_column, int32_t channels, int8_t *out)
{
    for (int32_t c = 0; c < channels && c < 16; c++) {
        int8_t best = INT8_MIN;
        for (int32_t i = 0; i < rows * columns; i++) {
            const int8_t value = row[i / columns * next_row + i % columns * next_column + c];
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

void mcuq_max_pool2d_s8_mve(const mcuq_max_pool2d_params *p, const int8_t *in, int8_t *out)
{
    const int32_t channels = p->channels, step_h = p->dilation_h, step_w = p->dilation_w;
    const int32_t next_row = p->in_w * channels * step_h, next_column = channels * step_w;
    for (int32_t oy = 0, top = -p->pad_top; oy < p->out_h; oy++, top += p->stride_h) {
        const int32_t y = first_inside(top, step_h);
        const int32_t rows = count(y, top + p->kernel_h * step_h, p->in_h, step_h);
        for (int32_t ox = 0, left = -p->pad_left; ox < p->out_w; ox++, left += p->stride_w) {
            const int32_t x = first_inside(left, step_w);
            const int32_t columns = count(x, left + p->kernel_w * step_w, p->in_w, step_w);
            const int8_t *first = in + (y * p->in_w + x) * channels;
            for (int32_t c = 0; c < channels; c += 16) {
                largest(first + c, rows, columns, next_row, next_column, channels - c, out + c);
            }
            out += channels;
        }
    }
}
