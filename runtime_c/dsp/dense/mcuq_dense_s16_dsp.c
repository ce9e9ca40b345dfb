#include "mcuq_int16_dsp.h"

enum { OUTPUTS = 4 };

/* Some outputs, in fours; the assembly knows this layout. */
typedef struct {
    const uint32_t *x, *weights, *x_end;
    int16_t *out, *end;
} rows_job;

/* Returns the weights behind those of the outputs.
 * Block: 4 inputs of 4 outputs: 19 instructions for 16 products (1.19), 2 more for 8 inputs; 24 for
 * the 4 outputs.
 * r0 x, r1 weights, r2-r5 sums, r6, r7 inputs, r8-r10 weights, r11 the first x, r12 its end, lr
 * out. Frame: the end of out. */
#if MCUQ_DSP_ASM
#define WORD(x)                                                                                    \
    " ldrd r8, r9, [r1], #8\n"                                                                     \
    " sxtb16 r10, r8\n sxtb16 r8, r8, ror #8\n smlad r2, " x ", r10, r2\n smlad r3, " x            \
    ", r8, r3\n"                                                                                   \
    " sxtb16 r10, r9\n sxtb16 r9, r9, ror #8\n smlad r4, " x ", r10, r4\n smlad r5, " x            \
    ", r9, r5\n"
#define TURN " ldrd r6, r7, [r0], #8\n" WORD("r6") WORD("r7")
MCUQ_NAKED static const uint32_t *run_rows(MCUQ_NAKED_ARGUMENT const rows_job *job)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " sub sp, #4\n"
                   " ldmia r0, {r0-r4}\n"
                   " mov r11, r0\n"
                   " mov r12, r2\n"
                   " mov lr, r3\n"
                   " str r4, [sp]\n"
                   "1:\n"
                   " ldmia r1!, {r2-r5}\n"
                   "2:\n" TURN TURN " cmp r0, r12\n"
                   " bne 2b\n"
                   " ldr r8, [r1], #4\n"
                   " mov r0, r11\n"
                   " asr r2, r2, r8\n"
                   " lsr r8, r8, #8\n"
                   " asr r3, r3, r8\n"
                   " lsr r8, r8, #8\n"
                   " asr r4, r4, r8\n"
                   " lsr r8, r8, #8\n"
                   " asr r5, r5, r8\n"
                   " ssat r2, #16, r2\n"
                   " ssat r3, #16, r3\n"
                   " ssat r4, #16, r4\n"
                   " ssat r5, #16, r5\n"
                   " pkhbt r2, r2, r3, lsl #16\n"
                   " pkhbt r4, r4, r5, lsl #16\n"
                   " str r2, [lr], #4\n"
                   " str r4, [lr], #4\n"
                   " ldr r8, [sp]\n"
                   " cmp lr, r8\n"
                   " bne 1b\n"
                   " mov r0, r1\n"
                   " add sp, #4\n"
                   " pop {r4-r11, pc}\n");
}
#else
static const uint32_t *run_rows(const rows_job *job)
{
    const int32_t words = (int32_t)(job->x_end - job->x);
    const uint32_t *weights = job->weights;

    for (int16_t *to = job->out; to < job->end; to += OUTPUTS) {
        const uint32_t *w = weights + OUTPUTS, *shifts = w + 2 * words;
        for (int32_t o = 0; o < OUTPUTS; o++) {
            int32_t acc = (int32_t)weights[o];
            for (int32_t word = 0; word < words; word++) {
                const uint32_t both = w[2 * word + o / 2];
                const uint32_t one = (o % 2 == 0) ? mcuq_dsp_even(both) : mcuq_dsp_odd(both);
                acc = mcuq_dsp_smlad(job->x[word], one, acc);
            }
            to[o] = mcuq_requant_int16(acc, (int)((*shifts >> (8 * o)) & 31u), -32768, 32767);
        }
        weights = shifts + 1;
    }
    return weights;
}
#endif

void mcuq_dense_s16_dsp(const mcuq_dense_s16_dsp_params *p, const void *in, void *out,
                        void *scratch)
{
    const int32_t whole = p->out_len / OUTPUTS * OUTPUTS;
    uint32_t *x = scratch;
    int16_t *to = out, last[OUTPUTS];
    rows_job job = {x, p->weights, x + p->words, to, to + whole};

    memcpy(x, in, (size_t)p->in_len * sizeof *to);
    memset((int16_t *)scratch + p->in_len, 0, (size_t)(2 * p->words - p->in_len) * sizeof *to);
    if (whole > 0) {
        job.weights = run_rows(&job);
    }
    if (whole < p->out_len) {
        job.out = last;
        job.end = last + OUTPUTS;
        run_rows(&job);
        memcpy(to + whole, last, (size_t)(p->out_len - whole) * sizeof *to);
    }
    mcuq_dsp_clamp16(to, p->out_len, p->out_min, p->out_max);
}
