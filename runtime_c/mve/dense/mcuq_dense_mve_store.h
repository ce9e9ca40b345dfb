/* mcuq_dense_mve_store.h: sums of a dense layer to outputs, with Helium (MVE). */
#ifndef MCUQ_DENSE_MVE_STORE_H
#define MCUQ_DENSE_MVE_STORE_H

#include "mcuq_mve.h"

#if defined(__ARM_FEATURE_MVE)

/** out[o] = clamp(acc[o] >> shift[o]): 7 instructions for 4 outputs. */
static inline void mcuq_mve_store_outputs(const int8_t *range, const int32_t *acc,
                                          const int8_t *minus_shift, int8_t *out, int32_t count)
{
    __asm volatile("ldrsb lr, [%[range]]\n vdup.32 q2, lr\n"
                   "ldrsb lr, [%[range], #1]\n vdup.32 q3, lr\n"
                   "lsrs lr, %[count], #2\n beq 2f\n dls lr, lr\n"
                   "1: vldrw.u32 q0, [%[acc]], #16\n vldrb.s32 q1, [%[shift]], #4\n"
                   "vshl.s32 q0, q0, q1\n vmax.s32 q0, q0, q2\n vmin.s32 q0, q0, q3\n"
                   "vstrb.32 q0, [%[out]], #4\n le lr, 1b\n"
                   "2: ands lr, %[count], #3\n beq 3f\n vctp.32 lr\n"
                   "vldrw.u32 q0, [%[acc]]\n vldrb.s32 q1, [%[shift]]\n"
                   "vshl.s32 q0, q0, q1\n vmax.s32 q0, q0, q2\n vmin.s32 q0, q0, q3\n"
                   "vpst\n vstrbt.32 q0, [%[out]]\n 3:\n"
                   : [acc] "+&r"(acc), [shift] "+&l"(minus_shift), [out] "+&l"(out)
                   : [count] "r"(count), [range] "r"(range)
                   : "q0", "q1", "q2", "q3", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

#else

static inline void mcuq_mve_store_outputs(const int8_t *range, const int32_t *acc,
                                          const int8_t *minus_shift, int8_t *out, int32_t count)
{
    for (int32_t o = 0; o < count; o++) {
        out[o] = mcuq_requant(acc[o], -minus_shift[o], range[0], range[1]);
    }
}

#endif

#endif
