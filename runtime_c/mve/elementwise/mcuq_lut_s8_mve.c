#include "mcuq_elementwise_mve.h"

#if defined(__ARM_FEATURE_MVE)

void mcuq_lut_s8_mve(const mcuq_lut_params *p, const int8_t *in, int8_t *out)
{
    const int32_t count = p->count;
    __asm volatile("lsrs lr, %[count], #4\n beq 2f\n dls lr, lr\n"
                   "1: vldrb.u8 q0, [%[in]], #16\n vldrb.u8 q1, [%[table], q0]\n"
                   "vstrb.8 q1, [%[out]], #16\n le lr, 1b\n"
                   "2: ands lr, %[count], #15\n beq 3f\n vctp.8 lr\n"
                   "vpsttt\n vldrbt.u8 q0, [%[in]]\n vldrbt.u8 q1, [%[table], q0]\n"
                   "vstrbt.8 q1, [%[out]]\n 3:\n"
                   : [in] "+&r"(in), [out] "+&r"(out)
                   : [table] "r"(p->table), [count] "r"(count)
                   : "q0", "q1", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

#else

void mcuq_lut_s8_mve(const mcuq_lut_params *p, const int8_t *in, int8_t *out)
{
    for (int32_t i = 0; i < p->count; i++) {
        out[i] = p->table[(uint8_t)in[i]];
    }
}

#endif
