#include "mcuq_statistics_windows.h"

void mcuq_statistics_s16(const mcuq_statistics_params *p, const int8_t *in, int8_t *out)
{
    const int16_t *x = (const int16_t *)(const void *)in + p->start * p->channels;
    int16_t *to = (int16_t *)(void *)out;

    for (int32_t t = p->frames; t > 0; t--, x += p->hop * p->channels) {
        for (int32_t c = 0; c < p->channels; c++) {
            int32_t found[5];
            mcuq_window(p, x + c, found);
            for (int32_t k = 0; k < p->count; k++) {
                to[k * p->channels + c] = (int16_t)mcuq_statistic(p, k, found[p->kinds[k]]);
            }
        }
        to += p->count * p->channels;
    }
}
