#include "mcuq_int16_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include "mcuq_mve_between.h"

/** 21 instructions for 8 values. Products of 32 bits would lack the upper half of an odd last value
 *  in a loop that is predicated as a whole. */
void mcuq_lut_s16_mve(const mcuq_lut_s16_params *p, const void *in, void *out)
{
    int32_t left = p->count;
    __asm volatile("vmov.i16 q5, #0x8000\n vmov.i16 q6, #127\n vmov.i16 q7, #128\n"
                   "1: vctp.16 %[left]\n vpst\n vldrht.u16 q0, [%[in]], #16\n veor q0, q0, "
                   "q5\n" MCUQ_MVE_BETWEEN
                   "vpst\n vstrht.16 q0, [%[out]], #16\n subs %[left], #8\n bgt 1b\n"
                   : [in] "+&r"(in), [out] "+&r"(out), [left] "+&r"(left)
                   : [table] "r"(p->table), [next] "r"(p->table + 1)
                   : "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", MCUQ_MVE_VPR, "cc", "memory");
}

#else

void mcuq_lut_s16_mve(const mcuq_lut_s16_params *p, const void *in, void *out)
{
    const int16_t *x = in;
    int16_t *to = out;
    for (int32_t i = 0; i < p->count; i++) {
        const int32_t place = x[i] + 32768, rest = place & 127;
        const int16_t *const entry = p->table + (place >> 7);
        to[i] = (int16_t)((entry[0] * (128 - rest) + entry[1] * rest + 64) >> 7);
    }
}

#endif
