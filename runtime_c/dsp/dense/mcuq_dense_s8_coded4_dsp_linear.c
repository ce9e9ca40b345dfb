/* Fully connected, from codes of 4 bits on a linear scale: arithmetic in place of a table.
 *
 * A halfword h = n0 + 16 * n1 + 256 * n2 + 4096 * n3, n3 signed, holds the codes of four inputs.
 * With its upper byte u = n2 + 16 * n3
 *     h * x1 + u * (x3 - 256 * x1) + n2 * (16 * x2 - x3) + n0 * (16 * x0 - x1)
 *         = 16 * (n0 * x0 + n1 * x1 + n2 * x2 + n3 * x3),
 * so that 4 SMLAD add the codes of eight inputs, 16-fold, and only 3 instructions take them apart.
 * The factors have offsets, -128 and twice 2048: the first one would not fit 16 bits, the others
 * save instructions. Biases make up for that, and are 16-fold as well; the shifts are greater by 4.
 * What the scale asks for comes once an output: step times the sum, and `least` times the sum of
 * all inputs, where n3 is 8 less than its code.
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

#include "mcuq_dense_rows_dsp_body.h"

/* `groups` times ROWS outputs at out; returns the weights behind them.
 * Block: 8 inputs x 4 outputs a turn: 31 instructions for 32 MAC (0.97), 3 more for 4 turns, 36 for
 * four outputs.
 * r0 x, r1 weights, r2-r5 accumulators, r6-r9 factors of h, u, n2, n0, r10-r12 codes, lr parts.
 * Frame: x, out, groups, the end of x, step, base, where the loop is entered. */
#if MCUQ_DSP_ASM
#define ROW(acc, w)                                                                                \
    " smlad " acc ", " w ", r6, " acc "\n sxtb16 lr, " w ", ror #8\n"                              \
    " smlad " acc ", lr, r7, " acc "\n and lr, lr, #0x000f000f\n"                                  \
    " smlad " acc ", lr, r8, " acc "\n and " w ", " w ", #0x000f000f\n"                            \
    " smlad " acc ", " w ", r9, " acc "\n"
#define TURN                                                                                       \
    " ldmia.w r0!, {r6-r9}\n ldmia.w r1!, {r10-r12}\n" ROW("r2", "r10") ROW("r3", "r11")           \
        ROW("r4", "r12") " ldr.w r10, [r1], #4\n" ROW("r5", "r10")
MCUQ_NAKED static const uint32_t *run_rows(MCUQ_NAKED_ARGUMENT const uint32_t *weights,
                                           MCUQ_NAKED_ARGUMENT const rows_job *job)
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
                   " mov r4, #124\n"
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
                   "2:\n" TURN TURN TURN TURN "3:\n" MCUQ_CODE_BYTES(
                       "2", "3", "4 * 124") " ldr r6, [sp, #12]\n"
                                            " cmp r0, r6\n"
                                            " bne.w 2b\n"
                                            " ldmia r1!, {r6-r10}\n"
                                            " ldrd r11, r12, [sp, #16]\n"
                                            " add r6, r12\n"
                                            " add r7, r12\n"
                                            " add r8, r12\n"
                                            " add r9, r12\n"
                                            " mla r2, r2, r11, r6\n"
                                            " mla r3, r3, r11, r7\n"
                                            " mla r4, r4, r11, r8\n"
                                            " mla r5, r5, r11, r9\n" MCUQ_DENSE_RESULTS_4(
                                                "r10") " bne.w 1b\n"
                                                       " mov r0, r1\n"
                                                       " add sp, #28\n"
                                                       " pop {r4-r11, pc}\n");
}
#else
static uint32_t four_factors(uint32_t w, const uint32_t *x)
{
    const uint32_t upper = mcuq_dsp_odd(w);
    return (uint32_t)mcuq_dsp_smlad(w, x[0], 0) + (uint32_t)mcuq_dsp_smlad(upper, x[1], 0) +
           (uint32_t)mcuq_dsp_smlad(upper & 0x000f000fu, x[2], 0) +
           (uint32_t)mcuq_dsp_smlad(w & 0x000f000fu, x[3], 0);
}

