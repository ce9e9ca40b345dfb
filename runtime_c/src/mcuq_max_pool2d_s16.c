#include "mcuq_int16.h"

/** The taps of one window that lie inside the input, and the way from one to the next. */
typedef struct {
    int32_t rows, columns, next_row, next_column;
} taps;

/** The first of start, start + step, ... that is not before the image. */
static int32_t first_inside(int32_t start, int32_t step)
{
    while (start < 0) {
        start += step;
    }
    return start;
}

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

static int32_t larger(int32_t a, int32_t b)
{
    return (a > b) ? a : b;
}

static int16_t largest(const taps *t, const int16_t *row)
{
    int32_t best = INT16_MIN;
    for (int32_t y = t->rows; y > 0; y--, row += t->next_row) {
        const int16_t *at = row;
        for (int32_t x = t->columns; x > 0; x--, at += t->next_column) {
            best = larger(best, *at);
        }
    }
    return (int16_t)best;
}

/** As largest, for four channels that neighbour each other. */
static void largest_of_four(const taps *t, const int16_t *row, int16_t *out)
{
    int32_t best_0 = INT16_MIN, best_1 = INT16_MIN, best_2 = INT16_MIN, best_3 = INT16_MIN;
    for (int32_t y = t->rows; y > 0; y--, row += t->next_row) {
        const int16_t *at = row;
        for (int32_t x = t->columns; x > 0; x--, at += t->next_column) {
            best_0 = larger(best_0, at[0]);
            best_1 = larger(best_1, at[1]);
            best_2 = larger(best_2, at[2]);
            best_3 = larger(best_3, at[3]);
        }
    }
    out[0] = (int16_t)best_0;
    out[1] = (int16_t)best_1;
    out[2] = (int16_t)best_2;
    out[3] = (int16_t)best_3;
}

void mcuq_max_pool2d_s16(const mcuq_max_pool2d_params *p, const void *in, void *out)
{
    int16_t *to = out;
    const int32_t channels = p->channels, step_h = p->dilation_h, step_w = p->dilation_w;
    const int32_t span_h = (p->kernel_h - 1) * step_h + 1, span_w = (p->kernel_w - 1) * step_w + 1;
    taps t = {0, 0, p->in_w * channels * step_h, channels * step_w};

    for (int32_t oy = 0, top = -p->pad_top; oy < p->out_h; oy++, top += p->stride_h) {
        const int32_t y = first_inside(top, step_h);
        t.rows = count(y, smaller(top + span_h, p->in_h), step_h);
        for (int32_t ox = 0, left = -p->pad_left; ox < p->out_w; ox++, left += p->stride_w) {
            const int32_t x = first_inside(left, step_w);
            const int16_t *first = (const int16_t *)in + (y * p->in_w + x) * channels;
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
