#include "mcuq_signal.h"

static int32_t sum_of(const mcuq_decide_params *p, const int8_t *scores, int32_t c)
{
    const int16_t *wide = (const int16_t *)(const void *)scores;
    int32_t sum = 0;

    for (int32_t i = 0, at = c; i < p->count; i++, at += p->classes) {
        sum += p->wide ? wide[at] : scores[at];
    }
    return sum;
}

void mcuq_decide_s16(const mcuq_decide_params *p, const int8_t *scores, const int8_t *before,
                     int8_t *out)
{
    const int16_t *last = (const int16_t *)(const void *)before;
    int16_t *to = (int16_t *)(void *)out;
    int32_t held = last[1], wait = last[2] > 0 ? last[2] - 1 : 0;
    int32_t best = 0, most = INT32_MIN;

    for (int32_t c = 0; c < p->classes; c++) {
        const int32_t sum = sum_of(p, scores, c);
        if (c + 1 == held && sum < p->off) {
            held = 0;
        }
        if (p->counted[c] && sum > most) {
            most = sum;
            best = c + 1;
        }
    }
    to[0] = 0;
    if (held == 0 && wait == 0 && best > 0 && most >= p->on) {
        to[0] = (int16_t)best;
        held = best;
        wait = p->refractory;
    }
    to[1] = (int16_t)held;
    to[2] = (int16_t)wait;
}
