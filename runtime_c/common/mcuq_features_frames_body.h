/* mcuq_features_frames_body.h: features, a frame at a time.
 *
 * Parameters, which the includer defines before:
 *     element: a type, of the output: int8_t or int16_t
 *     put_inside(p, x, z, e, mean): windowed samples of a frame that lies whole within `in`,
 *         behind the first two stages of the FFT, to z, [points / 2][2]
 *     spectrum(p, z): the stages that are left, to powers
 *     survey_inside(p, x, &sum): as survey
 *     band(z, weights, count): as mcuq_band
 */
#include <string.h>

#include "mcuq_features_fft.h"

/** The sample at a place that may lie around `in`. */
static int32_t around(const mcuq_features_params *p, const int16_t *in, int32_t at)
{
    if (p->reflect) {
        at = (at < 0) ? -at : at;
        at = (at < p->samples) ? at : 2 * (p->samples - 1) - at;
    }
    return (at >= 0 && at < p->samples) ? in[at] : 0;
}

/** The bits of all magnitudes of a frame, and the sum of its samples. */
static int32_t survey(const mcuq_features_params *p, const int16_t *in, int32_t first, int32_t *sum)
{
    int32_t bits = 0, total = 0;
    for (int32_t i = 0; i < p->length; i++) {
        const int32_t x = around(p, in, first + i);
        bits |= x ^ (x >> 15);
        total += x;
    }
    *sum = total;
    return bits;
}

static void put_around(const mcuq_features_params *p, const int16_t *in, int32_t first, int32_t *z,
                       int32_t e, int32_t mean)
{
    const int32_t half = 1 << p->log2_half;
    int32_t before = around(p, in, p->within ? first : first - 1);
    int32_t place = 0;
    memset(z, 0, (size_t)8 * (size_t)half);
    for (int32_t i = 0; i < p->length; i++) {
        const int32_t x = around(p, in, first + i);
        z[2 * place + (i & 1)] = mcuq_windowed(p, x, before, i, e, mean);
        before = x;
        place = (i & 1) ? mcuq_next_reversed(place, half) : place;
    }
    mcuq_first_stages(z, half);
}

/** Samples to the powers of a frame; returns how often the samples were doubled. */
static int32_t frame(const mcuq_features_params *p, const int16_t *in, int32_t first, int32_t *z)
{
    const int32_t from = p->pre ? first - 1 : first;
    const int32_t inside = from >= 0 && first + p->length <= p->samples;
    int32_t sum, bits, mean, e;
    bits = inside ? survey_inside(p, in + first, &sum) : survey(p, in, first, &sum);
    if (p->pre && !p->within) {
        const int32_t x = around(p, in, first - 1);
        bits |= x ^ (x >> 15);
    }
    e = bits ? mcuq_zeros32((uint32_t)bits) - 17 : 15;
    mean = p->dc ? (int32_t)(((int64_t)sum * p->dc) >> 16) * (1 << e) : 0;
    if (inside) {
        put_inside(p, in + first, z, e, mean);
    } else {
        put_around(p, in, first, z, e, mean);
    }
    spectrum(p, z);
    return e;
}

/** The logarithms of all bands. */
static void logarithms(const mcuq_features_params *p, int32_t *z, int32_t e, int16_t *logs)
{
    const int16_t *weight = p->mel;
    const int32_t shift = p->root ? e : 2 * e;
    for (int32_t i = 0; i < p->band_count; i++) {
        const int32_t count = p->bands[2 * i + 1];
        uint64_t b = band(z + 2 * p->bands[2 * i], weight, count) >> shift;
        b = ((b > p->floor) ? b : p->floor) + p->added;
        logs[i] = (int16_t)mcuq_log2(b ? b : 1, p->log2);
        weight += count;
    }
}

static void rows(const mcuq_features_params *p, const int16_t *logs, element *out)
{
    for (int32_t row = 0; row < p->out_len; row++) {
        int32_t sum = p->offset[row];
        if (p->alone) {
            sum += p->mix[row] * logs[row];
        } else {
            const int16_t *const mix = p->mix + row * p->band_count;
            for (int32_t i = 0; i < p->band_count; i++) {
                sum += mix[i] * logs[i];
            }
        }
        out[row] = (element)mcuq_clamp(sum >> p->shift[row], p->out_min, p->out_max);
    }
}

static inline void run(const mcuq_features_params *p, const int8_t *in, int8_t *out, void *scratch)
{
    const int16_t *const x = (const int16_t *)(const void *)in;
    element *y = (element *)(void *)out;
    int32_t *const z = scratch;
    int16_t *const logs = (int16_t *)(void *)(z + 2 * ((1 << p->log2_half) + 1));
    for (int32_t t = 0; t < p->frames; t++) {
        const int32_t e = frame(p, x, p->start + t * p->hop, z);
        logarithms(p, z, e, logs);
        rows(p, logs, y);
        y += p->out_len;
    }
}
