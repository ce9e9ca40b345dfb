#include "mcuq_softmax.h"

#if defined(__ARM_FEATURE_MVE)

#include "mcuq_mve_between.h"

/** The largest of a row: 3 instructions for 8 values. */
static int32_t largest(const int16_t *values, int32_t length)
{
    int32_t found = -32768;
    __asm volatile("dlstp.16 lr, %[length]\n"
                   "1: vldrh.u16 q0, [%[at]], #16\n vmaxv.s16 %[found], q0\n letp lr, 1b\n"
                   : [found] "+&r"(found), [at] "+&r"(values)
                   : [length] "r"(length)
                   : "q0", "lr", MCUQ_MVE_VPR, "cc", "memory");
    return (int16_t)found;
}

/** 32767 * exp(-u) of each value of a row, to out, and their sum: 30 instructions for 8 values.
 *  Both last entries of the table are 0. */
static uint32_t parts(const mcuq_softmax_s16_params *p, int32_t top, const int16_t *in,
                      int16_t *out)
{
    const int32_t half = (int32_t)((1u << p->shift) >> 1);
    int32_t left = p->length;
    register uint32_t sum __asm("r4") = 0;
    __asm volatile("vdup.16 q5, %[mul]\n vmov.i16 q6, #127\n vmov.i16 q7, #128\n"
                   "1: vctp.16 %[left]\n vdup.16 q1, %[top]\n"
                   "vpst\n vldrht.u16 q0, [%[in]], #16\n vsub.i16 q0, q1, q0\n"
                   "vmullb.u16 q1, q0, q5\n vmullt.u16 q2, q0, q5\n"
                   "vadd.i32 q1, q1, %[half]\n vadd.i32 q2, q2, %[half]\n"
                   "vshl.u32 q1, %[shift]\n vshl.u32 q2, %[shift]\n"
                   "vqmovnb.u32 q0, q1\n vqmovnt.u32 q0, q2\n" MCUQ_MVE_BETWEEN
                   "vpstt\n vaddvat.u16 %[sum], q0\n vstrht.16 q0, [%[out]], #16\n"
                   "subs %[left], #8\n bgt 1b\n"
                   : [in] "+&r"(in), [out] "+&r"(out), [sum] "+&r"(sum), [left] "+&r"(left)
                   : [table] "r"(p->table), [next] "r"(p->table + 1), [top] "r"(top),
                     [mul] "r"(p->mul), [half] "r"(half), [shift] "r"(-p->shift)
                   : "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", MCUQ_MVE_VPR, "cc", "memory");
    return sum;
}

/** The shares of a row in place, 13 instructions for 4; as in mcuq_softmax_s8_mve.c. */
static void shares(uint32_t sum, int32_t frac, int16_t *out, int32_t length)
{
    __asm volatile("vdup.32 q4, %[inverse]\n vmov.i32 q5, #0x7fff\n dlstp.32 lr, %[length]\n"
                   "1: vldrh.u32 q0, [%[out]]\n vshl.u32 q0, %[frac]\n vadd.i32 q0, q0, %[half]\n"
                   "vmulh.u32 q1, q0, q4\n vmul.i32 q2, q1, %[sum]\n vsub.i32 q0, q0, q2\n"
                   "vpt.u32 cs, q0, %[sum]\n vaddt.i32 q1, q1, %[one]\n"
                   "vmin.u32 q1, q1, q5\n vstrh.32 q1, [%[out]], #8\n letp lr, 1b\n"
                   : [out] "+&l"(out)
                   : [inverse] "r"(UINT32_MAX / sum), [frac] "r"(frac), [half] "r"(sum / 2u),
                     [sum] "r"(sum), [one] "r"(1), [length] "r"(length)
                   : "q0", "q1", "q2", "q4", "q5", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

#else

static int32_t largest(const int16_t *values, int32_t length)
{
    int32_t found = -32768;
    for (int32_t i = 0; i < length; i++) {
        found = (values[i] > found) ? values[i] : found;
    }
    return found;
}

static uint32_t parts(const mcuq_softmax_s16_params *p, int32_t top, const int16_t *in,
                      int16_t *out)
{
    const uint32_t half = (1u << p->shift) >> 1;
    uint32_t sum = 0;
    for (int32_t i = 0; i < p->length; i++) {
        const uint32_t far = ((uint32_t)(top - in[i]) * p->mul + half) >> p->shift;
        const int32_t z = (far > 65535u) ? 65535 : (int32_t)far, rest = z & 127;
        const int16_t *const entry = p->table + (z >> 7);
        const int32_t found = (entry[0] * (128 - rest) + entry[1] * rest + 64) >> 7;
        out[i] = (int16_t)found;
        sum += (uint32_t)found;
    }
    return sum;
}

static void shares(uint32_t sum, int32_t frac, int16_t *out, int32_t length)
{
    for (int32_t i = 0; i < length; i++) {
        const uint32_t share = (((uint32_t)out[i] << frac) + sum / 2u) / sum;
        out[i] = (int16_t)((share > 32767u) ? 32767u : share);
    }
}

#endif

void mcuq_softmax_s16_mve(const mcuq_softmax_s16_params *p, const void *in, void *out)
{
    const int16_t *from = in;
    int16_t *to = out;
    for (int32_t row = 0; row < p->rows; row++, from += p->length, to += p->length) {
        const uint32_t sum = parts(p, largest(from, p->length), from, to);
        shares(sum, p->frac, to, p->length);
    }
}
