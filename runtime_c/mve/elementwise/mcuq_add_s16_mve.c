#include "mcuq_int16_mve.h"

#if defined(__ARM_FEATURE_MVE)

/** The sum and requantization of q0 and q1. q3 holds mul_a, q4 and q5 the range. */
#define SUM                                                                                        \
    "vmlas.s32 q0, q3, %[bias]\n vmla.s32 q0, q1, %[mul_b]\n"                                      \
    "vshl.s32 q0, %[shift]\n vmax.s32 q0, q0, q4\n vmin.s32 q0, q0, q5\n"

/** Nine instructions for four elements. */
void mcuq_add_s16_mve(const mcuq_add_s16_params *p, const void *a, const void *b, void *out)
{
    const int16_t range[2] = {p->out_min, p->out_max};
    __asm volatile("vdup.32 q3, %[mul_a]\n ldrsh lr, [%[range]]\n vdup.32 q4, lr\n"
                   "ldrsh lr, [%[range], #2]\n vdup.32 q5, lr\n"
                   "lsrs lr, %[count], #2\n beq 2f\n dls lr, lr\n"
                   "1: vldrh.s32 q0, [%[a]], #8\n vldrh.s32 q1, [%[b]], #8\n" SUM
                   "vstrh.32 q0, [%[out]], #8\n le lr, 1b\n"
                   "2: ands lr, %[count], #3\n beq 3f\n vctp.32 lr\n"
                   "vpstt\n vldrht.s32 q0, [%[a]]\n vldrht.s32 q1, [%[b]]\n" SUM
                   "vpst\n vstrht.32 q0, [%[out]]\n 3:\n"
                   : [a] "+&l"(a), [b] "+&l"(b), [out] "+&l"(out)
                   : [mul_a] "h"(p->mul_a), [mul_b] "h"(p->mul_b), [bias] "h"(p->bias),
                     [shift] "r"(-p->shift), [range] "r"(range), [count] "r"(p->count)
                   : "q0", "q1", "q3", "q4", "q5", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

#else

void mcuq_add_s16_mve(const mcuq_add_s16_params *p, const void *a, const void *b, void *out)
{
    const int16_t *x = a, *y = b;
    int16_t *to = out;
    for (int32_t i = 0; i < p->count; i++) {
        const int32_t sum = x[i] * p->mul_a + y[i] * p->mul_b + p->bias;
        to[i] = mcuq_requant_int16(sum, p->shift, p->out_min, p->out_max);
    }
}

#endif
