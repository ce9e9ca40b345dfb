/* Fully connected: 4 outputs at a time, two weights in a halfword.
 *
 * With h = 256 * w1 + w0 the product h * x1 holds 256 * w1 * x1, and what it has too much is put
 * right by w0 * y with y = 256 * x0 - x1:
 *     h * x1 + w0 * y = 256 * (w0 * x0 + w1 * x1).
 * So one SXTB16 unpacks four weights. y + 127 always fits 16 bits; the bias takes 127 * w0 back.
 * The sums are 256 times too large, and so are the biases; the shifts are greater by 8. The biases
 * also hold 128 << shift, so that the result saturates to unsigned 8 bits, from which 128 is taken.
 */
#include "mcuq_dense_dsp.h"
#include "mcuq_dsp.h"

enum { ROWS = 4 };

/* Inputs in eights at `to`: x1 x3 | y0 y2 | x5 x7 | y4 y6, where y(i) = 256 x(i) - x(i+1) + 127.
 * 13 instructions for 8 inputs. from: any alignment. turns > 0. */
static inline uint32_t *spread(uint32_t *to, const int8_t *from, int32_t turns)
{
#if MCUQ_DSP_ASM
    const uint32_t high = 0xff00ff00u;
    const uint32_t offset = 0x007f007fu;
    __asm volatile("1:\n"
                   " ldr r5, [%[from], #4]\n"
                   " ldr r4, [%[from]], #8\n"
                   " and r6, %[high], r5, lsl #8\n"
                   " sxtb16 r8, r5, ror #8\n"
                   " and r5, %[high], r4, lsl #8\n"
                   " sxtb16 r4, r4, ror #8\n"
                   " ssub16 r5, r5, r4\n"
                   " ssub16 r9, r6, r8\n"
                   " sadd16 r5, r5, %[offset]\n"
                   " sadd16 r9, r9, %[offset]\n"
                   " stmia %[to]!, {r4, r5, r8, r9}\n"
                   " subs %[turns], #1\n"
                   " bne 1b\n"
                   : [from] "+&r"(from), [to] "+&r"(to), [turns] "+&r"(turns)
                   : [high] "r"(high), [offset] "r"(offset)
                   : "r4", "r5", "r6", "r8", "r9", "cc", "memory");
#else
    for (int32_t i = 0; i < 2 * turns; i++, from += 4, to += 2) {
        to[0] = mcuq_dsp_low((uint32_t)from[1], (uint32_t)from[3]);
        to[1] = mcuq_dsp_low((uint32_t)(256 * from[0] - from[1] + 127),
                             (uint32_t)(256 * from[2] - from[3] + 127));
    }
#endif
    return to;
}

/* `groups` times ROWS outputs at out; returns the weights behind them.
 * Block: 1 input x 4 outputs, 8 inputs a turn: 27 instructions for 32 MAC (0.84), 3 more for four
 * turns, and 27 for four outputs.
 * r0 x, r1 weights, r2-r5 accumulators, r6-r9 inputs, r10-r12 and lr weights.
 * Frame: x, its end, out, groups, where the loop is entered. */
#if MCUQ_DSP_ASM
#define ROW(acc, x, y, w)                                                                          \
    " smlad " acc ", " x ", " w ", " acc "\n sxtb16 " w ", " w "\n"                                \
    " smlad " acc ", " y ", " w ", " acc "\n"
#define FOURS(x, y)                                                                                \
    " ldmia r1!, {r10-r12, lr}\n" ROW("r2", x, y, "r10") ROW("r3", x, y, "r11")                    \
        ROW("r4", x, y, "r12") ROW("r5", x, y, "lr")
