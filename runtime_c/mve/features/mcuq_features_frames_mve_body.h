/* mcuq_features_frames_mve_body.h: the body of features with Helium; see
 * mcuq_features_frames_body.h.
 *
 * Four complex numbers at a time: windowing and the first two stages in one go, which reads the
 * samples in their order and scatters to that of reversed bits; then about 26 instructions for
 * four butterflies. p->stages holds the twiddles of these, 16 bits further up: for each stage,
 * from size 4, [size / 4][2][4]; then those of the unfolding, for k from 1 to half / 2.
 *
 * Parameters, which the includer defines before:
 *     element: a type, of the output: int8_t or int16_t
 */
#include "mcuq_features_fft.h"

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>

static int32_t survey_inside(const mcuq_features_params *p, const int16_t *x, int32_t *sum)
{
    uint16x8_t bits = vdupq_n_u16(0);
    int32_t total = 0;
    for (int32_t left = p->length; left > 0; left -= 8, x += 8) {
        const int16x8_t v = vldrhq_z_s16(x, vctp16q((uint32_t)left));
        const int16x8_t folded = veorq_s16(v, vshrq_n_s16(v, 15));
        bits = vorrq_u16(bits, vreinterpretq_u16_s16(folded));
        total = vaddvaq_s16(total, v);
    }
    *sum = total;
    return vmaxvq_u16(0, bits);
}

typedef struct {
    int32x4_t re, im;
} complex4;

/** What is common to the samples of a frame. */
typedef struct {
    const int16_t *x, *window;
    int32_t length, shift, emphasis, mean, within;
} samples;

/** v of the samples 2 n to 2 n + 7 of a frame, zeros behind it. */
static inline complex4 windowed(const samples *s, int32_t n)
{
    const mve_pred16_t p = vctp16q((uint32_t)((s->length > 2 * n) ? s->length - 2 * n : 0));
    const int16x8_t x = vldrhq_z_s16(s->x + 2 * n, p), w = vldrhq_z_s16(s->window + 2 * n, p);
    complex4 y = {vshlq_r_s32(vmovlbq_s16(x), s->shift), vshlq_r_s32(vmovltq_s16(x), s->shift)};
    if (s->emphasis) {
        int16x8_t before = vldrhq_z_s16(s->x + 2 * n - 1, p);
        if (n == 0 && s->within) {
            before = vsetq_lane_s16(s->x[0], before, 0);
        }
        y.re = vmlaq_n_s32(y.re, vmovlbq_s16(before), -s->emphasis);
        y.im = vmlaq_n_s32(y.im, vmovltq_s16(before), -s->emphasis);
    }
    if (s->mean) {
        y.re = vsubq_n_s32(y.re, s->mean);
        y.im = vsubq_n_s32(y.im, s->mean);
    }
    y.re = vmulhq_s32(y.re, vshllbq_n_s16(w, 16));
    y.im = vmulhq_s32(y.im, vshlltq_n_s16(w, 16));
    return y;
}

static inline void add_up(complex4 *a, complex4 *b, int32x4_t b_re, int32x4_t b_im)
{
    const int32x4_t re = vshrq_n_s32(a->re, 1), im = vshrq_n_s32(a->im, 1);
    a->re = vaddq_s32(re, b_re);
    a->im = vaddq_s32(im, b_im);
    b->re = vsubq_s32(re, b_re);
    b->im = vsubq_s32(im, b_im);
}

static inline void scatter(int32_t *z, uint32x4_t place, complex4 v)
{
    vstrwq_scatter_offset_s32(z, place, v.re);
    vstrwq_scatter_offset_s32(z + 1, place, v.im);
}

static void put_inside(const mcuq_features_params *p, const int16_t *x, int32_t *z, int32_t e,
                       int32_t mean)
{
    const samples s = {x, p->window, p->length, p->x_shift + e, p->pre * (1 << e), mean, p->within};
    const int32_t quarter = 1 << (p->log2_half - 2);
    uint32x4_t index = vidupq_n_u32(0, 1);
    for (int32_t n = 0; n < quarter; n += 4, index = vaddq_n_u32(index, 4)) {
        const uint32x4_t place = vshlq_n_u32(vbrsrq_n_u32(index, p->log2_half - 2), 5);
        complex4 a = windowed(&s, n), c = windowed(&s, n + quarter);
        complex4 b = windowed(&s, n + 2 * quarter), d = windowed(&s, n + 3 * quarter);
        int32x4_t d_re, d_im;
        add_up(&a, &b, vrshrq_n_s32(b.re, 1), vrshrq_n_s32(b.im, 1));
        add_up(&c, &d, vrshrq_n_s32(d.re, 1), vrshrq_n_s32(d.im, 1));
        add_up(&a, &c, vrshrq_n_s32(c.re, 1), vrshrq_n_s32(c.im, 1));
        d_re = vrshrq_n_s32(d.im, 1);
        d_im = vnegq_s32(vrshrq_n_s32(d.re, 1));
        add_up(&b, &d, d_re, d_im);
        scatter(z, place, a);
        scatter(z + 2, place, b);
        scatter(z + 4, place, c);
        scatter(z + 6, place, d);
    }
}

