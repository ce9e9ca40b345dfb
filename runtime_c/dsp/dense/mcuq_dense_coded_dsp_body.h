/* mcuq_dense_coded_dsp_body.h: dense layers from codes of MCUQ_CODED_BITS for cores with the DSP
 * extension: 4 outputs at a time, 8 inputs a turn.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_CODED_BITS: 4 or 2
 */
#ifndef MCUQ_DENSE_CODED_DSP_BODY_H
#define MCUQ_DENSE_CODED_DSP_BODY_H

#include "mcuq_dense_coded.h"
#include "mcuq_dsp.h"

enum { ROWS = 4, TURN_WORDS = 4 * MCUQ_CODED_BITS / 4, BYTES = 256 };

/* Words of the table: the int16 of the first two codes of every byte, then for 2 bits of the other
 * two. */
enum { TABLE_WORDS = (MCUQ_CODED_BITS == 4) ? BYTES : 2 * BYTES };

/* What run_rows needs; its assembly knows this layout. turns: inputs in eights. */
typedef struct {
    const uint32_t *x, *table;
    int8_t *out;
    int32_t groups, turns;
} rows_job;

#include "mcuq_dense_rows_dsp_body.h"

/* `groups` times ROWS outputs at out; returns the weights behind them.
 * Block: 2 or 4 inputs x 1 output a look-up, 8 inputs x 4 outputs a turn: for 4 bits 49
 * instructions for 32 MAC (1.53), for 2 bits 41 (1.28); 3 more for 4 turns, 28 for four outputs.
 * r0 x, r1 weights, r2-r5 accumulators, r6-r9 inputs, r10 table, r11, r12 and lr look-ups (lr the
 * table's other half for 2 bits).
 * Frame: x, out, groups, the end of x, where the loop is entered. */
#if MCUQ_DSP_ASM
#if MCUQ_CODED_BITS == 4
#define BYTE(to) " ldrb " to ", [r1], #1\n"
#define LOOK_UP(to) " ldr.w " to ", [r10, " to ", lsl #2]\n"
#define ADD(acc, x, w) " smlad " acc ", " x ", " w ", " acc "\n"
#define THREE(acc_a, x_a, acc_b, x_b, acc_c, x_c)                                                  \
    BYTE("r11")                                                                                    \
    BYTE("r12")                                                                                    \
    BYTE("lr")                                                                                     \
    LOOK_UP("r11")                                                                                 \
    LOOK_UP("r12") LOOK_UP("lr") ADD(acc_a, x_a, "r11") ADD(acc_b, x_b, "r12") ADD(acc_c, x_c, "lr")
#define TURN                                                                                       \
    " ldmia.w r0!, {r6-r9}\n" THREE("r2", "r6", "r3", "r6", "r4", "r6")                            \
        THREE("r5", "r6", "r2", "r7", "r3", "r7") THREE("r4", "r7", "r5", "r7", "r2", "r8")        \
            THREE("r3", "r8", "r4", "r8", "r5", "r8") THREE("r2", "r9", "r3", "r9", "r4", "r9")    \
                BYTE("r11") LOOK_UP("r11") ADD("r5", "r9", "r11")
#define TURN_BYTES "196"
#define OTHER_TABLE
#else
#define ONE(acc, x, y)                                                                             \
    " ldrb r11, [r1], #1\n ldr.w r12, [r10, r11, lsl #2]\n ldr.w r11, [lr, r11, lsl #2]\n"         \
    " smlad " acc ", " x ", r12, " acc "\n smlad " acc ", " y ", r11, " acc "\n"
#define FOUR(x, y) ONE("r2", x, y) ONE("r3", x, y) ONE("r4", x, y) ONE("r5", x, y)
#define TURN " ldmia.w r0!, {r6-r9}\n" FOUR("r6", "r7") FOUR("r8", "r9")
#define TURN_BYTES "164"
#define OTHER_TABLE " add lr, r10, #1024\n"
#endif
MCUQ_NAKED static const uint32_t *run_rows(MCUQ_NAKED_ARGUMENT const uint32_t *weights,
                                           MCUQ_NAKED_ARGUMENT const rows_job *job)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " sub sp, #20\n"
                   " ldmia r1, {r2, r3, r4, r5, r6}\n"
                   " mov r1, r0\n"
                   " mov r10, r3\n" OTHER_TABLE " add r7, r2, r6, lsl #4\n"
                   " strd r2, r4, [sp]\n"
                   " strd r5, r7, [sp, #8]\n"
                   " ands r6, #3\n"
                   " it eq\n"
                   " moveq r6, #4\n"
                   " mov r5, #" TURN_BYTES "\n"
                   " mul r6, r5\n"
                   " adr.w r5, 3f\n"
                   " orr r5, #1\n"
                   " sub r5, r6\n"
                   " str r5, [sp, #16]\n"
                   "1:\n"
                   " ldmia r1!, {r2-r5}\n"
                   " ldr r0, [sp]\n"
                   " ldr pc, [sp, #16]\n"
                   ".balign 4\n"
                   "2:\n" TURN TURN TURN TURN "3:\n" MCUQ_CODE_BYTES(
                       "2", "3", "4 * " TURN_BYTES "") " ldr r6, [sp, #12]\n"
                                                       " cmp r0, r6\n"
                                                       " bne.w 2b\n"
                                                       " ldr r6, [r1], #4\n" MCUQ_DENSE_RESULTS_4(
                                                           "r6") " bne.w 1b\n"
                                                                 " mov r0, r1\n"
                                                                 " add sp, #20\n"
                                                                 " pop {r4-r11, pc}\n");
}
#else
/* The two words of x and of weights that a row's four inputs from 4 * i on meet. */
static int32_t add_four(int32_t acc, const rows_job *job, const uint8_t *codes, int32_t i,
                        int32_t row)
{
    const uint32_t *const x = job->x + 2 * i;
#if MCUQ_CODED_BITS == 4
    acc = mcuq_dsp_smlad(x[0], job->table[codes[8 * i + row]], acc);
    return mcuq_dsp_smlad(x[1], job->table[codes[8 * i + ROWS + row]], acc);
#else
    acc = mcuq_dsp_smlad(x[0], job->table[codes[4 * i + row]], acc);
    return mcuq_dsp_smlad(x[1], job->table[BYTES + codes[4 * i + row]], acc);
#endif
}

