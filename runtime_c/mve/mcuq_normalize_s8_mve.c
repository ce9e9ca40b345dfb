#include "mcuq_normalize.h"

#include "mcuq_row_scale.h"

#if defined(__ARM_FEATURE_MVE)

/** The sums of the values and of their squares: 4 instructions for 16. */
static void sums(const int8_t *in, int32_t n, int32_t *sum, int32_t *squares)
{
    register int32_t first __asm("r4") = 0;
    register int32_t second __asm("r6") = 0;
    __asm volatile("dlstp.8 lr, %[n]\n"
                   "1: vldrb.u8 q0, [%[in]], #16\n vaddva.s8 %[first], q0\n"
                   "vmladava.s8 %[second], q0, q0\n letp lr, 1b\n"
                   : [in] "+&r"(in), [first] "+&r"(first), [second] "+&r"(second)
                   : [n] "r"(n)
                   : "q0", "lr", MCUQ_MVE_VPR, "cc", "memory");
    *sum = first;
    *squares = second;
}

/** 12 instructions for 4 values. */
static void apply(const mcuq_normalize_params *p, const mcuq_row_scale *row, int32_t n,
                  const int8_t *in, int8_t *out, int32_t first)
{
    const int32_t job[] = {(int32_t)mcuq_row_slope(row), p->out_min, p->out_max};
    const int16_t *gamma = p->gamma + first;
    const int32_t *beta = p->beta + first;
    __asm volatile("ldr lr, [%[job]]\n vdup.32 q4, lr\n ldr lr, [%[job], #4]\n vdup.32 q5, lr\n"
                   "ldr lr, [%[job], #8]\n vdup.32 q6, lr\n dlstp.32 lr, %[n]\n"
                   "1: vldrb.s32 q0, [%[in]], #4\n vldrh.s32 q1, [%[gamma]], #8\n"
                   "vmlas.s32 q0, q4, %[offset]\n vldrw.u32 q2, [%[beta]], #16\n"
                   "vshl.s32 q0, %[row_shift]\n vmul.i32 q0, q0, q1\n vadd.i32 q0, q0, q2\n"
                   "vshl.s32 q0, %[shift]\n vmax.s32 q0, q0, q5\n vmin.s32 q0, q0, q6\n"
                   "vstrb.32 q0, [%[out]], #4\n letp lr, 1b\n"
                   : [in] "+&l"(in), [out] "+&l"(out), [gamma] "+&l"(gamma), [beta] "+&r"(beta)
                   : [n] "r"(n), [job] "r"(job), [offset] "r"(mcuq_row_offset(row)),
                     [row_shift] "r"(-row->shift), [shift] "r"(-p->shift)
                   : "q0", "q1", "q2", "q4", "q5", "q6", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

#else

static void sums(const int8_t *in, int32_t n, int32_t *sum, int32_t *squares)
{
    *sum = 0;
    *squares = 0;
    for (int32_t i = 0; i < n; i++) {
        *sum += in[i];
        *squares += in[i] * in[i];
    }
}

static void apply(const mcuq_normalize_params *p, const mcuq_row_scale *row, int32_t n,
                  const int8_t *in, int8_t *out, int32_t first)
{
    const uint32_t slope = mcuq_row_slope(row), offset = mcuq_row_offset(row);
    const int16_t *gamma = p->gamma + first;
    const int32_t *beta = p->beta + first;

    for (int32_t i = 0; i < n; i++) {
        const int32_t t = (int32_t)((uint32_t)in[i] * slope + offset) >> row->shift;
        out[i] = mcuq_requant(t * gamma[i] + beta[i], p->shift, p->out_min, p->out_max);
    }
}

#endif

void mcuq_normalize_s8_mve(const mcuq_normalize_params *p, const int8_t *in, int8_t *out)
{
    const int32_t n = p->size[1] * p->size[3];

    for (int32_t o = 0; o < p->size[0]; o++, in += n, out += n) {
        int32_t sum, squares;
        sums(in, n, &sum, &squares);
        const mcuq_row_scale row =
            mcuq_row_scale_of(p, (uint32_t)sum + 128u * (uint32_t)n,
                              (uint32_t)squares + 256u * (uint32_t)sum + 16384u * (uint32_t)n);
        apply(p, &row, n, in, out, o * p->gamma_step[0]);
    }
}