#define TURN " ldmia r0!, {r6-r9}\n" FOURS("r6", "r7") FOURS("r8", "r9")
MCUQ_DSP_NAKED static const uint32_t *run_rows(MCUQ_DSP_ARGUMENT const uint32_t *x,
                                               MCUQ_DSP_ARGUMENT const uint32_t *weights,
                                               MCUQ_DSP_ARGUMENT int8_t *out,
                                               MCUQ_DSP_ARGUMENT const int32_t *turns_groups)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " sub sp, #20\n"
                   " ldmia r3, {r4, r5}\n"
                   " add r6, r0, r4, lsl #4\n"
                   " strd r0, r6, [sp]\n"
                   " strd r2, r5, [sp, #8]\n"
                   " and r4, #3\n"
                   " mov r5, #108\n"
                   " mul r4, r5\n"
                   " adr.w r5, 3f\n"
                   " orr r5, #1\n"
                   " sub r5, r4\n"
                   " str r5, [sp, #16]\n"
                   "1:\n"
                   " ldmia r1!, {r2-r5}\n"
                   " ldr r0, [sp]\n"
                   " ldr pc, [sp, #16]\n"
                   ".balign 4\n"
                   "2:\n" TURN TURN TURN TURN ".balign 4\n"
                   "3:\n"
                   " ldr r6, [sp, #4]\n"
                   " cmp r0, r6\n"
                   " bne.w 2b\n"
                   " ldr r6, [r1], #4\n"
                   " asrs r2, r6\n"
                   " lsr r6, r6, #8\n"
                   " asrs r3, r6\n"
                   " lsr r6, r6, #8\n"
                   " asrs r4, r6\n"
                   " lsr r6, r6, #8\n"
                   " asrs r5, r6\n"
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
                   " add sp, #20\n"
                   " pop {r4-r11, pc}\n");
}
#else
static int32_t halves(uint32_t a, uint32_t b)
{
    return mcuq_dsp_smlad(a, b, 0);
}

static const uint32_t *run_rows(const uint32_t *x, const uint32_t *weights, int8_t *out,
                                const int32_t *turns_groups)
{
    const int32_t words = 2 * turns_groups[0];
    for (int32_t group = 0; group < turns_groups[1]; group++) {
        const uint32_t *shifts = weights + ROWS * (1 + words);
        for (int32_t row = 0; row < ROWS; row++) {
            uint32_t acc = weights[row];
            for (int32_t i = 0; i < words; i++) {
                const uint32_t w = weights[ROWS * (1 + i) + row];
                acc += (uint32_t)halves(w, x[2 * i]);
                acc += (uint32_t)halves(mcuq_dsp_even(w), x[2 * i + 1]);
            }
            const int32_t y = (int32_t)acc >> ((*shifts >> (8 * row)) & 31u);
            *out++ = (int8_t)(mcuq_clamp(y, 0, 255) - 128);
        }
        weights = shifts + 1;
    }
    return weights;
}
#endif

void mcuq_dense_s8_dsp(const mcuq_dense_dsp_params *p, const int8_t *in, int8_t *out, void *scratch)
{
    const int32_t whole = p->in_len >> 3;
    const int32_t left = p->in_len & 7;
    const int32_t rest = p->out_len & (ROWS - 1);
    int32_t turns_groups[2] = {p->turns, p->out_len / ROWS};
    const uint32_t *weights = p->weights;
    uint32_t *x = scratch;
    if (whole > 0) {
        x = spread(x, in, whole);
    }
    if (left > 0) {
        int8_t last[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        memcpy(last, in + 8 * whole, (uint32_t)left);
        (void)spread(x, last, 1);
    }
    if (turns_groups[1] > 0) {
        weights = run_rows(scratch, weights, out, turns_groups);
    }
    if (rest > 0) {
        int8_t last[ROWS];
        turns_groups[1] = 1;
        (void)run_rows(scratch, weights, last, turns_groups);
        memcpy(out + p->out_len - rest, last, (uint32_t)rest);
    }
    mcuq_dsp_clamp(out, p->out_len, p->out_min, p->out_max);
}
