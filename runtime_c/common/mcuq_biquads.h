/* Recursive filters of second order, one behind the other. */
#ifndef MCUQ_BIQUADS_H
#define MCUQ_BIQUADS_H

#include "mcuq_signal.h"

enum { MCUQ_BIQUADS_MOST = 8 };

static inline int32_t mcuq_biquad_round(int64_t sum)
{
    const int64_t y = (sum + ((int64_t)1 << 28)) >> 29;

    return y < INT32_MIN ? INT32_MIN : y > INT32_MAX ? INT32_MAX : (int32_t)y;
}

/** v behind all sections; kept [count][2]: u and w. */
static inline int32_t mcuq_biquads(const mcuq_biquad_params *p, int32_t v, int32_t *kept)
{
    const int32_t *c = p->sections;
    const int64_t one = (int64_t)1 << 29;

    for (int32_t k = 0; k < p->count; k++, c += 5, kept += 2) {
        const int32_t y = mcuq_biquad_round((int64_t)c[0] * v + kept[0] * one);
        kept[0] = mcuq_biquad_round((int64_t)c[1] * v - (int64_t)c[3] * y + kept[1] * one);
        kept[1] = mcuq_biquad_round((int64_t)c[2] * v - (int64_t)c[4] * y);
        v = y;
    }
    return v;
}

/** The samples of one channel, which lie `channels` apart. */
static inline void mcuq_biquad_channel(const mcuq_biquad_params *p, const int16_t *x, int16_t *to,
                                       int32_t *kept)
{
    for (int32_t t = p->samples; t > 0; t--, x += p->channels, to += p->channels) {
        const int32_t y = mcuq_biquads(p, *x * 4096, kept);
        const int32_t rounded = (y >> 12) + ((y >> 11) & 1);
        *to = (int16_t)(rounded < -32768 ? -32768 : rounded > 32767 ? 32767 : rounded);
    }
}

#endif
