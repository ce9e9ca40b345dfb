#include "mcuq_int16_dsp.h"

typedef int16_t element;
typedef mcuq_avg_pool2d_s16_params params;
#include "mcuq_avg_pool2d_window_body.h"

/* The sums of four channels that neighbour each other: 9 instructions a tap. */
static void sums_of_four(const window *w, const int16_t *row, int32_t *sums)
{
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (int32_t y = w->rows; y > 0; y--, row += w->next_row) {
        const int16_t *at = row;
        for (int32_t x = w->columns; x > 0; x--, at += w->next_column) {
            uint32_t low, high;
            memcpy(&low, at, sizeof low);
            memcpy(&high, at + 2, sizeof high);
            s0 += (int16_t)(low & 0xffffu);
            s1 += (int32_t)low >> 16;
            s2 += (int16_t)(high & 0xffffu);
            s3 += (int32_t)high >> 16;
        }
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

#include "mcuq_avg_pool2d_dsp_body.h"

void mcuq_avg_pool2d_s16_dsp(const mcuq_avg_pool2d_s16_params *p, const void *in, void *out)
{
    run_avg_pool2d(p, in, out);
}
