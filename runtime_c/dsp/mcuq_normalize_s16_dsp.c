#include "mcuq_normalize.h"

#include "mcuq_int16_dsp.h"
#include "mcuq_row_scale.h"

/* The sums of the values and of their squares: 2 instructions a value. */
static mcuq_row_sums sums(const int16_t *in, int32_t n)
{
    mcuq_row_sums found = {0, 0};
    int32_t i = 0;
#if MCUQ_DSP_ASM
    uint32_t low = 0, high = 0;
    for (; i + 4 <= n; i += 4) {
        uint32_t words[2];
        memcpy(words, in + i, sizeof words);
        __asm("smlad %[sum], %[first], %[ones], %[sum]\n smlad %[sum], %[second], %[ones], %[sum]\n"
              "smlald %[low], %[high], %[first], %[first]\n"
              "smlald %[low], %[high], %[second], %[second]\n"
              : [sum] "+&r"(found.sum), [low] "+&r"(low), [high] "+&r"(high)
              : [first] "r"(words[0]), [second] "r"(words[1]), [ones] "r"(0x00010001u));
    }
    found.squares = (uint64_t)high << 32 | low;
#endif
    for (; i < n; i++) {
        found.sum += in[i];
        found.squares += (uint32_t)(in[i] * in[i]);
    }
    return found;
}

#if MCUQ_DSP_ASM

/* A value: 9 instructions. */
#define VALUE                                                                                      \
    " ldrsh r8, [r0], #2\n ldrsh r9, [r2], #2\n mla r8, r8, r4, r5\n ldr r10, [r3], #4\n"          \
    " smmulr r8, r8, r6\n mla r8, r8, r9, r10\n asr r8, r8, r12\n ssat r8, #16, r8\n"              \
    " strh r8, [r1], #2\n"

/* Blocks of four values; r0 in, r1 out, r2 gamma, r3 beta. */
static void apply_blocks(const mcuq_row_high *job, int shift, int32_t blocks, const int16_t *in,
                         int16_t *out, const int16_t *gamma, const int32_t *beta)
{
    register const int16_t *r0 __asm("r0") = in;
    register int16_t *r1 __asm("r1") = out;
    register const int16_t *r2 __asm("r2") = gamma;
    register const int32_t *r3 __asm("r3") = beta;
    register int32_t r4 __asm("r4") = job->slope;
    register int32_t r5 __asm("r5") = job->offset;
    register int32_t r6 __asm("r6") = job->factor;
    register int32_t r12 __asm("r12") = shift;
    register int32_t lr __asm("lr") = blocks;

    __asm volatile("1:\n" VALUE VALUE VALUE VALUE " subs lr, lr, #1\n bne 1b\n"
                   : "+&r"(r0), "+&r"(r1), "+&r"(r2), "+&r"(r3), "+&r"(lr)
                   : "r"(r4), "r"(r5), "r"(r6), "r"(r12)
                   : "r8", "r9", "r10", "cc", "memory");
}

#endif

static void apply(const mcuq_normalize_s16_params *p, const mcuq_row_scale *row, int32_t first,
                  const int16_t *in, int16_t *out)
{
    const int32_t n = p->size[1] * p->size[3];
    const int16_t *gamma = p->gamma + first;
    const int32_t *beta = p->beta + first;
    int32_t i = 0;

#if MCUQ_DSP_ASM
    if (n >= 4 && mcuq_row_is_high(row)) {
        const mcuq_row_high job = mcuq_row_high_of(row);
        apply_blocks(&job, p->shift, n / 4, in, out, gamma, beta);
        i = n / 4 * 4;
        mcuq_dsp_clamp16(out, i, p->out_min, p->out_max);
    }
#endif
    for (; i < n; i++) {
        const int32_t t = mcuq_row_wide(row, in[i]);
        out[i] = (int16_t)mcuq_clamp((t * gamma[i] + beta[i]) >> p->shift, p->out_min, p->out_max);
    }
}

void mcuq_normalize_s16_dsp(const mcuq_normalize_s16_params *p, const void *in, void *out)
{
    const int32_t n = p->size[1] * p->size[3];
    const int16_t *from = in;
    int16_t *to = out;

    for (int32_t o = 0; o < p->size[0]; o++, from += n, to += n) {
        const mcuq_row_scale row = mcuq_row_scale_of_s16(p, sums(from, n));
        apply(p, &row, o * p->gamma_step[0], from, to);
    }
}
