/* mcuq_gate_rows_block_body.h: the rows of recurrent layers on any core, four sharing their data.
 *
 * A word holds the weights of four rows for one datum, bytes without sign, 128 more than they
 * are: what the products have too much, 128 times the sum of the data, is the same for all rows
 * and taken back by step. The other bytes stay beside the wanted one: with W the word,
 *     A[k] = sum of (W >> 8 k) * datum,   so that   row k = A[k] - 256 * A[k + 1]   (mod 2^32).
 *
 * Parameters: none.
 */
#ifndef MCUQ_GATE_ROWS_BLOCK_BODY_H
#define MCUQ_GATE_ROWS_BLOCK_BODY_H

#include "mcuq_gates.h"

/** What run_rows needs; its assembly knows this layout. base, state_base: added to all sums of
 *  inputs, and of states. */
typedef struct {
    const int32_t *x;
    int32_t base;
    const int32_t *h;
    int16_t *z;
    int32_t groups, x_turns, h_turns;
    int32_t state_base;
} rows_job;

#define MCUQ_WORD_STATE 1

/** The inputs in words, to a multiple of 8; returns what all their sums start with. */
static inline int32_t read_input(uint32_t *to, const int8_t *x, int32_t count)
{
    int32_t *const at = (int32_t *)(void *)to;
    int32_t sum = 0, i = 0;
    for (; i < count; i++) {
        sum += x[i];
        at[i] = x[i];
    }
    for (; (i & 7) != 0; i++) {
        at[i] = 0;
    }
    return -128 * sum;
}

/** As read_input, of the state. */
static inline void read_state(rows_job *job, const int16_t *h, int32_t *copy, int32_t count)
{
    int32_t sum = 0;
    for (int32_t j = 0; j < ((count + 7) & ~7); j++) { /* zeros follow the state */
        sum += h[j];
        copy[j] = h[j];
    }
    job->h = copy;
    job->state_base = -128 * sum;
}

static inline int32_t curve(const int16_t *middle, int32_t z)
{
    return mcuq_curve(middle - 256, z);
}

#if defined(__thumb__) && !defined(__thumb2__)

/* clang-format off */
#define MCUQ_BLOCK_VIEW(acc, word, datum, shift) \
    " lsrs r2, " word ", #" shift "\n muls r2, " datum "\n add " acc ", r2\n"
/* One datum times the four weights of a word: 11 instructions. */
#define MCUQ_BLOCK_DATUM(word, datum) \
    MCUQ_BLOCK_VIEW("r9", word, datum, "8") \
    MCUQ_BLOCK_VIEW("r10", word, datum, "16") \
    MCUQ_BLOCK_VIEW("r11", word, datum, "24") " muls " word ", " datum "\n add r8, " word "\n"
/* Six data, or two: the loads come when registers are free. */
#define MCUQ_BLOCK_SIX \
    " ldmia r1!, {r5-r7}\n ldmia r0!, {r3, r4}\n" MCUQ_BLOCK_DATUM("r3", "r5") \
        MCUQ_BLOCK_DATUM("r4", "r6") " ldmia r0!, {r3, r4}\n" MCUQ_BLOCK_DATUM("r3", "r7") \
            " ldmia r1!, {r5-r7}\n" MCUQ_BLOCK_DATUM("r4", "r5") " ldmia r0!, {r3, r4}\n" \
                MCUQ_BLOCK_DATUM("r3", "r6") MCUQ_BLOCK_DATUM("r4", "r7")
#define MCUQ_BLOCK_TWO \
    " ldmia r1!, {r5, r6}\n ldmia r0!, {r3, r4}\n" MCUQ_BLOCK_DATUM("r3", "r5") \
        MCUQ_BLOCK_DATUM("r4", "r6")
/* The 16 bits of a row, whose sum is in a register. */
#define MCUQ_BLOCK_RESULT(sum, row, half) \
    " ldrb r6, [r0, #" row "]\n asrs " sum ", r6\n sxth r6, " sum "\n cmp r6, " sum "\n bne 2" row \
    "f\n3" row ": strh " sum ", [r1, #" half "]\n"
