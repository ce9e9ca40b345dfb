/* mcuq_features_frames_dsp_body.h: the body of features with the DSP extension; see
 * mcuq_features_frames_body.h.
 *
 * A butterfly takes about 17 instructions, two samples that are windowed 14.
 *
 * Parameters, which the includer defines before:
 *     element: a type, of the output: int8_t or int16_t
 */
#include "mcuq_spectrum_dsp.h"

#define survey_inside mcuq_survey
#define band mcuq_band

static inline uint32_t pair(const int16_t *at)
{
    uint32_t word;
    memcpy(&word, at, 4);
    return word;
}

/** Samples without emphasis and mean: two at a time. */
static void put_plain(const mcuq_features_params *p, const int16_t *x, int32_t *z, int32_t e)
{
    const int32_t factor = 1 << (p->x_shift + e), pairs = p->length >> 1;
    for (int32_t i = 0; i < pairs; i++) {
        int32_t *const at = z + 2 * mcuq_reversed(i, p->log2_half);
        const uint32_t w = pair(p->window + 2 * i);
        at[0] = mcuq_halved_low(x[2 * i] * factor, w);
        at[1] = mcuq_halved_high(x[2 * i + 1] * factor, w);
    }
}

static void put_emphasised(const mcuq_features_params *p, const int16_t *x, int32_t *z, int32_t e,
                           int32_t mean)
{
    const int32_t factor = 1 << (p->x_shift + e), emphasis = p->pre * (1 << e);
    const int32_t pairs = p->length >> 1;
    int32_t before = p->pre && !p->within ? x[-1] : x[0];
    for (int32_t i = 0; i < pairs; i++) {
        int32_t *const at = z + 2 * mcuq_reversed(i, p->log2_half);
        const uint32_t w = pair(p->window + 2 * i);
        const int32_t first = x[2 * i], second = x[2 * i + 1];
        at[0] = mcuq_halved_low(first * factor - before * emphasis - mean, w);
        at[1] = mcuq_halved_high(second * factor - first * emphasis - mean, w);
        before = second;
    }
}

static void put_inside(const mcuq_features_params *p, const int16_t *x, int32_t *z, int32_t e,
                       int32_t mean)
{
    const int32_t last = p->length - 1;
    memset(z, 0, (size_t)8 << p->log2_half);
    if (p->pre == 0 && mean == 0) {
        put_plain(p, x, z, e);
    } else {
        put_emphasised(p, x, z, e, mean);
    }
    if (p->length & 1) {
        z[2 * mcuq_reversed(last >> 1, p->log2_half)] =
            mcuq_windowed(p, x[last], x[last - (last > 0)], last, e, mean);
    }
    mcuq_first_stages(z, 1 << p->log2_half);
}

static inline void rotate(uint32_t w, int32_t re, int32_t im, int32_t *t)
{
    t[0] = mcuq_add_halved_high(mcuq_halved_low(re, w), im, w);
    t[1] = mcuq_halved_low(im, w) - mcuq_halved_high(re, w);
}

static void stage(const int16_t *twiddles, int32_t *z, int32_t half, int32_t size)
{
    int32_t *const end = z + 2 * half;
    for (int32_t k = 0; k < size; k++, twiddles += 2 * (half / size)) {
        const uint32_t w = pair(twiddles);
        for (int32_t *a = z + 2 * k; a < end; a += 4 * size) {
            int32_t *const b = a + 2 * size;
            const int32_t a_re = a[0], a_im = a[1];
            int32_t t[2];
            rotate(w, b[0], b[1], t);
            a[0] = (a_re >> 1) - t[0];
            a[1] = (a_im >> 1) - t[1];
            b[0] = (a_re >> 1) + t[0];
            b[1] = (a_im >> 1) + t[1];
        }
    }
}

static void unfold(const mcuq_features_params *p, int32_t *z)
{
    const int32_t half = 1 << p->log2_half;
    const int32_t sum = z[0] + z[1], difference = z[0] - z[1];
    const int16_t *w = p->twiddles + 2;
    for (int32_t k = 1; k <= half / 2; k++, w += 2) {
        int32_t *const a = z + 2 * k, *const b = z + 2 * (half - k);
        const int32_t even_re = (a[0] + b[0]) >> 1, even_im = (a[1] - b[1]) >> 1;
        int32_t t[2];
        rotate(pair(w), a[1] + b[1], b[0] - a[0], t);
        mcuq_put_power(b, mcuq_square(even_re + t[0]) + mcuq_square(even_im + t[1]));
        mcuq_put_power(a, mcuq_square(even_re - t[0]) + mcuq_square(even_im - t[1]));
    }
    mcuq_put_power(z, mcuq_square(sum));
    mcuq_put_power(z + 2 * half, mcuq_square(difference));
}

static void spectrum(const mcuq_features_params *p, int32_t *z)
{
    const int32_t half = 1 << p->log2_half;
    for (int32_t size = 4; size < half; size *= 2) {
        stage(p->twiddles, z, half, size);
    }
    unfold(p, z);
    mcuq_roots(p, z);
}

#include "mcuq_features_frames_body.h"
