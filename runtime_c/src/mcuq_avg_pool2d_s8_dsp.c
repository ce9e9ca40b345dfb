/* Mean of windows, four channels at a time: sums of 16 bits, two in a word. */
#include "mcuq_dsp.h"
#include "mcuq_pool2d_dsp.h"

/* The taps of a window that lie inside the input, and what turns their sum into the mean. */
typedef struct {
    int32_t rows, columns, next_row, next_column;
    int32_t scale; /* 2 * 2^left */
    int32_t bias;  /* den - taps inside * zero_x * scale */
    int32_t twice_den;
    int32_t zero, low, high;
} window;

static int8_t mean(const window *w, int32_t sum)
{
    const int32_t numerator = sum * w->scale + w->bias;
    const int32_t quotient = numerator / w->twice_den;
    const int32_t floored = quotient - (numerator - quotient * w->twice_den < 0);
    return (int8_t)mcuq_clamp(w->zero + floored, w->low, w->high);
}

/* Sums of bytes 0 and 2, and of bytes 1 and 3. */
typedef struct {
    uint32_t even, odd;
} sums;

/* Of the four channels at `first`: 7 instructions for four inputs. */
static inline sums sums_of_four(const window *w, const int8_t *first)
{
    sums all = {0, 0};
    for (int32_t y = w->rows; y > 0; y--, first += w->next_row) {
        const int32_t pitch = w->next_column;
        const int8_t *at = first;
        for (int32_t x = w->columns; x > 0; x--, at += pitch) {
            const uint32_t word = mcuq_dsp_load4(at);
            all.even = mcuq_dsp_add_even(all.even, word);
            all.odd = mcuq_dsp_add_odd(all.odd, word);
        }
    }
    return all;
}

/* Of `count` channels, fewer than four. */
static sums sums_of_few(const window *w, const int8_t *first, int32_t count)
{
    sums all = {0, 0};
    for (int32_t y = w->rows; y > 0; y--, first += w->next_row) {
        const int8_t *at = first;
        for (int32_t x = w->columns; x > 0; x--, at += w->next_column) {
            uint32_t word = 0;
            for (int32_t i = count - 1; i >= 0; i--) {
                word = (word << 8) | (uint8_t)at[i];
            }
            all.even = mcuq_dsp_add_even(all.even, word);
            all.odd = mcuq_dsp_add_odd(all.odd, word);
        }
    }
    return all;
}

static int32_t low_half(uint32_t word)
{
    return (int16_t)(word & 0xffffu);
}

/* The means of `count` channels, at most four, whose first tap is `first`. */
static void means(const window *w, const int8_t *first, int32_t count, int8_t *out)
{
    const sums all = (count >= 4) ? sums_of_four(w, first) : sums_of_few(w, first, count);
    out[0] = mean(w, low_half(all.even));
    if (count > 1) {
        out[1] = mean(w, low_half(all.odd));
    }
    if (count > 2) {
        out[2] = mean(w, low_half(all.even >> 16));
    }
    if (count > 3) {
        out[3] = mean(w, low_half(all.odd >> 16));
    }
}

static int32_t larger(int32_t a, int32_t b)
{
    return (a > b) ? a : b;
}

void mcuq_avg_pool2d_s8_dsp(const mcuq_avg_pool2d_params *p, const int8_t *in, int8_t *out)
{
    const int32_t channels = p->channels;
    const int32_t scale = (int32_t)2 << p->left;
    window w = {0, 0, p->in_w * channels, channels, scale, 0, 0, p->zero_y, p->out_min, p->out_max};
    for (int32_t pixel = 0; pixel < p->out_h * p->out_w; pixel++, out += channels) {
        const int32_t top = pixel / p->out_w * p->stride_h - p->pad_top;
        const int32_t left = pixel % p->out_w * p->stride_w - p->pad_left;
        const int32_t y = larger(top, 0);
        const int32_t x = larger(left, 0);
        const int8_t *first = in + (y * p->in_w + x) * channels;
        w.rows = -larger(-top - p->kernel_h, -p->in_h) - y;
        w.columns = -larger(-left - p->kernel_w, -p->in_w) - x;
        const int32_t inside = w.rows * w.columns;
        const int32_t den = (p->include_pad ? p->kernel_h * p->kernel_w : inside) << p->right;
        w.bias = den - inside * p->zero_x * scale;
        w.twice_den = 2 * den;
        for (int32_t c = 0; c < channels; c += 4) {
            means(&w, first + c, channels - c, out + c);
        }
    }
}