/** Minus half of v, turned by the twiddles. */
static inline complex4 rotated(complex4 v, int32x4_t cos, int32x4_t sin)
{
    complex4 t;
    t.re = vaddq_s32(vmulhq_s32(v.re, cos), vmulhq_s32(v.im, sin));
    t.im = vsubq_s32(vmulhq_s32(v.im, cos), vmulhq_s32(v.re, sin));
    return t;
}

static inline void butterflies(int32x4_t cos, int32x4_t sin, int32_t *a, int32_t *b)
{
    const int32x4x2_t second = vld2q_s32(b), first = vld2q_s32(a);
    const complex4 v = {second.val[0], second.val[1]};
    const complex4 t = rotated(v, cos, sin);
    const int32x4_t re = vshrq_n_s32(first.val[0], 1), im = vshrq_n_s32(first.val[1], 1);
    const int32x4x2_t upper = {{vsubq_s32(re, t.re), vsubq_s32(im, t.im)}};
    const int32x4x2_t lower = {{vaddq_s32(re, t.re), vaddq_s32(im, t.im)}};
    vst2q_s32(a, upper);
    vst2q_s32(b, lower);
}

/** The stage of size 4, whose twiddles stay. */
static void stage_4(const int32_t *w, int32_t *z, int32_t half)
{
    const int32x4_t cos = vldrwq_s32(w), sin = vldrwq_s32(w + 4);
    for (int32_t blocks = half >> 3; blocks > 0; blocks--, z += 16) {
        butterflies(cos, sin, z, z + 8);
    }
}

/** One stage; returns the twiddles of the next one. */
static const int32_t *stage(const int32_t *w, int32_t *z, int32_t half, int32_t size)
{
    for (int32_t block = 0; block < half; block += 2 * size, z += 4 * size) {
        int32_t *a = z, *b = z + 2 * size;
        const int32_t *at = w;
        for (int32_t k = size >> 2; k > 0; k--, a += 8, b += 8, at += 8) {
            butterflies(vldrwq_s32(at), vldrwq_s32(at + 4), a, b);
        }
    }
    return w + 2 * size;
}

/** The spectrum of bins k to k + 3, and of half - k down to half - k - 3. */
static inline void unfold(const int32_t *w, int32_t *a, int32_t *b)
{
    const uint32x4_t back = vddupq_n_u32(24, 8);
    const int32x4x2_t first = vld2q_s32(a);
    const int32x4_t a_re = first.val[0], a_im = first.val[1];
    const int32x4_t b_re = vldrwq_gather_offset_s32(b - 6, back);
    const int32x4_t b_im = vldrwq_gather_offset_s32(b - 5, back);
    const int32x4_t even_re = vhaddq_s32(a_re, b_re), even_im = vhsubq_s32(a_im, b_im);
    const complex4 v = {vaddq_s32(a_im, b_im), vsubq_s32(b_re, a_re)};
    const complex4 t = rotated(v, vldrwq_s32(w), vldrwq_s32(w + 4));
    const int32x4x2_t found = {{vsubq_s32(even_re, t.re), vsubq_s32(even_im, t.im)}};
    vstrwq_scatter_offset_s32(b - 6, back, vaddq_s32(even_re, t.re));
    vstrwq_scatter_offset_s32(b - 5, back, vaddq_s32(even_im, t.im));
    vst2q_s32(a, found);
}

static void spectrum(const mcuq_features_params *p, int32_t *z)
{
    const int32_t half = 1 << p->log2_half;
    const int32_t *w = p->stages + 8;
    int32_t sum, difference;
    stage_4(p->stages, z, half);
    for (int32_t size = 8; size < half; size *= 2) {
        w = stage(w, z, half, size);
    }
    sum = z[0] + z[1];
    difference = z[0] - z[1];
    for (int32_t k = 1; k < half / 2; k += 4, w += 8) {
        unfold(w, z + 2 * k, z + 2 * (half - k));
    }
    z[0] = sum;
    z[1] = 0;
    z[2 * half] = difference;
    z[2 * half + 1] = 0;
    for (int32_t k = half + 1; k > 0; k--, z += 2) {
        mcuq_put_power(z, mcuq_square(z[0]) + mcuq_square(z[1]));
    }
    mcuq_roots(p, z - 2 * (half + 1));
}

/** As mcuq_band; up to three bins more are read, and count for nothing. A function of its own, or
 *  its sums would lie on the stack. */
static __attribute__((noinline)) uint64_t band(const int32_t *z, const int16_t *weights,
                                               int32_t count)
{
    uint64_t low = 0, high = 0;
    for (int32_t fours = count >> 2; fours > 0; fours--, z += 8, weights += 4) {
        const uint32x4x2_t power = vld2q_u32((const uint32_t *)(const void *)z);
        const uint32x4_t w = vreinterpretq_u32_s32(vldrhq_s32(weights));
        low = vmlaldavaq_u32(low, power.val[0], w);
        high = vmlaldavaq_u32(high, power.val[1], w);
    }
    if (count & 3) {
        const uint32x4x2_t power = vld2q_u32((const uint32_t *)(const void *)z);
        const int32x4_t w = vldrhq_z_s32(weights, vctp32q((uint32_t)(count & 3)));
        low = vmlaldavaq_u32(low, power.val[0], vreinterpretq_u32_s32(w));
        high = vmlaldavaq_u32(high, power.val[1], vreinterpretq_u32_s32(w));
    }
    return (high << 17) + (low >> 15);
}

#include "mcuq_features_frames_body.h"

#else
#include "mcuq_features_body.h"
#endif