static const uint32_t *run_rows(const uint32_t *weights, const rows_job *job)
{
    int8_t *out = job->out;
    for (int32_t group = 0; group < job->groups; group++) {
        const uint32_t *const ends = weights + ROWS + TURN_WORDS * job->turns;
        for (int32_t row = 0; row < ROWS; row++) {
            int32_t acc = (int32_t)weights[row];
            for (int32_t i = 0; i < 2 * job->turns; i++) {
                acc = add_four(acc, job, (const uint8_t *)(weights + ROWS), i, row);
            }
            *out++ = mcuq_requant(acc, ends[0] >> (8 * row) & 31U, -128, 127);
        }
        weights = ends + 1;
    }
    return weights;
}
#endif

/* The int16 of every byte of codes; returns what lies behind. 700 instructions, 500 for 2 bits. */
#if MCUQ_CODED_BITS == 4
static uint32_t *make_table(uint32_t *to, const int8_t *values)
{
    for (const int8_t *low = values; low < values + 16; low += 8) {
        const uint32_t a = (uint32_t)low[0];
        const uint32_t b = (uint32_t)low[1];
        const uint32_t c = (uint32_t)low[2];
        const uint32_t d = (uint32_t)low[3];
        const uint32_t e = (uint32_t)low[4];
        const uint32_t f = (uint32_t)low[5];
        const uint32_t g = (uint32_t)low[6];
        const uint32_t h = (uint32_t)low[7];
        uint32_t *row = to + (low - values);
        for (const int8_t *high = values; high < values + 16; high++, row += 16) {
            const uint32_t upper = (uint32_t)*high;
            row[0] = mcuq_dsp_low(a, upper);
            row[1] = mcuq_dsp_low(b, upper);
            row[2] = mcuq_dsp_low(c, upper);
            row[3] = mcuq_dsp_low(d, upper);
            row[4] = mcuq_dsp_low(e, upper);
            row[5] = mcuq_dsp_low(f, upper);
            row[6] = mcuq_dsp_low(g, upper);
            row[7] = mcuq_dsp_low(h, upper);
        }
    }
    return to + BYTES;
}
#else
/* A row of 16 words in the first table, and one word 16 times in the other. 17 instructions. */
static inline void store_row(uint32_t *to, const uint32_t *row, uint32_t word)
{
#if MCUQ_DSP_ASM
#define COPY_4 " ldmia %[row]!, {r4-r6, r8}\n stmia %[to]!, {r4-r6, r8}\n"
#define STORE_4 " stmia %[other]!, {r4-r6, r8}\n"
    uint32_t *other = to + BYTES;
    __asm volatile(
        COPY_4 COPY_4 COPY_4 COPY_4
        " mov r4, %[word]\n mov r5, %[word]\n mov r6, %[word]\n mov r8, %[word]\n" STORE_4 STORE_4
            STORE_4 STORE_4
        : [to] "+&r"(to), [other] "+&r"(other), [row] "+&r"(row)
        : [word] "r"(word)
        : "r4", "r5", "r6", "r8", "memory");
#else
    for (int32_t i = 0; i < 16; i++) {
        to[i] = row[i];
        to[BYTES + i] = word;
    }
#endif
}

static uint32_t *make_table(uint32_t *to, const int8_t *values)
{
    uint32_t pairs[16];
    for (int32_t i = 0; i < 16; i++) {
        pairs[i] = mcuq_dsp_low((uint32_t)values[i & 3], (uint32_t)values[i >> 2]);
    }
    for (int32_t i = 0; i < 16; i++, to += 16) {
        store_row(to, pairs, pairs[i]);
    }
    return to + BYTES;
}
#endif

/* All inputs as int16 in int16 order, zeros to a multiple of 8. */
static void widen_inputs(uint32_t *to, const int8_t *in, int32_t count)
{
    for (; count > 0; count -= 8, in += 8, to += 4) {
        int8_t own[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        const int8_t *from = in;
        if (count < 8) {
            memcpy(own, in, (size_t)count);
            from = own;
        }
        const uint32_t first = mcuq_dsp_load4(from);
        const uint32_t second = mcuq_dsp_load4(from + 4);
        to[0] = mcuq_dsp_even(first);
        to[1] = mcuq_dsp_odd(first);
        to[2] = mcuq_dsp_even(second);
        to[3] = mcuq_dsp_odd(second);
    }
}

static void run_dense(const mcuq_dense_coded_dsp_params *p, const int8_t *in, int8_t *out,
                      uint32_t *scratch)
{
    uint32_t *const x = make_table(scratch, p->values);
    rows_job job = {x, scratch, out, p->out_len / ROWS, p->turns};
    widen_inputs(x, in, p->in_len);
    run_all(p->weights, &job, p->out_len);
    mcuq_dsp_clamp(out, p->out_len, p->out_min, p->out_max);
}

#endif
