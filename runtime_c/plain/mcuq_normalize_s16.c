#include "mcuq_normalize.h"

#include "mcuq_row_scale.h"

static mcuq_row_scale measured(const mcuq_normalize_s16_params *p, const int16_t *in)
{
    const int32_t inner = p->size[3], step = p->size[2] * inner;
    const uint32_t n = (uint32_t)(p->size[1] * inner), zero = (uint32_t)p->zero;
    mcuq_row_scale row = {0};
    uint32_t sum = 0;
    uint64_t squares = 0, spread;

    for (int32_t c = 0; c < p->size[1]; c++) {
        for (int32_t i = 0; i < inner; i++) {
            const uint32_t w = (uint32_t)(in[i] + 32768);
            sum += w;
            squares += w * w;
        }
        in += step;
    }
    if (p->centered) {
        row.mean = (int32_t)((128u * (uint64_t)sum + n / 2u) / n);
        spread = n * squares - (uint64_t)sum * sum;
    } else {
        row.mean = (int32_t)(128u * zero);
        spread = n * (squares - 2u * zero * (uint64_t)sum + n * (uint64_t)zero * zero);
    }
    spread += (uint64_t)p->epsilon << p->epsilon_shift;
    mcuq_row_invert(&row, (spread > 0) ? spread : 1u, n, p->frac, 62);
    return row;
}

static void apply(const mcuq_normalize_s16_params *p, const mcuq_row_scale *row, int32_t first,
                  const int16_t *in, int16_t *out)
{
    const int32_t inner = p->size[3], step = p->size[2] * inner;
    const int32_t low = p->out_min, high = p->out_max;
    const int32_t mean = row->mean - 128 * 32768, factor = row->factor;
    const int64_t half = (row->shift > 0) ? (int64_t)1 << (row->shift - 1) : 0;
    const int16_t *gamma = p->gamma + first;
    const int32_t *beta = p->beta + first;

    for (int32_t c = 0; c < p->size[1]; c++) {
        for (int32_t i = 0; i < inner; i++) {
            const int64_t far = (int64_t)(128 * in[i] - mean) * factor;
            const int32_t t = (int32_t)((far + half) >> row->shift);
            out[i] = (int16_t)mcuq_clamp((t * gamma[i] + beta[i]) >> p->shift, low, high);
        }
        in += step;
        out += step;
        gamma += p->gamma_step[1];
        beta += p->gamma_step[1];
    }
}

void mcuq_normalize_s16(const mcuq_normalize_s16_params *p, const void *in, void *out)
{
    const int32_t inner = p->size[3], block = p->size[1] * p->size[2] * inner;
    const int16_t *from = in;
    int16_t *to = out;

    for (int32_t o = 0; o < p->size[0]; o++) {
        for (int32_t g = 0; g < p->size[2]; g++) {
            const mcuq_row_scale row = measured(p, from + g * inner);
            apply(p, &row, o * p->gamma_step[0] + g * inner, from + g * inner, to + g * inner);
        }
        from += block;
        to += block;
    }
}
