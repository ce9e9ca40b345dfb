/* mcuq_features_fft.h: what all forms of features share: a windowed sample, the unfolding of the
 * complex FFT of half the length to powers, and the sums of bands. */
#ifndef MCUQ_FEATURES_FFT_H
#define MCUQ_FEATURES_FFT_H

#include "mcuq_spectrum.h"

/** v of the sample i of a frame. */
static inline int32_t mcuq_windowed(const mcuq_features_params *p, int32_t x, int32_t before,
                                    int32_t i, int32_t e, int32_t mean)
{
    const int32_t y = x * (1 << (p->x_shift + e)) - before * (p->pre * (1 << e)) - mean;
    return mcuq_halved(y, p->window[i]);
}

/** The number after `place` in the order of reversed bits, below half. */
static inline int32_t mcuq_next_reversed(int32_t place, int32_t half)
{
    int32_t bit = half >> 1;
    while (place & bit) {
        place ^= bit;
        bit >>= 1;
    }
    return place | bit;
}

/** The bits of all magnitudes of a frame, and the sum of its samples. */
static inline int32_t mcuq_survey(const mcuq_features_params *p, const int16_t *x, int32_t *sum)
{
    int32_t bits = 0, total = 0;
    for (int32_t i = 0; i < p->length; i++) {
        bits |= x[i] ^ (x[i] >> 15);
        total += x[i];
    }
    *sum = total;
    return bits;
}

/** The first two stages, which only add: four neighbours at a time. Halves of what is turned are
 *  rounded up, as it was negated before. */
static inline void mcuq_first_stages(int32_t *z, int32_t half)
{
    for (int32_t i = 0; i < half; i += 4, z += 8) {
        const int32_t b_re = (z[2] + 1) >> 1, b_im = (z[3] + 1) >> 1;
        const int32_t d_re = (z[6] + 1) >> 1, d_im = (z[7] + 1) >> 1;
        const int32_t y0_re = (z[0] >> 1) + b_re, y0_im = (z[1] >> 1) + b_im;
        const int32_t y1_re = (z[0] >> 1) - b_re, y1_im = (z[1] >> 1) - b_im;
        const int32_t y2_re = ((z[4] >> 1) + d_re + 1) >> 1, y2_im = ((z[5] >> 1) + d_im + 1) >> 1;
        const int32_t y3_re = ((z[4] >> 1) - d_re + 1) >> 1, y3_im = ((z[5] >> 1) - d_im + 1) >> 1;
        z[0] = (y0_re >> 1) + y2_re;
        z[1] = (y0_im >> 1) + y2_im;
        z[2] = (y1_re >> 1) + y3_im;
        z[3] = (y1_im >> 1) - y3_re;
        z[4] = (y0_re >> 1) - y2_re;
        z[5] = (y0_im >> 1) - y2_im;
        z[6] = (y1_re >> 1) - y3_im;
        z[7] = (y1_im >> 1) + y3_re;
    }
}

/** t is minus half of (re, im), turned by the twiddle. */
static inline void mcuq_rotate(const int16_t *w, int32_t re, int32_t im, int32_t *t)
{
    t[0] = mcuq_halved(re, w[0]) + mcuq_halved(im, w[1]);
    t[1] = mcuq_halved(im, w[0]) - mcuq_halved(re, w[1]);
}

/** The powers of the bins k and half - k from what the complex FFT has there. */
static inline void mcuq_unfold(const int16_t *w, int32_t *a, int32_t *b)
{
    const int32_t even_re = (a[0] + b[0]) >> 1, even_im = (a[1] - b[1]) >> 1;
    int32_t t[2];
    mcuq_rotate(w, a[1] + b[1], b[0] - a[0], t);
    mcuq_put_power(b, mcuq_square(even_re + t[0]) + mcuq_square(even_im + t[1]));
    mcuq_put_power(a, mcuq_square(even_re - t[0]) + mcuq_square(even_im - t[1]));
}

/** z, [half][2] from the complex FFT, becomes the powers of half + 1 bins. */
static inline void mcuq_unfold_all(const mcuq_features_params *p, int32_t *z)
{
    const int32_t half = 1 << p->log2_half;
    const int32_t sum = z[0] + z[1], difference = z[0] - z[1];
    for (int32_t k = 1; k <= half / 2; k++) {
        mcuq_unfold(p->twiddles + 2 * k, z + 2 * k, z + 2 * (half - k));
    }
    mcuq_put_power(z, mcuq_square(sum));
    mcuq_put_power(z + 2 * half, mcuq_square(difference));
}

/** The powers of all bins become roots, if these are wanted. */
static inline void mcuq_roots(const mcuq_features_params *p, int32_t *z)
{
    const int32_t bins = p->root ? (1 << p->log2_half) + 1 : 0;
    for (int32_t k = 0; k < bins; k++) {
        mcuq_put_root(z + 2 * k, p->root);
    }
}

/** (sum of weights * values) >> 15. The upper words add up to less than 2^44. */
static inline uint64_t mcuq_band(const int32_t *z, const int16_t *weights, int32_t count)
{
    uint64_t low = 0, high = 0;
    for (int32_t i = 0; i < count; i++) {
        low += mcuq_weighted((uint32_t)z[2 * i], (uint32_t)weights[i]);
        high += mcuq_weighted((uint32_t)z[2 * i + 1], (uint32_t)weights[i]);
    }
    return (high << 17) + (low >> 15);
}

#endif