#define MCUQ_BLOCK_SATURATE(sum, row) \
    "2" row ": movs r6, #128\n lsls r6, r6, #8\n subs r6, #1\n asrs " sum ", " sum ", #31\n" \
    " eors " sum ", r6\n b 3" row "b\n"

/* r2-r5: A[0..3] of rows that are r5 each, to the stack. */
#define MCUQ_BLOCK_START \
    " lsls r4, r5, #8\n adds r4, r5\n lsls r3, r4, #8\n adds r3, r5\n" \
    " lsls r2, r3, #8\n adds r2, r5\n push {r2-r5}\n"

/* `groups` times four rows at z; returns the words behind theirs. 379 instructions for 32 data (128
 * products, 2.96 each) and 3 a turn, 95 for 8 data and 2, about 125 for four rows.
 * r0 weights, r1 data, r2 a view of a word or its product, r3, r4 words, r5-r7 data, r8-r11 sums,
 * r12 the end of the data. Frame: 0 four sums, 16 0 for inputs or 1 for states, turns, 24 what
 * A[0..3] start with of inputs, 40 of states, 56 groups, x_turns, h_turns, state_base, 72 x,
 * base, h, z. */
MCUQ_NAKED static const uint32_t *run_rows(MCUQ_NAKED_ARGUMENT const uint32_t *words,
                                           MCUQ_NAKED_ARGUMENT const rows_job *job)
{
    __asm volatile(
        ".syntax unified\n push {r4-r7, lr}\n mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n"
        " push {r3-r7}\n"
        " ldmia r1!, {r2-r5}\n push {r2-r5}\n movs r6, r3\n ldmia r1!, {r2-r5}\n push {r2-r5}\n"
        MCUQ_BLOCK_START " movs r5, r6\n" MCUQ_BLOCK_START " sub sp, #24\n"
        "1: ldr r2, [sp, #60]\n cmp r2, #0\n beq 12f\n"
        " ldr r1, [sp, #72]\n movs r7, #0\n add r6, sp, #24\n b 3f\n"
        /* The sums of inputs: left, bias. */
        "2: ldrb r6, [r0, #0]\n lsls r2, r6\n ldrb r6, [r0, #1]\n lsls r3, r6\n"
        " ldrb r6, [r0, #2]\n lsls r4, r6\n ldrb r6, [r0, #3]\n lsls r5, r6\n adds r0, #4\n"
        " ldmia r0!, {r6, r7}\n adds r2, r6\n adds r3, r7\n"
        " ldmia r0!, {r6, r7}\n adds r4, r6\n adds r5, r7\n"
        " ldr r7, [sp, #64]\n cmp r7, #0\n beq 13f\n"
        " mov r1, sp\n stmia r1!, {r2-r5}\n"
        " movs r2, r7\n ldr r1, [sp, #80]\n movs r7, #1\n add r6, sp, #40\n"
        /* r2 turns of data at r1; r6: what their sums start with. */
        "3: str r7, [sp, #16]\n str r2, [sp, #20]\n"
        " ldmia r6!, {r3-r5, r7}\n mov r8, r3\n mov r9, r4\n mov r10, r5\n mov r11, r7\n"
        " lsrs r3, r2, #2\n beq 5f\n lsls r3, r3, #7\n adds r3, r1\n mov r12, r3\n b 8f\n"
        "4: ldr r2, [sp, #20]\n"
        "5: lsls r2, r2, #30\n bne 7f\n"
        "6: mov r2, r8\n mov r3, r9\n mov r4, r10\n mov r5, r11\n"
        " lsls r6, r3, #8\n subs r2, r6\n lsls r6, r4, #8\n subs r3, r6\n"
        " lsls r6, r5, #8\n subs r4, r6\n ldr r7, [sp, #16]\n cmp r7, #0\n beq 2b\n"
        /* Those of states: what was made before. */
        " mov r1, sp\n ldmia r1!, {r6, r7}\n adds r2, r6\n adds r3, r7\n"
        " ldmia r1!, {r6, r7}\n adds r4, r6\n adds r5, r7\n"
        "13: ldr r1, [sp, #84]\n"
        MCUQ_BLOCK_RESULT("r2", "0", "0") MCUQ_BLOCK_RESULT("r3", "1", "2")
        MCUQ_BLOCK_RESULT("r4", "2", "4") MCUQ_BLOCK_RESULT("r5", "3", "6")
        " adds r0, #4\n adds r1, #8\n str r1, [sp, #84]\n"
        " ldr r6, [sp, #56]\n subs r6, #1\n str r6, [sp, #56]\n beq 9f\n b 1b\n"
        "9: add sp, #88\n pop {r3-r7}\n mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"
        " pop {r4-r7, pc}\n"
        MCUQ_BLOCK_SATURATE("r2", "0") MCUQ_BLOCK_SATURATE("r3", "1")
        MCUQ_BLOCK_SATURATE("r4", "2") MCUQ_BLOCK_SATURATE("r5", "3")
        "12: movs r3, #0\n movs r4, #0\n movs r5, #0\n b 2b\n"
        "7: lsrs r2, r2, #25\n adds r2, r1\n mov r12, r2\n"
        "10:\n" MCUQ_BLOCK_SIX MCUQ_BLOCK_TWO " cmp r1, r12\n bne 10b\n b 6b\n"
        "8:\n" MCUQ_BLOCK_SIX MCUQ_BLOCK_SIX MCUQ_BLOCK_SIX MCUQ_BLOCK_SIX MCUQ_BLOCK_SIX
        MCUQ_BLOCK_TWO " cmp r1, r12\n beq 11f\n b 8b\n11: b 4b\n");
}
/* clang-format on */

