#include "mcuq_elementwise_mve.h"

#if defined(__ARM_FEATURE_MVE)

void mcuq_from_u8_s8_mve(const mcuq_from_u8_params *p, const void *in, int8_t *out)
{
    const int32_t count = p->count;
    __asm volatile("vmov.i8 q1, #128\n lsrs lr, %[count], #4\n beq 2f\n dls lr, lr\n"
                   "1: vldrb.u8 q0, [%[in]], #16\n veor q0, q0, q1\n"
                   "vstrb.8 q0, [%[out]], #16\n le lr, 1b\n"
                   "2: ands lr, %[count], #15\n beq 3f\n vctp.8 lr\n"
                   "vpst\n vldrbt.u8 q0, [%[in]]\n veor q0, q0, q1\n"
                   "vpst\n vstrbt.8 q0, [%[out]]\n 3:\n"
                   : [in] "+&r"(in), [out] "+&r"(out)
                   : [count] "r"(count)
                   : "q0", "q1", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

#else

void mcuq_from_u8_s8_mve(const mcuq_from_u8_params *p, const void *in, int8_t *out)
{
    const uint8_t *const from = in;
    for (int32_t i = 0; i < p->count; i++) {
        out[i] = (int8_t)(from[i] - 128);
    }
}

#endif
