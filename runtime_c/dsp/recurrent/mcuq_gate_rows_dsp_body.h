/* mcuq_gate_rows_dsp_body.h: the rows of recurrent layers, four at a time.
 *
 * The inputs' products are made 256-fold, as mcuq_dense_s8_dsp.c explains.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_WIDE: 1 if the state's weights lie in halfwords, 0 if in bytes
 */
#ifndef MCUQ_GATE_ROWS_DSP_BODY_H
#define MCUQ_GATE_ROWS_DSP_BODY_H

#include "mcuq_dense_spread.h"
#include "mcuq_dsp.h"

/** What run_rows needs; its assembly knows this layout. base: added to all sums of inputs. */
typedef struct {
    const uint32_t *x;
    int32_t base;
    const int16_t *h;
    int16_t *z;
    int32_t groups, x_turns, h_turns;
    int32_t state_base; /* added to the sums of odd rows whose weights lie in bytes */
} rows_job;

#define MCUQ_WORD_STATE 0

/** The inputs, spread; returns what all their sums start with. */
static inline int32_t read_input(uint32_t *to, const int8_t *x, int32_t count)
{
    return (int32_t)(0u - ((uint32_t)mcuq_dense_spread_all(to, x, count) << 15));
}

/** The state as it is; bytes of odd rows are 128 more than their weights. */
static inline void read_state(rows_job *job, const int16_t *h, int32_t *copy, int32_t count)
{
    (void)copy;
    job->h = h;
    job->state_base = 0;
#if !MCUQ_WIDE
    for (int32_t i = 0; i < count; i += 4, h += 4) { /* zeros follow */
        uint32_t words[2];
        memcpy(words, h, sizeof words);
        job->state_base = mcuq_dsp_smlad(words[0], 0xff80ff80u, job->state_base);
        job->state_base = mcuq_dsp_smlad(words[1], 0xff80ff80u, job->state_base);
    }
#else
    (void)count;
#endif
}

/** mcuq_curve; middle: point 256. */
static inline int32_t curve(const int16_t *middle, int32_t z)
{
    return mcuq_dsp_between(middle, z);
}

#if MCUQ_DSP_ASM
#if MCUQ_WIDE
/* 2 units of 4 rows. */
#define MCUQ_STATE_PAIR(h)                                                                         \
    " ldmia r1!, {r10-r12, lr}\n smlad r2, r10, " h ", r2\n smlad r3, r11, " h ", r3\n"            \
    " smlad r4, r12, " h ", r4\n smlad r5, lr, " h ", r5\n"
/* 8 units of 4 rows: 21 instructions for 32 MAC. */
#define MCUQ_STATE_TURN                                                                            \
    " ldmia r0!, {r6-r9}\n" MCUQ_STATE_PAIR("r6") MCUQ_STATE_PAIR("r7") MCUQ_STATE_PAIR("r8")      \
        MCUQ_STATE_PAIR("r9")
#define MCUQ_STATE_BYTES "84"
#define MCUQ_STATE_TURNS MCUQ_STATE_TURN MCUQ_STATE_TURN MCUQ_STATE_TURN MCUQ_STATE_TURN
#define MCUQ_STATE_COUNT "4"
#define MCUQ_STATE_MASK "3"
#define MCUQ_STATE_START ""
#define MCUQ_STATE_END ""
#else
/* A word of both rows of a pair, for two units: its halves are 256 times a weight of the first row
 * and a byte of the second one. Sums of 64 bits of the halves, of 32 bits of the bytes. */
#define MCUQ_STATE_WORD(w, h, both, odd)                                                           \
    " smlald " both ", " w ", " h "\n uxtb16 " w ", " w "\n smlad " odd ", " w ", " h ", " odd "\n"
/* 4 units of 4 rows. */
#define MCUQ_STATE_QUAD                                                                            \
    " ldrd r8, r9, [r0], #8\n ldmia r1!, {r10-r12, lr}\n" MCUQ_STATE_WORD(                         \
        "r10", "r8", "r2, r3", "r6") MCUQ_STATE_WORD("r11", "r9", "r2, r3", "r6")                  \
        MCUQ_STATE_WORD("r12", "r8", "r4, r5", "r7") MCUQ_STATE_WORD("lr", "r9", "r4, r5", "r7")
