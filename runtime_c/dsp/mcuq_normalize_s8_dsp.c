#include "mcuq_normalize.h"

#include "mcuq_dsp.h"
#include "mcuq_row_scale.h"

/* Sums of w = in + 128 and of w^2: of four values 7 instructions. */
static mcuq_row_scale measured(const mcuq_normalize_params *p, const int8_t *in, int32_t n)
{
    int32_t sum = 0, squares = 0, i = 0;

    for (; i + 4 <= n; i += 4) {
        const uint32_t word = mcuq_dsp_load4(in + i);
        const uint32_t even = mcuq_dsp_even(word), odd = mcuq_dsp_odd(word);
        sum = mcuq_dsp_smlad(even, 0x00010001u, sum);
        squares = mcuq_dsp_smlad(even, even, squares);
        sum = mcuq_dsp_smlad(odd, 0x00010001u, sum);
        squares = mcuq_dsp_smlad(odd, odd, squares);
    }
    for (; i < n; i++) {
        sum += in[i];
        squares += in[i] * in[i];
    }
    return mcuq_row_scale_of(p, (uint32_t)sum + 128u * (uint32_t)n,
                             (uint32_t)squares + 256u * (uint32_t)sum + 16384u * (uint32_t)n);
}

typedef struct {
    uint32_t slope, offset;
    int32_t row_shift, shift;
} row_job;

#if MCUQ_DSP_ASM

/* A value: 9 instructions. */
#define VALUE                                                                                      \
    " ldrsb r8, [r0], #1\n ldrsh r9, [r2], #2\n mla r8, r8, r4, r5\n ldr r10, [r3], #4\n"          \
    " asr r8, r8, r6\n mla r8, r8, r9, r10\n asr r8, r8, r12\n ssat r8, #8, r8\n"                  \
    " strb r8, [r1], #1\n"

/* Blocks of four values; r0 in, r1 out, r2 gamma, r3 beta. */
static void apply_blocks(const row_job *job, int32_t blocks, const int8_t *in, int8_t *out,
                         const int16_t *gamma, const int32_t *beta)
{
    register const int8_t *r0 __asm("r0") = in;
    register int8_t *r1 __asm("r1") = out;
    register const int16_t *r2 __asm("r2") = gamma;
    register const int32_t *r3 __asm("r3") = beta;
    register uint32_t r4 __asm("r4") = job->slope;
    register uint32_t r5 __asm("r5") = job->offset;
    register int32_t r6 __asm("r6") = job->row_shift;
    register int32_t r12 __asm("r12") = job->shift;
    register int32_t lr __asm("lr") = blocks;

    __asm volatile("1:\n" VALUE VALUE VALUE VALUE " subs lr, lr, #1\n bne 1b\n"
                   : "+&r"(r0), "+&r"(r1), "+&r"(r2), "+&r"(r3), "+&r"(lr)
                   : "r"(r4), "r"(r5), "r"(r6), "r"(r12)
                   : "r8", "r9", "r10", "cc", "memory");
}

static int32_t apply_most(const row_job *job, int32_t n, const int8_t *in, int8_t *out,
                          const int16_t *gamma, const int32_t *beta)
{
    if (n >= 4) {
        apply_blocks(job, n / 4, in, out, gamma, beta);
    }
    return n / 4 * 4;
}

#else

static int32_t apply_most(const row_job *job, int32_t n, const int8_t *in, int8_t *out,
                          const int16_t *gamma, const int32_t *beta)
{
    (void)job, (void)n, (void)in, (void)out, (void)gamma, (void)beta;
    return 0;
}

#endif

static void apply(const mcuq_normalize_params *p, const mcuq_row_scale *row, int32_t n,
                  const int8_t *in, int8_t *out, int32_t first)
{
    const row_job job = {mcuq_row_slope(row), mcuq_row_offset(row), row->shift, p->shift};
    const int16_t *gamma = p->gamma + first;
    const int32_t *beta = p->beta + first;

    for (int32_t i = apply_most(&job, n, in, out, gamma, beta); i < n; i++) {
        const int32_t t = (int32_t)((uint32_t)in[i] * job.slope + job.offset) >> job.row_shift;
        out[i] = mcuq_requant(t * gamma[i] + beta[i], job.shift, -128, 127);
    }
    mcuq_dsp_clamp(out, n, p->out_min, p->out_max);
}

void mcuq_normalize_s8_dsp(const mcuq_normalize_params *p, const int8_t *in, int8_t *out)
{
    const int32_t n = p->size[1] * p->size[3];

    for (int32_t o = 0; o < p->size[0]; o++, in += n, out += n) {
        const mcuq_row_scale row = measured(p, in, n);
        apply(p, &row, n, in, out, o * p->gamma_step[0]);
    }
}
