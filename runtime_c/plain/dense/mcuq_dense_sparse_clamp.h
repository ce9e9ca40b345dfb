/* mcuq_dense_sparse_clamp.h: the narrower range of outputs that were limited to int8. */
#ifndef MCUQ_DENSE_SPARSE_CLAMP_H
#define MCUQ_DENSE_SPARSE_CLAMP_H

#include "mcuq_requant.h"

/** The values from `at` to `end` limited to [low, high]; nothing to do for [-128, 127]. */
static inline void mcuq_sparse_clamp(int8_t *at, const int8_t *end, int32_t low, int32_t high)
{
    if (low != -128 || high != 127) {
        for (; at != end; at++) {
            *at = (int8_t)mcuq_clamp(*at, low, high);
        }
    }
}

#endif