#else

/* Datum i times its four weights. */
#define MCUQ_BLOCK_DATUM(i)                                                                        \
    word = words[i];                                                                               \
    datum = (uint32_t)data[i];                                                                     \
    a += word * datum;                                                                             \
    b += (word >> 8) * datum;                                                                      \
    c += (word >> 16) * datum;                                                                     \
    d += (word >> 24) * datum

/* acc[0..3] += the products of 8 * turns data with their weights; returns these' end. Inlined, gcc
 * keeps products on the stack. */
static __attribute__((noinline)) const uint32_t *
four_rows(const uint32_t *words, const int32_t *data, int32_t turns, uint32_t *acc)
{
    uint32_t a = 0, b = 0, c = 0, d = 0;
    for (int32_t i = 0; i < 2 * turns; i++, words += 4, data += 4) {
        uint32_t word, datum;
        MCUQ_BLOCK_DATUM(0);
        MCUQ_BLOCK_DATUM(1);
        MCUQ_BLOCK_DATUM(2);
        MCUQ_BLOCK_DATUM(3);
    }
    acc[0] += a - (b << 8);
    acc[1] += b - (c << 8);
    acc[2] += c - (d << 8);
    acc[3] += d;
    return words;
}

/* `groups` times four rows at z; returns the words behind theirs. */
static inline const uint32_t *run_rows(const uint32_t *words, const rows_job *job)
{
    int16_t *z = job->z;
    for (int32_t group = 0; group < job->groups; group++, z += 4) {
        const uint32_t base = (uint32_t)job->base;
        uint32_t acc[4] = {base, base, base, base};
        words = four_rows(words, job->x, job->x_turns, acc);
        for (int32_t row = 0; row < 4; row++) {
            acc[row] = (acc[row] << ((const uint8_t *)words)[row]) + words[1 + row];
            acc[row] += (uint32_t)job->state_base;
        }
        words = four_rows(words + 5, job->h, job->h_turns, acc);
        for (int32_t row = 0; row < 4; row++) {
            z[row] = mcuq_sat16((int32_t)acc[row] >> ((const uint8_t *)words)[row]);
        }
        words++;
    }
    return words;
}

#endif

#endif