/* 8 units of 4 rows: 28 instructions for 32 MAC. */
#define MCUQ_STATE_TURN MCUQ_STATE_QUAD MCUQ_STATE_QUAD
#define MCUQ_STATE_BYTES "112"
/* Two turns: all that goes round is less than 1 KB, which small caches in front of flash hold. */
#define MCUQ_STATE_TURNS MCUQ_STATE_TURN MCUQ_STATE_TURN
#define MCUQ_STATE_COUNT "2"
#define MCUQ_STATE_MASK "1"
/* Sums of inputs in r2-r5: of first rows to 64 bits, 256-fold, of second ones kept in the frame. */
#define MCUQ_STATE_START                                                                           \
    " ldr r6, [sp, #36]\n add r3, r6\n add r5, r6\n strd r3, r5, [sp, #40]\n"                      \
    " asr r3, r2, #24\n lsls r2, r2, #8\n asr r5, r4, #24\n lsls r4, r4, #8\n"                     \
    " movs r6, #0\n movs r7, #0\n"
/* What is left of 256-fold sums without those of bytes belongs to first rows. */
#define MCUQ_STATE_END                                                                             \
    " ldrd r8, r9, [sp, #40]\n subs r2, r2, r6\n sbc r3, r3, r6, asr #31\n lsrs r2, r2, #8\n"      \
    " orr r2, r2, r3, lsl #24\n add r3, r6, r8\n"                                                  \
    " subs r4, r4, r7\n sbc r5, r5, r7, asr #31\n lsrs r4, r4, #8\n"                               \
    " orr r4, r4, r5, lsl #24\n add r5, r7, r9\n"
#endif

/* Where a loop of `count` turns (a power of two, `mask` one less) of so many bytes, which ends at
 * `label`, is entered for `turns` (a register) of them: at its end for none. To the frame at
 * `place`. */
#define MCUQ_ENTRY(turns, count, mask, bytes, label, place)                                        \
    " ands r9, " turns ", #" mask "\n it eq\n moveq r9, #" count "\n cmp " turns                   \
    ", #0\n it eq\n moveq r9, #0\n"                                                                \
    " mov r10, #" bytes "\n mul r9, r9, r10\n adr.w r10, " label "f\n orr r10, #1\n"               \
    " sub r10, r9\n str r10, [sp, #" place "]\n"

/* `groups` times four rows at z; returns the words behind theirs. 44 instructions for four rows, or
 * 65 of bytes, beside the turns and 3 for each four of these, or each two of bytes of the state.
 * r0 x or h, r1 words, r2-r5 sums. Frame: x, base, h, z, groups, x end and entry, h end and entry,
 * state_base, two sums.
 */
