/* mcuq_avg_pool2d_mve_body.h: the mean of each window, a vector of channels at a time.
 *
 * Parameters, which the includer defines before:
 *     element: a type, of the data: int8_t or int16_t
 *     sum_of: a type, of the sums of windows: int16_t or int32_t
 *     params: a type, of the parameters
 *     LANES: how many channels
 *     add_taps(w, row, channels, sums): the sums of as many, or fewer; with Helium
 *     shifted_means(w, sums, count, out): means whose divisor is a power of two; with Helium
 */
#include "mcuq_avg_pool2d_window_mve.h"
#include "mcuq_requant.h"

#if !defined(__ARM_FEATURE_MVE)
static void add_taps(const window *w, const element *row, int32_t channels, sum_of *sums)
{
    for (int32_t c = 0; c < channels; c++) {
        int32_t sum = 0;
        for (int32_t i = 0; i < w->rows * w->columns; i++) {
            sum += row[i / w->columns * w->next_row + i % w->columns * w->next_column + c];
        }
        sums[c] = (sum_of)sum;
    }
}

static void shifted_means(const window *w, const sum_of *sums, int32_t count, element *out)
{
    for (int32_t i = 0; i < count; i++) {
        const int32_t floored = (sums[i] * w->twice + w->bias) >> -w->minus_shift;
        out[i] = (element)mcuq_clamp(w->zero + floored, w->low, w->high);
    }
}
#endif

/** The output for a sum: zero + floor((sum * twice + bias) / twice_den), limited. */
static element mean(const window *w, int32_t sum)
{
    const int32_t numerator = sum * w->twice + w->bias;
    const int32_t quotient = numerator / w->twice_den;
    const int32_t floored = quotient - (numerator - quotient * w->twice_den < 0);
    return (element)mcuq_clamp(w->zero + floored, w->low, w->high);
}

static void means(const window *w, const element *first, int32_t channels, element *out)
{
    for (int32_t c = 0; c < channels; c += LANES) {
        sum_of sums[LANES];
        const int32_t count = (channels - c < LANES) ? channels - c : LANES;
        add_taps(w, first + c, count, sums);
        if (w->minus_shift != 0) {
            shifted_means(w, sums, count, out + c);
            continue;
        }
        for (int32_t i = 0; i < count; i++) {
            out[c + i] = mean(w, sums[i]);
        }
    }
}

/** Minus the logarithm of a power of two; 0 for other values. */
static int32_t minus_log2(int32_t value)
{
    int32_t log2 = 0;
    while (value >> log2 > 1) {
        log2++;
    }
    return ((int32_t)1 << log2 == value) ? -log2 : 0;
}

static void run_avg_pool2d(const params *p, const element *in, element *out)
{
    const int32_t channels = p->channels, twice = (int32_t)2 << p->left;
    window w = {.next_row = p->in_w * channels,
                .next_column = channels,
                .twice = twice,
                .zero = p->zero_y,
                .low = p->out_min,
                .high = p->out_max};

    for (int32_t oy = 0, top = -p->pad_top; oy < p->out_h; oy++, top += p->stride_h) {
        const int32_t y = (top > 0) ? top : 0;
        const int32_t bottom = top + p->kernel_h;
        w.rows = ((bottom < p->in_h) ? bottom : p->in_h) - y;
        for (int32_t ox = 0, left = -p->pad_left; ox < p->out_w; ox++, left += p->stride_w) {
            const int32_t x = (left > 0) ? left : 0;
            const int32_t right = left + p->kernel_w;
            w.columns = ((right < p->in_w) ? right : p->in_w) - x;
            const int32_t inside = w.rows * w.columns;
            const int32_t den = (p->include_pad ? p->kernel_h * p->kernel_w : inside) << p->right;
            w.bias = den - inside * p->zero_x * twice;
            if (w.twice_den != 2 * den) {
                w.twice_den = 2 * den;
                w.minus_shift = minus_log2(2 * den);
            }
            means(&w, in + (y * p->in_w + x) * channels, channels, out);
            out += channels;
        }
    }
}