static const uint32_t *run_rows(const uint32_t *weights, const rows_job *job)
{
    int8_t *out = job->out;
    for (int32_t group = 0; group < job->groups; group++) {
        const uint32_t *const ends = weights + ROWS * job->turns;
        for (int32_t row = 0; row < ROWS; row++) {
            uint32_t acc = 0;
            for (int32_t i = 0; i < job->turns; i++) {
                const uint32_t w = weights[ROWS * i + row];
                acc += four_factors(w, job->x + 4 * i);
            }
            acc = acc * (uint32_t)job->step + ends[row] + (uint32_t)job->base;
            *out++ = mcuq_requant((int32_t)acc, ends[ROWS] >> (8 * row) & 31U, -128, 127);
        }
        weights = ends + ROWS + 1;
    }
    return weights;
}
#endif

/* The differences of halves. */
static inline uint32_t sub16(uint32_t a, uint32_t b)
{
#if MCUQ_DSP_ASM
    uint32_t y;
    __asm("ssub16 %0, %1, %2" : "=r"(y) : "r"(a), "r"(b));
    return y;
#else
    return mcuq_dsp_low(a - b, (a >> 16) - (b >> 16));
#endif
}

/* Sums of inputs: those that meet an n3, and all. */
typedef struct {
    int32_t last, all;
} sums;

/* The factors of inputs in eights, where x0 to x3 are inputs 0, 1, 4, 5 in the low halves and 2, 3,
 * 6, 7 in the high ones. About 24 instructions for 8 inputs. */
static sums spread(uint32_t *to, const int8_t *in, int32_t turns, sums sum)
{
    const uint32_t middle = 0x00800080u;
    const uint32_t ones = 0x00010001u;
    for (; turns > 0; turns--, in += 8, to += 4) {
        const uint32_t front = mcuq_dsp_load4(in);
        const uint32_t back = mcuq_dsp_load4(in + 4);
        const uint32_t x1 = mcuq_dsp_odd(front);
        const uint32_t x3 = mcuq_dsp_odd(back);
        const uint32_t x0 = (front & 0x00ff00ffu) ^ middle; /* 128 more */
        const uint32_t x2 = (back & 0x00ff00ffu) ^ middle;
        to[0] = x1;
        to[1] = sub16(sub16(x3, front & 0xff00ff00u), middle);
        to[2] = sub16(x2 << 4, x3);
        to[3] = sub16(x0 << 4, x1);
        sum.last = mcuq_dsp_smlad(x3, ones, sum.last);
        sum.all = mcuq_dsp_smlad(x1, ones, mcuq_dsp_smlad(x0 + x2, ones, sum.all - 512));
    }
    return sum;
}

/* That of all inputs, zeros behind the last; what step and least ask for once, 16-fold. */
static int32_t spread_all(const mcuq_dense_coded_linear_params *p, const int8_t *in, uint32_t *to)
{
    const int32_t left = p->in_len & 7;
    const int32_t whole = p->in_len >> 3;
    sums sum = spread(to, in, whole, (sums){0, 0});
    if (left > 0) {
        int8_t last[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        memcpy(last, in + 8 * whole, (size_t)left);
        sum = spread(to + 4 * whole, last, 1, sum);
    }
    sum.all += sum.last;
    return (int32_t)(16u * ((uint32_t)p->least * (uint32_t)sum.all +
                            8u * (uint32_t)p->step * (uint32_t)sum.last));
}

void mcuq_dense_s8_coded4_dsp_linear(const mcuq_dense_coded_linear_params *p, const int8_t *in,
                                     int8_t *out, void *scratch)
{
    rows_job job = {scratch, out, p->out_len / ROWS, p->turns, p->step, 0};
    job.base = spread_all(p, in, scratch);
    run_all(p->weights, &job, p->out_len);
    mcuq_dsp_clamp(out, p->out_len, p->out_min, p->out_max);
}
