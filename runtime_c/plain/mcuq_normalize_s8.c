#include "mcuq_normalize.h"

#include "mcuq_requant.h"
#include "mcuq_row_scale.h"

static mcuq_row_scale measured(const mcuq_normalize_params *p, const int8_t *in)
{
    const int32_t inner = p->size[3], step = p->size[2] * inner;
    uint32_t sum = 0, squares = 0;

    for (int32_t c = 0; c < p->size[1]; c++) {
        for (int32_t i = 0; i < inner; i++) {
            const uint32_t w = (uint32_t)(in[i] + 128);
            sum += w;
            squares += w * w;
        }
        in += step;
    }
    return mcuq_row_scale_of(p, sum, squares);
}

static void apply(const mcuq_normalize_params *p, const mcuq_row_scale *row, int32_t first,
                  const int8_t *in, int8_t *out)
{
    const int32_t inner = p->size[3], step = p->size[2] * inner;
    const int32_t low = p->out_min, high = p->out_max;
    const int32_t mean = row->mean - 128 * 128, factor = row->factor, half = row->half;
    const int shift = p->shift, row_shift = row->shift;
    const int16_t *gamma = p->gamma + first;
    const int32_t *beta = p->beta + first;

    for (int32_t c = 0; c < p->size[1]; c++) {
        for (int32_t i = 0; i < inner; i++) {
            const int32_t t = ((128 * in[i] - mean) * factor + half) >> row_shift;
            out[i] = mcuq_requant(t * gamma[i] + beta[i], shift, low, high);
        }
        in += step;
        out += step;
        gamma += p->gamma_step[1];
        beta += p->gamma_step[1];
    }
}

void mcuq_normalize_s8(const mcuq_normalize_params *p, const int8_t *in, int8_t *out)
{
    const int32_t inner = p->size[3], block = p->size[1] * p->size[2] * inner;

    for (int32_t o = 0; o < p->size[0]; o++) {
        for (int32_t g = 0; g < p->size[2]; g++) {
            const mcuq_row_scale row = measured(p, in + g * inner);
            apply(p, &row, o * p->gamma_step[0] + g * inner, in + g * inner, out + g * inner);
        }
        in += block;
        out += block;
    }
}
