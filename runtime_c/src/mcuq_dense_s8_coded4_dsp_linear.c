/* Fully connected, from codes of 4 bits on a linear scale: arithmetic in place of a table.
 *
 * A byte b = low + 16 * high holds the codes of two inputs, x and z. With y = 16 * x - z
 *     b * z + low * y = 16 * (high * z + low * x),
 * so that SMLAD adds the codes of two inputs, 16-fold, without taking them apart. What the scale
 * asks for comes once an output: step times that sum, and `least` times the sum of all inputs.
 */
#include "mcuq_dense_coded.h"
#include "mcuq_dsp.h"

enum { ROWS = 4 };

/* What run_rows needs; its assembly knows this layout. turns: inputs in eights; base: added to all
 * biases. */
typedef struct {
    const uint32_t *x;
    int8_t *out;
    int32_t groups, turns, step, base;
} rows_job;

/* `groups` times ROWS outputs at out; returns the weights behind them.
 * Block: 8 inputs x 4 outputs a turn: 35 instructions for 32 MAC (1.09), 3 more for 4 turns, 45 for
 * four outputs.
 * r0 x, r1 weights, r2-r5 accumulators, r6-r9 z0 z2, y0 y2, z1 z3, y1 y3, r10-r12 codes, lr parts.
 * Frame: x, out, groups, the end of x, step, base, where the loop is entered. */
#if MCUQ_DSP_ASM
#define ROW(acc, w)                                                                                \
    " uxtb16 lr, " w "\n smlad " acc ", lr, r6, " acc "\n and lr, " w ", #0x000f000f\n"            \
    " smlad " acc ", lr, r7, " acc "\n uxtb16 " w ", " w ", ror #8\n"                              \
    " smlad " acc ", " w ", r8, " acc "\n and " w ", " w ", #0x000f000f\n"                         \
    " smlad " acc ", " w ", r9, " acc "\n"
#define TURN                                                                                       \
    " ldmia.w r0!, {r6-r9}\n ldmia.w r1!, {r10-r12}\n" ROW("r2", "r10") ROW("r3", "r11")           \
        ROW("r4", "r12") " ldr.w r10, [r1], #4\n" ROW("r5", "r10")
