#include "mcuq_normalize.h"

#include "mcuq_row_scale.h"

static mcuq_row_scale measured(const mcuq_normalize_s16_params *p, const int16_t *in)
{
    const int32_t inner = p->size[3], step = p->size[2] * inner;
    mcuq_row_sums sums = {0, 0};

    for (int32_t c = 0; c < p->size[1]; c++) {
        for (int32_t i = 0; i < inner; i++) {
            sums.sum += in[i];
            sums.squares += (uint32_t)(in[i] * in[i]);
        }
        in += step;
    }
    return mcuq_row_scale_of_s16(p, sums);
}

static void apply(const mcuq_normalize_s16_params *p, const mcuq_row_scale *row, int32_t first,
                  const int16_t *in, int16_t *out)
{
    const int32_t inner = p->size[3], step = p->size[2] * inner;
    const int32_t low = p->out_min, high = p->out_max;
    const int16_t *gamma = p->gamma + first;
    const int32_t *beta = p->beta + first;

    for (int32_t c = 0; c < p->size[1]; c++) {
        for (int32_t i = 0; i < inner; i++) {
            const int32_t t = mcuq_row_wide(row, in[i]);
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
