#include "mcuq_pool2d_mve.h"

#include "mcuq_requant.h"

/** The taps of one window that lie inside the input, and what turns their sum into the mean. */
typedef struct {
    int32_t rows, columns, next_row, next_column;
    int32_t twice; /* 2 * 2^left */
    int32_t bias;  /* den - taps inside * zero_x * twice */
    int32_t twice_den;
    int32_t minus_shift; /* minus the logarithm of twice_den, or 0 if it is no power of two */
    int32_t zero, low, high;
} window;

#if defined(__ARM_FEATURE_MVE)

/** The sums of the taps of 16 channels: 6 instructions a tap. */
static void add_taps_16(const window *w, const int8_t *row, int16_t *sums)
{
    const int8_t *at = row;
    int32_t rows = w->rows;
    __asm volatile("vmov.i16 q0, #0\n vmov.i16 q1, #0\n"
                   "1: dls lr, %[columns]\n"
                   "2: vldrb.s16 q2, [%[at]]\n vadd.i16 q0, q0, q2\n"
                   "vldrb.s16 q3, [%[at], #8]\n vadd.i16 q1, q1, q3\n"
                   "add %[at], %[next_column]\n le lr, 2b\n"
                   "add %[row], %[next_row]\n mov %[at], %[row]\n subs %[rows], #1\n bne 1b\n"
                   "vstrh.16 q0, [%[sums]]\n vstrh.16 q1, [%[sums], #16]\n"
                   : [at] "+&l"(at), [row] "+&r"(row), [rows] "+&r"(rows)
                   : [columns] "h"(w->columns), [next_row] "h"(w->next_row),
                     [next_column] "h"(w->next_column), [sums] "r"(sums)
                   : "q0", "q1", "q2", "q3", "lr", "cc", "memory");
}

/** The sums of the taps of up to 8 channels: 5 instructions a tap. */
static void add_taps_8(const window *w, const int8_t *row, int32_t channels, int16_t *sums)
{
    const int8_t *at = row;
    int32_t rows = w->rows;
    __asm volatile("vmov.i16 q0, #0\n vctp.16 %[channels]\n"
                   "1: dls lr, %[columns]\n"
                   "2: vpst\n vldrbt.s16 q1, [%[at]]\n vadd.i16 q0, q0, q1\n"
                   "add %[at], %[next_column]\n le lr, 2b\n"
                   "add %[row], %[next_row]\n mov %[at], %[row]\n subs %[rows], #1\n bne 1b\n"
                   "vstrh.16 q0, [%[sums]]\n"
                   : [at] "+&l"(at), [row] "+&r"(row), [rows] "+&r"(rows)
                   : [columns] "h"(w->columns), [next_row] "h"(w->next_row),
                     [next_column] "h"(w->next_column), [channels] "h"(channels), [sums] "r"(sums)
                   : "q0", "q1", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

/** The sums of up to 16 channels. */
static void add_taps(const window *w, const int8_t *row, int32_t channels, int16_t *sums)
{
    if (channels == 16) {
        add_taps_16(w, row, sums);
        return;
    }
    add_taps_8(w, row, channels, sums);
    if (channels > 8) {
        add_taps_8(w, row + 8, channels - 8, sums + 8);
    }
}

/** As mean, for up to 16 sums and a divisor that is a power of two: 4 at a time. */
static void shifted_means(const window *w, const int16_t *sums, int32_t count, int8_t *out)
{
    for (int32_t left = count; left > 0; left -= 4) {
        __asm volatile("vctp.32 %[left]\n vldrh.s32 q0, [%[sums]], #8\n"
                       "vmul.i32 q0, q0, %[twice]\n vadd.i32 q0, q0, %[bias]\n"
                       "vshl.s32 q0, %[shift]\n vadd.i32 q0, q0, %[zero]\n"
                       "vdup.32 q1, %[low]\n vmax.s32 q0, q0, q1\n"
                       "vdup.32 q1, %[high]\n vmin.s32 q0, q0, q1\n"
                       "vpst\n vstrbt.32 q0, [%[out]]\n"
                       : [sums] "+&l"(sums)
                       : [left] "r"(left), [twice] "r"(w->twice), [bias] "r"(w->bias),
                         [shift] "r"(w->minus_shift), [zero] "h"(w->zero), [low] "h"(w->low),
                         [high] "h"(w->high), [out] "l"(out)
                       : "q0", "q1", MCUQ_MVE_VPR, "memory");
        out += 4;
    }
}

#else

static void add_taps(const window *w, const int8_t *row, int32_t channels, int16_t *sums)
{
    for (int32_t c = 0; c < channels; c++) {
        int32_t sum = 0;
        for (int32_t i = 0; i < w->rows * w->columns; i++) {
            sum += row[i / w->columns * w->next_row + i % w->columns * w->next_column + c];
        }
        sums[c] = (int16_t)sum;
    }
}

static void shifted_means(const window *w, const int16_t *sums, int32_t count, int8_t *out)
{
    for (int32_t i = 0; i < count; i++) {
        const int32_t floored = (sums[i] * w->twice + w->bias) >> -w->minus_shift;
        out[i] = (int8_t)mcuq_clamp(w->zero + floored, w->low, w->high);
    }
}

#endif

/** The output for a sum: zero + floor((sum * twice + bias) / twice_den), limited. */
static int8_t mean(const window *w, int32_t sum)
{
    const int32_t numerator = sum * w->twice + w->bias;
    const int32_t quotient = numerator / w->twice_den;
    const int32_t floored = quotient - (numerator - quotient * w->twice_den < 0);
    return (int8_t)mcuq_clamp(w->zero + floored, w->low, w->high);
}

static void means(const window *w, const int8_t *first, int32_t channels, int8_t *out)
{
    for (int32_t c = 0; c < channels; c += 16) {
        int16_t sums[16];
        const int32_t count = (channels - c < 16) ? channels - c : 16;
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

void mcuq_avg_pool2d_s8_mve(const mcuq_avg_pool2d_params *p, const int8_t *in, int8_t *out)
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