MCUQ_DSP_NAKED static const uint32_t *run_rows(MCUQ_DSP_ARGUMENT const uint32_t *weights,
                                               MCUQ_DSP_ARGUMENT const rows_job *job)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " sub sp, #28\n"
                   " ldmia r1, {r2-r7}\n"
                   " mov r1, r0\n"
                   " add r8, r2, r5, lsl #4\n"
                   " strd r2, r3, [sp]\n"
                   " strd r4, r8, [sp, #8]\n"
                   " strd r6, r7, [sp, #16]\n"
                   " ands r5, #3\n"
                   " it eq\n"
                   " moveq r5, #4\n"
                   " mov r4, #140\n"
                   " mul r5, r4\n"
                   " adr.w r4, 3f\n"
                   " orr r4, #1\n"
                   " sub r4, r5\n"
                   " str r4, [sp, #24]\n"
                   "1:\n"
                   " ldr r0, [sp]\n"
                   " mov r2, #0\n"
                   " mov r3, #0\n"
                   " mov r4, #0\n"
                   " mov r5, #0\n"
                   " ldr pc, [sp, #24]\n"
                   ".balign 4\n"
                   "2:\n" TURN TURN TURN TURN ".balign 4\n"
                   "3:\n"
                   " ldr r6, [sp, #12]\n"
                   " cmp r0, r6\n"
                   " bne.w 2b\n"
                   " ldmia r1!, {r6-r10}\n"
                   " ldrd r11, r12, [sp, #16]\n"
                   " asrs r2, r2, #4\n"
                   " asrs r3, r3, #4\n"
                   " asrs r4, r4, #4\n"
                   " asrs r5, r5, #4\n"
                   " add r6, r12\n"
                   " add r7, r12\n"
                   " add r8, r12\n"
                   " add r9, r12\n"
                   " mla r2, r2, r11, r6\n"
                   " mla r3, r3, r11, r7\n"
                   " mla r4, r4, r11, r8\n"
                   " mla r5, r5, r11, r9\n"
                   " asr r2, r2, r10\n"
                   " lsr r10, r10, #8\n"
                   " asr r3, r3, r10\n"
                   " lsr r10, r10, #8\n"
                   " asr r4, r4, r10\n"
                   " lsr r10, r10, #8\n"
                   " asr r5, r5, r10\n"
                   " ssat r2, #8, r2\n"
                   " ssat r3, #8, r3\n"
                   " ssat r4, #8, r4\n"
                   " ssat r5, #8, r5\n"
                   " ldrd r7, r8, [sp, #4]\n"
                   " strb r3, [r7, #1]\n"
                   " strb r4, [r7, #2]\n"
                   " strb r5, [r7, #3]\n"
                   " strb r2, [r7], #4\n"
                   " subs r8, #1\n"
                   " strd r7, r8, [sp, #4]\n"
                   " bne.w 1b\n"
                   " mov r0, r1\n"
                   " add sp, #28\n"
                   " pop {r4-r11, pc}\n");
}
#else
static const uint32_t *run_rows(const uint32_t *weights, const rows_job *job)
{
    int8_t *out = job->out;
    for (int32_t group = 0; group < job->groups; group++) {
        const uint32_t *const ends = weights + ROWS * job->turns;
        for (int32_t row = 0; row < ROWS; row++) {
            int32_t acc = 0;
            for (int32_t i = 0; i < job->turns; i++) {
                const uint32_t *const x = job->x + 4 * i;
                const uint32_t even = weights[ROWS * i + row];
                const uint32_t odd = even >> 8;
                acc = mcuq_dsp_smlad(even & 0x00ff00ffu, x[0], acc);
                acc = mcuq_dsp_smlad(even & 0x000f000fu, x[1], acc);
                acc = mcuq_dsp_smlad(odd & 0x00ff00ffu, x[2], acc);
                acc = mcuq_dsp_smlad(odd & 0x000f000fu, x[3], acc);
            }
            const uint32_t sum = (uint32_t)(acc >> 4) * (uint32_t)job->step + ends[row];
            *out++ = mcuq_requant((int32_t)(sum + (uint32_t)job->base),
                                  ends[ROWS] >> (8 * row) & 31U, -128, 127);
        }
        weights = ends + ROWS + 1;
    }
    return weights;
}
#endif

/* Of eight inputs x0-x3, z0-z3: z0 z2, y0 y2, z1 z3, y1 y3; zeros behind the last; returns the sum
 * of all. */
static int32_t spread(uint32_t *to, const int8_t *in, int32_t count)
{
    int32_t sum = 0;
    for (; count > 0; count -= 8, in += 8) {
        int8_t own[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        const int8_t *from = in;
        if (count < 8) {
            memcpy(own, in, (size_t)count);
            from = own;
        }
        for (int32_t i = 0; i < 2; i++, from++) {
            const int32_t y0 = 16 * from[0] - from[4];
            const int32_t y2 = 16 * from[2] - from[6];
            sum += from[0] + from[2] + from[4] + from[6];
            *to++ = mcuq_dsp_low((uint32_t)from[4], (uint32_t)from[6]);
            *to++ = mcuq_dsp_low((uint32_t)y0, (uint32_t)y2);
        }
    }
    return sum;
}

void mcuq_dense_s8_coded4_dsp_linear(const mcuq_dense_coded_linear_params *p, const int8_t *in,
                                     int8_t *out, void *scratch)
{
    const int32_t rest = p->out_len & (ROWS - 1);
    const uint32_t *weights = p->weights;
    rows_job job = {scratch, out, p->out_len / ROWS, p->turns, p->step, 0};
    job.base = p->least * spread(scratch, in, p->in_len);
    if (job.groups > 0) {
        weights = run_rows(weights, &job);
    }
    if (rest > 0) {
        int8_t last[ROWS];
        job.out = last;
        job.groups = 1;
        (void)run_rows(weights, &job);
        memcpy(out + p->out_len - rest, last, (size_t)rest);
    }
    mcuq_dsp_clamp(out, p->out_len, p->out_min, p->out_max);
}
