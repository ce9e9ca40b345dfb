/* Statistics of windows of samples; the includer writes what comes out. */
#ifndef MCUQ_STATISTICS_WINDOWS_H
#define MCUQ_STATISTICS_WINDOWS_H

#include "mcuq_signal.h"

enum { MCUQ_MEAN, MCUQ_RMS, MCUQ_MIN, MCUQ_MAX, MCUQ_CROSSINGS };

static inline int32_t mcuq_root(uint64_t square)
{
    uint32_t root = 0;

    for (uint32_t bit = 1u << 19; bit > 0; bit >>= 1) {
        const uint32_t next = root | bit;
        if ((uint64_t)next * next <= square) {
            root = next;
        }
    }
    return (int32_t)root;
}

/** found: the statistics of the `frame` samples at x, `channels` apart, by their numbers above. */
static inline void mcuq_window(const mcuq_statistics_params *p, const int16_t *x, int32_t *found)
{
    int32_t sum = 0, least = *x, most = *x, changes = 0, last = *x;
    uint64_t squares = 0;

    for (int32_t i = p->frame; i > 0; i--, x += p->channels) {
        const int32_t value = *x;
        sum += value;
        squares += (uint32_t)(value * value);
        least = value < least ? value : least;
        most = value > most ? value : most;
        changes += (value < 0) != (last < 0);
        last = value;
    }
    found[MCUQ_MEAN] = sum;
    found[MCUQ_RMS] = mcuq_root((squares << 8) / (uint32_t)p->frame);
    found[MCUQ_MIN] = least;
    found[MCUQ_MAX] = most;
    found[MCUQ_CROSSINGS] = changes;
}

static inline int32_t mcuq_statistic(const mcuq_statistics_params *p, int32_t k, int32_t value)
{
    const int32_t shift = p->shift[k];
    const int64_t half = shift > 0 ? (int64_t)1 << (shift - 1) : 0;
    const int64_t y = (((int64_t)value * p->mult[k] + half) >> shift) + p->zero;

    return y < p->out_min ? p->out_min : y > p->out_max ? p->out_max : (int32_t)y;
}

#endif
