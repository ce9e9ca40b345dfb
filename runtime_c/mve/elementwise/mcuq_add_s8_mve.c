#include "mcuq_elementwise_mve.h"
#include "mcuq_requant.h"

#if defined(__ARM_FEATURE_MVE)

/** The sum and requantization of vectors q0 and q1 of `lane` (s16 or s32): 5 instructions. q3 holds
 *  mul_a, q4 and q5 the range. */
#define SUM(lane)                                                                                  \
    "vmlas." lane " q0, q3, %[bias]\n vmla." lane " q0, q1, %[mul_b]\n"                            \
    "vshl." lane " q0, %[shift]\n vmax." lane " q0, q0, q4\n vmin." lane " q0, q0, q5\n"

/** All elements, as many a turn as a vector of `bits` bits has lanes. */
#define ADD(bits, log2_lanes, lanes_1)                                                             \
    __asm volatile(                                                                                \
        "vdup." bits " q3, %[mul_a]\n ldrsb lr, [%[range]]\n vdup." bits " q4, lr\n"               \
        "ldrsb lr, [%[range], #1]\n vdup." bits " q5, lr\n"                                        \
        "lsrs lr, %[count], #" log2_lanes "\n beq 2f\n dls lr, lr\n"                               \
        "1: vldrb.s" bits " q0, [%[a]], #" lanes_1 " + 1\n"                                        \
        "vldrb.s" bits " q1, [%[b]], #" lanes_1                                                    \
        " + 1\n" SUM("s" bits) "vstrb." bits " q0, [%[out]], #" lanes_1 " + 1\n le lr, 1b\n"       \
                               "2: ands lr, %[count], #" lanes_1 "\n beq 3f\n vctp." bits " lr\n"  \
                               "vpstt\n vldrbt.s" bits " q0, [%[a]]\n vldrbt.s" bits               \
                               " q1, [%[b]]\n" SUM("s" bits) "vpst\n vstrbt." bits                 \
                                                             " q0, [%[out]]\n 3:\n"                \
        : [a] "+&l"(a), [b] "+&l"(b), [out] "+&l"(out)                                             \
        : [mul_a] "h"(p->mul_a), [mul_b] "h"(p->mul_b), [bias] "h"(p->bias),                       \
          [shift] "r"(-p->shift), [range] "r"(&p->out_min), [count] "r"(p->count)                  \
        : "q0", "q1", "q3", "q4", "q5", "lr", MCUQ_MVE_VPR, "cc", "memory")

static int32_t magnitude(int32_t value)
{
    return (value < 0) ? -value : value;
}

void mcuq_add_s8_mve(const mcuq_add_params *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    const int32_t largest = 128 * (magnitude(p->mul_a) + magnitude(p->mul_b)) + magnitude(p->bias);
    if (largest <= INT16_MAX) {
        ADD("16", "3", "7");
    } else {
        ADD("32", "2", "3");
    }
}

#else

void mcuq_add_s8_mve(const mcuq_add_params *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    for (int32_t i = 0; i < p->count; i++) {
        const int32_t sum = a[i] * p->mul_a + b[i] * p->mul_b + p->bias;
        out[i] = mcuq_requant(sum, p->shift, p->out_min, p->out_max);
    }
}

#endif
