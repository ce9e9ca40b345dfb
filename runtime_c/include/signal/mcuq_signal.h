/* mcuq_signal.h: what is computed before and behind a network. */
#ifndef MCUQ_SIGNAL_H
#define MCUQ_SIGNAL_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const uint8_t *counted; /* [classes]: 0 for a class that never begins */
    int32_t count, classes;
    int32_t wide; /* 1: scores are int16_t, 0: int8_t */
    int32_t on,
        off; /* a class begins where the sum of its scores is on, or more, and ends below off */
    int32_t refractory; /* steps from one beginning to the next, at least */
} mcuq_decide_params;

/** scores [count][classes] and before int16_t [3], what the last step wrote, to out int16_t [3]:
 * the class that begins, the one that is held, from 1, 0 for none, and the steps to wait. out may
 * be before. */
void mcuq_decide_s16(const mcuq_decide_params *p, const int8_t *scores, const int8_t *before,
                     int8_t *out);

#endif