MCUQ_NAKED static const uint32_t *run_rows(MCUQ_NAKED_ARGUMENT const uint32_t *words,
                                           MCUQ_NAKED_ARGUMENT const rows_job *job)
{
    __asm volatile(
        "push {r4-r11, lr}\n sub sp, #48\n ldmia r1, {r2-r9}\n stmia sp, {r2-r6}\n str r9, [sp, "
        "#36]\n mov r1, r0\n"
        " add r9, r2, r7, lsl #4\n str r9, [sp, #20]\n add r9, r4, r8, lsl #4\n"
        " str r9, [sp, #28]\n" MCUQ_ENTRY("r7", "4", "3", "108", "3", "24") MCUQ_ENTRY(
            "r8", MCUQ_STATE_COUNT, MCUQ_STATE_MASK, MCUQ_STATE_BYTES, "5",
            "32") "1:\n ldmia r1!, {r2-r5}\n ldrd r0, r6, [sp]\n"
                  " add r2, r6\n add r3, r6\n add r4, r6\n add r5, r6\n ldr pc, [sp, #24]\n"
                  ".balign 4\n"
                  "2:\n" MCUQ_DENSE_4_TURNS "3:\n" MCUQ_CODE_BYTES(
                      "2", "3",
                      "4 * 108") " ldr r6, [sp, #20]\n cmp r0, r6\n bne.w 2b\n"
                                 " ldmia r1!, {r6, r8-r11}\n"
                                 " asrs r2, r2, #8\n lsls r2, r6\n add r2, r8\n lsrs r6, r6, #8\n"
                                 " asrs r3, r3, #8\n lsls r3, r6\n add r3, r9\n lsrs r6, r6, #8\n"
                                 " asrs r4, r4, #8\n lsls r4, r6\n add r4, r10\n lsrs r6, r6, #8\n"
                                 " asrs r5, r5, #8\n lsls r5, r6\n add r5, r11\n"
                                 " ldr r0, [sp, #8]\n" MCUQ_STATE_START " ldr pc, [sp, #32]\n"
                                 ".balign 4\n"
                                 "4:\n" MCUQ_STATE_TURNS "5:\n" MCUQ_CODE_BYTES(
                                     "4", "5",
                                     MCUQ_STATE_COUNT
                                     " * " MCUQ_STATE_BYTES) " ldr r8, [sp, #28]\n cmp r0, r8\n "
                                                             "bne.w 4b\n" MCUQ_STATE_END
                                                             " ldr r6, [r1], #4\n"
                                                             " asrs r2, r6\n lsrs r6, r6, #8\n "
                                                             "asrs r3, r6\n lsrs r6, r6, #8\n"
                                                             " asrs r4, r6\n lsrs r6, r6, #8\n "
                                                             "asrs r5, r6\n"
                                                             " ssat r2, #16, r2\n ssat r3, #16, "
                                                             "r3\n ssat r4, #16, r4\n ssat r5, "
                                                             "#16, r5\n"
                                                             " pkhbt r2, r2, r3, lsl #16\n pkhbt "
                                                             "r4, r4, r5, lsl #16\n"
                                                             " ldrd r6, r7, [sp, #12]\n stmia "
                                                             "r6!, {r2, r4}\n subs r7, #1\n strd "
                                                             "r6, r7, [sp, #12]\n"
                                                             " bne.w 1b\n"
                                                             " mov r0, r1\n add sp, #48\n pop "
                                                             "{r4-r11, pc}\n");
}
#else
/* The weights of a row of four for units 2 * i and 2 * i + 1. */
static uint32_t state_pair(const uint32_t *words, int32_t row, int32_t i)
{
#if MCUQ_WIDE
    return words[4 * i + row];
#else
    const uint32_t both = words[4 * (i / 2) + 2 * (row / 2) + i % 2];
    return (row & 1) ? mcuq_dsp_even(both ^ 0x00800080u) : mcuq_dsp_odd(both);
#endif
}

/* acc + the products of the state. */
static uint32_t state_turns(uint32_t acc, const uint32_t *words, int32_t row, const int16_t *h,
                            int32_t turns)
{
    for (int32_t i = 0; i < 4 * turns; i++, h += 2) {
        const uint32_t pair = (uint16_t)h[0] | ((uint32_t)(uint16_t)h[1] << 16);
        acc += (uint32_t)mcuq_dsp_smlad(state_pair(words, row, i), pair, 0);
    }
    return acc;
}

/* acc + the products of the inputs, 256-fold. */
static uint32_t input_turns(uint32_t acc, const uint32_t *words, const uint32_t *x, int32_t turns)
{
    for (int32_t i = 0; i < 2 * turns; i++) {
        const uint32_t w = words[4 * i];
        acc += (uint32_t)mcuq_dsp_smlad(w, x[2 * i], 0);
        acc += (uint32_t)mcuq_dsp_smlad(w & 0x00ff00ffu, x[2 * i + 1], 0);
    }
    return acc;
}

static const uint32_t *run_rows(const uint32_t *words, const rows_job *job)
{
    const int32_t of_state = MCUQ_WIDE ? 16 : 8;
    int16_t *z = job->z;
    for (int32_t group = 0; group < job->groups; group++) {
        const uint32_t *const middle = words + 4 + 8 * job->x_turns;
        const uint32_t *const end = middle + 5 + of_state * job->h_turns;
        for (int32_t row = 0; row < 4; row++) {
            uint32_t acc = input_turns(words[row] + (uint32_t)job->base, words + 4 + row, job->x,
                                       job->x_turns);
            acc = (uint32_t)((int32_t)acc >> 8) << ((middle[0] >> (8 * row)) & 255u);
            acc += middle[1 + row];
            acc = state_turns(acc, middle + 5, row, job->h, job->h_turns);
            *z++ =
                (int16_t)mcuq_clamp((int32_t)acc >> ((end[0] >> (8 * row)) & 255u), -32768, 32767);
        }
        words = end + 1;
    }
    return words;
}
#endif

#endif
