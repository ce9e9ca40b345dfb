/* Fully connected: 8 outputs at a time, two weights in a halfword as in mcuq_dense_s8_dsp.c: more
 * code, and fewer cycles since an input is loaded for more outputs. The centers are signed here.
 */
#include "mcuq_dense_dsp.h"
#include "mcuq_dense_spread.h"
#include "mcuq_dsp.h"

enum { ROWS = 8 };

/* What run_rows needs; its assembly knows this layout. base: added to all biases. steps: inputs in
 * fours. */
typedef struct {
    const uint32_t *x;
    int32_t base;
    int8_t *out;
    int32_t groups, steps;
} rows_job;

#include "mcuq_dense_rows_dsp_body.h"

/* `groups` times ROWS outputs at out; returns the weights behind them.
 * Block: 1 input x 8 outputs, 4 inputs a step: 38 cycles (31 instructions) for 32 MAC (1.19), 6
 * more for each 16 steps beyond the first 16, and 76 for the outputs.
 * r0 x, r1 weights, r2-r9 accumulators, r10 and r11 inputs, r12 and lr weights.
 * Frame: x, base, out, its end, the end of x, where the loop is entered. */
#if MCUQ_DSP_ASM
#define ROW(acc, w)                                                                                \
    " smlad " acc ", r10, " w ", " acc "\n uxtb16 " w ", " w "\n"                                  \
    " smlad " acc ", r11, " w ", " acc "\n"
#define NEXT " ldrd r12, lr, [r1], #8\n"
#define STEP                                                                                       \
    " ldr r11, [r0, #4]\n ldr r10, [r0], #8\n ldr lr, [r1, #4]\n ldr r12, [r1], #8\n" ROW(         \
        "r2", "r12") ROW("r3", "lr") NEXT ROW("r4", "r12") ROW("r5", "lr") NEXT ROW("r6", "r12")   \
        ROW("r7", "lr") NEXT ROW("r8", "r12") ROW("r9", "lr")
#define STEP_4 STEP STEP STEP STEP
#define RESULT(acc, shifts, centers, turn)                                                         \
    " asrs " acc ", " shifts "\n sxtab " acc ", " acc ", " centers turn "\n ssat " acc             \
    ", #8, " acc "\n"
#define LATER(acc, shifts, centers, turn)                                                          \
    " lsr " shifts ", " shifts ", #8\n" RESULT(acc, shifts, centers, turn)
#define RESULTS_4(a, b, c, d, shifts, centers)                                                     \
    RESULT(a, shifts, centers, "")                                                                 \
    LATER(b, shifts, centers, ", ror #8")                                                          \
    LATER(c, shifts, centers, ", ror #16") LATER(d, shifts, centers, ", ror #24")
MCUQ_NAKED static const uint32_t *run_rows(MCUQ_NAKED_ARGUMENT const uint32_t *weights,
                                           MCUQ_NAKED_ARGUMENT const rows_job *job)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " sub sp, #28\n"
                   " ldmia r1, {r2-r6}\n"
                   " add r5, r4, r5, lsl #3\n"
                   " mov r1, r0\n"
                   " add r7, r2, r6, lsl #3\n"
                   " stmia sp, {r2-r5, r7}\n"
                   " and r6, #15\n"
                   " mov r5, #124\n"
                   " adr.w r4, 3f\n"
                   " orr r4, #1\n"
                   " mls r4, r6, r5, r4\n"
                   " str r4, [sp, #20]\n"
                   "1:\n"
                   " ldmia r1!, {r2-r9}\n"
                   " ldrd r0, r10, [sp]\n"
                   " add r2, r10\n"
                   " add r3, r10\n"
                   " add r4, r10\n"
                   " add r5, r10\n"
                   " add r6, r10\n"
                   " add r7, r10\n"
                   " add r8, r10\n"
                   " add r9, r10\n"
                   " ldr pc, [sp, #20]\n"
                   ".balign 4\n"
                   "2:\n" STEP_4 STEP_4 STEP_4 STEP_4 "3:\n" MCUQ_CODE_BYTES(
                       "2", "3", "16 * 124") " ldr r10, [sp, #16]\n"
                                             " cmp r0, r10\n"
                                             " bne.w 2b\n"
                                             " ldmia r1!, {r10-r12, lr}\n" RESULTS_4(
                                                 "r2", "r3", "r4", "r5", "r10", "r12")
                                                 RESULTS_4("r6", "r7", "r8", "r9", "r11",
                                                           "lr") " ldr r10, [sp, #8]\n"
                                                                 " ldr r11, [sp, #12]\n"
                                                                 " strb r3, [r10, #1]\n"
                                                                 " strb r4, [r10, #2]\n"
                                                                 " strb r5, [r10, #3]\n"
                                                                 " strb r6, [r10, #4]\n"
                                                                 " strb r7, [r10, #5]\n"
                                                                 " strb r8, [r10, #6]\n"
                                                                 " strb r9, [r10, #7]\n"
                                                                 " strb r2, [r10], #8\n"
                                                                 " str r10, [sp, #8]\n"
                                                                 " cmp r10, r11\n"
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
        const uint32_t *ends = weights + ROWS * (1 + job->steps);
        for (int32_t row = 0; row < ROWS; row++) {
            const uint32_t shift = ends[row / 4] >> (8 * (row & 3)) & 31u;
            const int8_t center = (int8_t)(ends[2 + row / 4] >> (8 * (row & 3)) & 255u);
            uint32_t acc = weights[row] + (uint32_t)job->base;
            for (int32_t i = 0; i < job->steps; i++) {
                const uint32_t w = weights[ROWS * (1 + i) + row];
                acc += (uint32_t)mcuq_dsp_smlad(w, job->x[2 * i], 0);
                acc += (uint32_t)mcuq_dsp_smlad(w & 0x00ff00ffu, job->x[2 * i + 1], 0);
            }
            *out++ = (int8_t)mcuq_clamp(((int32_t)acc >> shift) + center, -128, 127);
        }
        weights = ends + 4;
    }
    return weights;
}
#endif

void mcuq_dense_s8_dsp_8(const mcuq_dense_dsp_params *p, const int8_t *in, int8_t *out,
                         void *scratch)
{
    const int32_t even_sum = mcuq_dense_spread_all(scratch, in, p->in_len);
    rows_job job = {scratch, 0, out, p->out_len / ROWS, 2 * p->turns};
    job.base = (int32_t)(0u - ((uint32_t)even_sum << 15));
    run_all(p->weights, &job, p->out_len);
    mcuq_dsp_clamp(out, p->out_len, p->out_min, p->out_max);
}
