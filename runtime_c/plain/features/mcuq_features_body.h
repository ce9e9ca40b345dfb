/* mcuq_features_body.h: the body of features on any core; see mcuq_features_frames_body.h.
 *
 * Parameters, which the includer defines before:
 *     element: a type, of the output: int8_t or int16_t
 */
#include <string.h>

#include "mcuq_features_fft.h"

#define survey_inside mcuq_survey
#define band mcuq_band

static void put_inside(const mcuq_features_params *p, const int16_t *x, int32_t *z, int32_t e,
                       int32_t mean)
{
    const int32_t half = 1 << p->log2_half;
    int32_t before = p->pre && !p->within ? x[-1] : x[0], place = 0;
    memset(z, 0, (size_t)8 * (size_t)half);
    for (int32_t i = 0; i < p->length; i++) {
        z[2 * place + (i & 1)] = mcuq_windowed(p, x[i], before, i, e, mean);
        before = x[i];
        place = (i & 1) ? mcuq_next_reversed(place, half) : place;
    }
    mcuq_first_stages(z, half);
}

static void stage(const int16_t *w, int32_t *z, int32_t half, int32_t size)
{
    for (int32_t k = 0; k < size; k++, w += 2 * (half / size)) {
        for (int32_t *a = z + 2 * k; a < z + 2 * half; a += 4 * size) {
            int32_t *const b = a + 2 * size;
            const int32_t a_re = a[0] >> 1, a_im = a[1] >> 1;
            int32_t t[2];
            mcuq_rotate(w, b[0], b[1], t);
            a[0] = a_re - t[0];
            a[1] = a_im - t[1];
            b[0] = a_re + t[0];
            b[1] = a_im + t[1];
        }
    }
}

static void spectrum(const mcuq_features_params *p, int32_t *z)
{
    const int32_t half = 1 << p->log2_half;
    for (int32_t size = 4; size < half; size *= 2) {
        stage(p->twiddles, z, half, size);
    }
    mcuq_unfold_all(p, z);
    mcuq_roots(p, z);
}

#include "mcuq_features_frames_body.h"
