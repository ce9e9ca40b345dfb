/* Fully connected: 4 outputs at a time, two weights in a halfword.
 *
 * With h = 256 * w1 + u0, where u0 = w0 + 128 is not negative, the product h * x1 holds
 * 256 * w1 * x1, and what it has too much is put right by u0 * y with y = 256 * x0 - x1:
 *     h * x1 + u0 * y = 256 * (w0 * x0 + w1 * x1) + 256 * 128 * x0.
 * So one UXTB16 unpacks four weights. The last term is the same for all outputs: it is summed once
 * and taken from the biases. y + 127 always fits 16 bits; the biases take 127 * u0 back, too.
 * The sums are 256 times too large, and so are the biases; the shifts are greater by 8. To make
 * the sums fit nevertheless, a bias holds what differs from a whole result, the center, which is
 * added after the shift: out = clamp((sum >> shift) + center).
 */
#include "mcuq_dense_dsp.h"
#include "mcuq_dense_spread.h"
#include "mcuq_dsp.h"

enum { ROWS = 4 };

/* What run_rows needs; its assembly knows this layout. base: added to all biases. */
typedef struct {
    const uint32_t *x;
    int32_t base;
    int8_t *out;
    int32_t groups, turns;
} rows_job;

#include "mcuq_dense_rows_dsp_body.h"

/* `groups` times ROWS outputs at out; returns the weights behind them.
 * Block: 1 input x 4 outputs, 8 inputs a turn: 27 instructions for 32 MAC (0.84), 3 more for eight
 * turns, and 35 for four outputs.
 * r0 x, r1 weights, r2-r5 accumulators, r6-r9 inputs, r10-r12 and lr weights.
 * Frame: x, base, out, groups, the end of x, where the loop is entered. */
#if MCUQ_DSP_ASM
MCUQ_NAKED static const uint32_t *run_rows(MCUQ_NAKED_ARGUMENT const uint32_t *weights,
                                           MCUQ_NAKED_ARGUMENT const rows_job *job)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " sub sp, #28\n"
                   " ldmia r1, {r2-r6}\n"
                   " mov r1, r0\n"
                   " add r7, r2, r6, lsl #4\n"
                   " stmia sp, {r2-r5, r7}\n"
                   " ands r6, #7\n"
                   " it eq\n"
                   " moveq r6, #8\n"
                   " mov r5, #108\n"
                   " mul r6, r5\n"
                   " adr.w r5, 3f\n"
                   " orr r5, #1\n"
                   " sub r5, r6\n"
                   " str r5, [sp, #20]\n"
                   "1:\n"
                   " ldmia r1!, {r2-r5}\n"
                   " ldrd r0, r6, [sp]\n"
                   " add r2, r6\n"
                   " add r3, r6\n"
                   " add r4, r6\n"
                   " add r5, r6\n"
                   " ldr pc, [sp, #20]\n"
                   ".balign 4\n"
                   "2:\n" MCUQ_DENSE_4_TURNS MCUQ_DENSE_4_TURNS
                   "3:\n" MCUQ_CODE_BYTES("2", "3", "8 * 108") " ldr r6, [sp, #16]\n"
                                                               " cmp r0, r6\n"
                                                               " bne.w 2b\n"
                                                               " ldrd r6, r7, [r1], #8\n"
                                                               " asrs r2, r6\n"
                                                               " lsr r6, r6, #8\n"
                                                               " asrs r3, r6\n"
                                                               " lsr r6, r6, #8\n"
                                                               " asrs r4, r6\n"
                                                               " lsr r6, r6, #8\n"
                                                               " asrs r5, r6\n"
                                                               " uxtab r2, r2, r7\n"
                                                               " uxtab r3, r3, r7, ror #8\n"
                                                               " uxtab r4, r4, r7, ror #16\n"
                                                               " uxtab r5, r5, r7, ror #24\n"
                                                               " usat r2, #8, r2\n"
                                                               " usat r3, #8, r3\n"
                                                               " usat r4, #8, r4\n"
                                                               " usat r5, #8, r5\n"
                                                               " orr r2, r2, r3, lsl #8\n"
                                                               " orr r4, r4, r5, lsl #8\n"
                                                               " orr r2, r2, r4, lsl #16\n"
                                                               " eor r2, r2, #0x80808080\n"
                                                               " ldrd r3, r4, [sp, #8]\n"
                                                               " str r2, [r3], #4\n"
                                                               " subs r4, #1\n"
                                                               " strd r3, r4, [sp, #8]\n"
                                                               " bne.w 1b\n"
                                                               " mov r0, r1\n"
                                                               " add sp, #28\n"
                                                               " pop {r4-r11, pc}\n");
}
#else
/* Bytes 0 and 2 of x, not negative, as halves of one word. */
static uint32_t low_bytes(uint32_t x)
{
    return x & 0x00ff00ffu;
}

static const uint32_t *run_rows(const uint32_t *weights, const rows_job *job)
{
    const int32_t words = 2 * job->turns;
    int8_t *out = job->out;
    for (int32_t group = 0; group < job->groups; group++) {
        const uint32_t *ends = weights + ROWS * (1 + words);
        for (int32_t row = 0; row < ROWS; row++) {
            uint32_t acc = weights[row] + (uint32_t)job->base;
            for (int32_t i = 0; i < words; i++) {
                const uint32_t w = weights[ROWS * (1 + i) + row];
                acc += (uint32_t)mcuq_dsp_smlad(w, job->x[2 * i], 0);
                acc += (uint32_t)mcuq_dsp_smlad(low_bytes(w), job->x[2 * i + 1], 0);
            }
            const int32_t y = (int32_t)acc >> ((ends[0] >> (8 * row)) & 31u);
            const int32_t center = (int32_t)((ends[1] >> (8 * row)) & 255u);
            *out++ = (int8_t)(mcuq_clamp(y + center, 0, 255) - 128);
        }
        weights = ends + 2;
    }
    return weights;
}
#endif

void mcuq_dense_s8_dsp(const mcuq_dense_dsp_params *p, const int8_t *in, int8_t *out, void *scratch)
{
    rows_job job = {scratch, 0, out, p->out_len / ROWS, p->turns};
    const int32_t even_sum = mcuq_dense_spread_all(scratch, in, p->in_len);
    job.base = (int32_t)(0u - ((uint32_t)even_sum << 15));
    run_all(p->weights, &job, p->out_len);
    mcuq_dsp_clamp(out, p->out_len, p->out_min, p->out_max);
}
