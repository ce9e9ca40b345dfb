#include "mcuq_softmax.h"

#include "mcuq_requant.h"

#if defined(__ARM_FEATURE_MVE)

/** The largest of a row: 6 instructions for 16 values. */
static int32_t largest(const int8_t *values, int32_t length)
{
    int32_t found = -128;
    __asm volatile("1: vctp.8 %[left]\n vpstt\n vldrbt.u8 q0, [%[at]], #16\n"
                   "vmaxvt.s8 %[found], q0\n subs %[left], #16\n bgt 1b\n"
                   : [found] "+&r"(found), [at] "+&r"(values), [left] "+&r"(length)
                   :
                   : "q0", MCUQ_MVE_VPR, "cc", "memory");
    return (int8_t)found;
}

/** The sum of what the table holds: 8 instructions for 8 values. */
static uint32_t sum(const uint16_t *table, int32_t top, const int8_t *values, int32_t length)
{
    register uint32_t total __asm("r4") = 0;
    __asm volatile("vdup.16 q1, %[top]\n"
                   "1: vctp.16 %[left]\n vpstttt\n vldrbt.s16 q0, [%[at]], #8\n"
                   "vsubt.i16 q0, q1, q0\n vldrht.u16 q2, [%[table], q0, uxtw #1]\n"
                   "vaddvat.u16 %[total], q2\n subs %[left], #8\n bgt 1b\n"
                   : [total] "+&r"(total), [at] "+&l"(values), [left] "+&r"(length)
                   : [top] "r"(top), [table] "r"(table)
                   : "q0", "q1", "q2", MCUQ_MVE_VPR, "cc", "memory");
    return total;
}

/** The shares of a row, 19 instructions for 4: n / whole, n = 256 * part + whole / 2, is
 *  (n * (2^32 / whole)) >> 32 or 1 more, which the remainder tells. */
static void shares(const uint16_t *table, int32_t top, uint32_t whole, const int8_t *in,
                   int32_t length, int8_t *out)
{
    __asm volatile("vdup.32 q4, %[top]\n vdup.32 q5, %[inverse]\n vmov.i32 q6, #255\n"
                   "1: vctp.32 %[left]\n vpsttt\n vldrbt.s32 q0, [%[in]], #4\n"
                   "vsubt.i32 q0, q4, q0\n vldrht.u32 q1, [%[table], q0, uxtw #1]\n"
                   "vshl.i32 q1, q1, #8\n vadd.i32 q1, q1, %[half]\n"
                   "vmulh.u32 q2, q1, q5\n vmul.i32 q3, q2, %[whole]\n vsub.i32 q1, q1, q3\n"
                   "vpt.u32 cs, q1, %[whole]\n vaddt.i32 q2, q2, %[one]\n"
                   "vmin.u32 q2, q2, q6\n vctp.32 %[left]\n vadd.i32 q2, q2, %[zero]\n"
                   "vpst\n vstrbt.32 q2, [%[out]], #4\n subs %[left], #4\n bgt 1b\n"
                   : [in] "+&l"(in), [out] "+&l"(out), [left] "+&r"(length)
                   : [table] "r"(table), [top] "r"(top), [inverse] "r"(UINT32_MAX / whole),
                     [half] "r"(whole / 2u), [whole] "r"(whole), [one] "r"(1), [zero] "r"(-128)
                   : "q0", "q1", "q2", "q3", "q4", "q5", "q6", MCUQ_MVE_VPR, "cc", "memory");
}

#else

#include "mcuq_share.h"

static int32_t largest(const int8_t *values, int32_t length)
{
    int32_t found = -128;
    for (int32_t i = 0; i < length; i++) {
        found = (values[i] > found) ? values[i] : found;
    }
    return found;
}

static uint32_t sum(const uint16_t *table, int32_t top, const int8_t *values, int32_t length)
{
    uint32_t total = 0;
    for (int32_t i = 0; i < length; i++) {
        total += table[top - values[i]];
    }
    return total;
}

static void shares(const uint16_t *table, int32_t top, uint32_t whole, const int8_t *in,
                   int32_t length, int8_t *out)
{
    for (int32_t i = 0; i < length; i++) {
        out[i] = mcuq_share_s8(table[top - in[i]], whole);
    }
}

#endif

void mcuq_softmax_s8_mve(const mcuq_softmax_params *p, const int8_t *in, int8_t *out)
{
    for (int32_t row = 0; row < p->rows; row++, in += p->length, out += p->length) {
        const int32_t top = largest(in, p->length);
        shares(p->table, top, sum(p->table, top, in, p->length), in, p->length, out);
    }
}
