/* Fully connected: 4 outputs at a time, two weights in a halfword as in mcuq_dense_s8_dsp.c. After
 * each part of the inputs its sum, a whole multiple of 256, is divided by that and added.
 */
#include "mcuq_dense_dsp.h"
#include "mcuq_dense_spread.h"
#include "mcuq_dsp.h"

enum { ROWS = 4 };

/* What add_part adds to; its assembly knows this layout. base: added to all biases. */
typedef struct {
    int32_t sums[ROWS];
    int32_t base;
} rows_job;

/* The sums of `turns` eights of inputs at x, 1 or more; returns the weights behind them.
 * Block: 1 input x 4 outputs, 8 inputs a turn: 27 instructions for 32 MAC (0.84), 3 more for eight
 * turns, and 42 for a part.
 * r0 x, r1 weights, r2-r5 accumulators, r6-r9 inputs, r10-r12 and lr weights.
 * Frame: job, the end of x. */
#if MCUQ_DSP_ASM
MCUQ_NAKED static const uint32_t *add_part(MCUQ_NAKED_ARGUMENT const uint32_t *weights,
                                           MCUQ_NAKED_ARGUMENT const uint32_t *x,
                                           MCUQ_NAKED_ARGUMENT int32_t turns,
                                           MCUQ_NAKED_ARGUMENT rows_job *job)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " add r12, r1, r2, lsl #4\n"
                   " push {r3, r12}\n"
                   " ands r6, r2, #7\n"
                   " it eq\n"
                   " moveq r6, #8\n"
                   " mov r5, #108\n"
                   " mul r6, r5, r6\n"
                   " adr.w r12, 3f\n"
                   " orr r12, #1\n"
                   " sub r12, r6\n"
                   " ldr r6, [r3, #16]\n"
                   " mov r7, r0\n"
                   " mov r0, r1\n"
                   " mov r1, r7\n"
                   " ldmia r1!, {r2-r5}\n"
                   " add r2, r6\n"
                   " add r3, r6\n"
                   " add r4, r6\n"
                   " add r5, r6\n"
                   " bx r12\n"
                   ".balign 4\n"
                   "2:\n" MCUQ_DENSE_4_TURNS MCUQ_DENSE_4_TURNS
                   "3:\n" MCUQ_CODE_BYTES("2", "3", "8 * 108") " ldr r6, [sp, #4]\n"
                                                               " cmp r0, r6\n"
                                                               " bne.w 2b\n"
                                                               " pop {r6, r7}\n"
                                                               " ldmia r6, {r7-r10}\n"
                                                               " add r2, r7, r2, asr #8\n"
                                                               " add r3, r8, r3, asr #8\n"
                                                               " add r4, r9, r4, asr #8\n"
                                                               " add r5, r10, r5, asr #8\n"
                                                               " stmia r6, {r2-r5}\n"
                                                               " mov r0, r1\n"
                                                               " pop {r4-r11, pc}\n");
}
#else
static const uint32_t *add_part(const uint32_t *weights, const uint32_t *x, int32_t turns,
                                rows_job *job)
{
    for (int32_t row = 0; row < ROWS; row++) {
        uint32_t acc = weights[row] + (uint32_t)job->base;
        for (int32_t i = 0; i < 2 * turns; i++) {
            const uint32_t w = weights[ROWS * (1 + i) + row];
            acc += (uint32_t)mcuq_dsp_smlad(w, x[2 * i], 0);
            acc += (uint32_t)mcuq_dsp_smlad(w & 0x00ff00ffu, x[2 * i + 1], 0);
        }
        job->sums[row] += (int32_t)acc >> 8;
    }
    return weights + ROWS * (1 + 2 * turns);
}
#endif

/* The inputs, and behind them for each part what is added to its biases. */
static void spread_parts(const mcuq_dense_dsp_parts_params *p, const int8_t *in, uint32_t *x)
{
    int32_t *base = (int32_t *)(void *)(x + 4 * p->turns);
    for (int32_t at = 0; at < p->in_len; at += 8 * p->part) {
        const int32_t left = p->in_len - at;
        const int32_t count = (left < 8 * p->part) ? left : 8 * p->part;
        const int32_t even_sum = mcuq_dense_spread_all(x + at / 2, in + at, count);
        *base++ = (int32_t)(0u - ((uint32_t)even_sum << 15));
    }
}

void mcuq_dense_s8_dsp_parts(const mcuq_dense_dsp_parts_params *p, const int8_t *in, int8_t *out,
                             void *scratch)
{
    const uint32_t *const x = scratch;
    const int32_t *const base = (const int32_t *)(const void *)(x + 4 * p->turns);
    const uint32_t *weights = p->weights;
    spread_parts(p, in, scratch);
    for (int32_t first = 0; first < p->out_len; first += ROWS) {
        rows_job job = {{0, 0, 0, 0}, 0};
        int32_t part = 0;
        for (int32_t at = 0; at < p->turns; at += p->part, part++) {
            const int32_t left = p->turns - at;
            job.base = base[part];
            weights = add_part(weights, x + 4 * at, (left < p->part) ? left : p->part, &job);
        }
        for (int32_t o = first; o < first + ROWS && o < p->out_len; o++) {
            const int32_t sum = p->bias[o] + job.sums[o - first];
            out[o] = mcuq_requant(sum, p->shift[o], p->out_min, p->out_max);
        }
    }
}
