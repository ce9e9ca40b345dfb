#include "mcuq_normalize.h"

#include "mcuq_row_scale.h"

#if defined(__ARM_FEATURE_MVE)

/** The sums of the values and of their squares: 4 instructions for 8. */
static mcuq_row_sums sums(const int16_t *in, int32_t n)
{
    register int32_t sum __asm("r4") = 0;
    register uint32_t low __asm("r6") = 0;
    register uint32_t high __asm("r5") = 0;
    __asm volatile("dlstp.16 lr, %[n]\n"
                   "1: vldrh.u16 q0, [%[in]], #16\n vaddva.s16 %[sum], q0\n"
                   "vmlaldava.s16 %[low], %[high], q0, q0\n letp lr, 1b\n"
                   : [in] "+&r"(in), [sum] "+&r"(sum), [low] "+&r"(low), [high] "+&r"(high)
                   : [n] "r"(n)
                   : "q0", "lr", MCUQ_MVE_VPR, "cc", "memory");
    return (mcuq_row_sums){sum, (uint64_t)high << 32 | low};
}

/** Where the shift allows, 12 instructions for 4 values. */
static int32_t apply_most(const mcuq_normalize_s16_params *p, const mcuq_row_scale *row,
                          const int16_t *gamma, const int32_t *beta, const int16_t *in,
                          int16_t *out)
{
    const int32_t n = p->size[1] * p->size[3];
    if (!mcuq_row_is_high(row)) {
        return 0;
    }
    const mcuq_row_high high = mcuq_row_high_of(row);
    const int32_t job[] = {high.slope, high.factor, p->out_min, p->out_max};
    __asm volatile("ldr lr, [%[job]]\n vdup.32 q3, lr\n ldr lr, [%[job], #4]\n vdup.32 q4, lr\n"
                   "ldr lr, [%[job], #8]\n vdup.32 q5, lr\n ldr lr, [%[job], #12]\n"
                   "vdup.32 q6, lr\n dlstp.32 lr, %[n]\n"
                   "1: vldrh.s32 q0, [%[in]], #8\n vldrh.s32 q1, [%[gamma]], #8\n"
                   "vmlas.s32 q0, q3, %[offset]\n vldrw.u32 q2, [%[beta]], #16\n"
                   "vrmulh.s32 q0, q0, q4\n vmul.i32 q0, q0, q1\n vadd.i32 q0, q0, q2\n"
                   "vshl.s32 q0, %[shift]\n vmax.s32 q0, q0, q5\n vmin.s32 q0, q0, q6\n"
                   "vstrh.32 q0, [%[out]], #8\n letp lr, 1b\n"
                   : [in] "+&l"(in), [out] "+&l"(out), [gamma] "+&l"(gamma), [beta] "+&r"(beta)
                   : [n] "r"(n), [job] "r"(job), [offset] "r"(high.offset), [shift] "r"(-p->shift)
                   : "q0", "q1", "q2", "q3", "q4", "q5", "q6", "lr", MCUQ_MVE_VPR, "cc", "memory");
    return n;
}

#else

static mcuq_row_sums sums(const int16_t *in, int32_t n)
{
    mcuq_row_sums found = {0, 0};
    for (int32_t i = 0; i < n; i++) {
        found.sum += in[i];
        found.squares += (uint32_t)(in[i] * in[i]);
    }
    return found;
}

static int32_t apply_most(const mcuq_normalize_s16_params *p, const mcuq_row_scale *row,
                          const int16_t *gamma, const int32_t *beta, const int16_t *in,
                          int16_t *out)
{
    (void)p, (void)row, (void)gamma, (void)beta, (void)in, (void)out;
    return 0;
}

#endif

void mcuq_normalize_s16_mve(const mcuq_normalize_s16_params *p, const void *in, void *out)
{
    const int32_t n = p->size[1] * p->size[3], low = p->out_min, high = p->out_max;
    const int16_t *from = in;
    int16_t *to = out;

    for (int32_t o = 0; o < p->size[0]; o++, from += n, to += n) {
        const mcuq_row_scale row = mcuq_row_scale_of_s16(p, sums(from, n));
        const int16_t *const gamma = p->gamma + o * p->gamma_step[0];
        const int32_t *const beta = p->beta + o * p->gamma_step[0];
        for (int32_t i = apply_most(p, &row, gamma, beta, from, to); i < n; i++) {
            const int32_t t = mcuq_row_wide(&row, from[i]);
            to[i] = (int16_t)mcuq_clamp((t * gamma[i] + beta[i]) >> p->shift, low, high);
        }
    }
}
