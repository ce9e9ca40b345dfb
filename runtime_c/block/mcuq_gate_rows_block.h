/* mcuq_gate_rows_block.h: the rows of recurrent layers on any core, four sharing their data.
 *
 * Inputs and states are halfwords without sign, 128 and 32768 more than they are, and so are the
 * weights bytes, 128 more: Armv6-M loads these at an offset in one instruction. What the products
 * have too much is taken back: 128 times the sum of the data, by step, the rest in the biases.
 */
#ifndef MCUQ_GATE_ROWS_BLOCK_H
#define MCUQ_GATE_ROWS_BLOCK_H

#include "mcuq_gates.h"

/** What run_rows needs. base, state_base: added to all sums of inputs, and of states. */
typedef struct {
    const uint32_t *x;
    int32_t base;
    const int16_t *h;
    int16_t *z;
    int32_t groups, x_turns, h_turns;
    int32_t state_base;
} rows_job;

#define MCUQ_UNSIGNED_STATE 1

/** The inputs less their sign, to a multiple of 8; returns what all their sums start with. */
static inline int32_t read_input(uint32_t *to, const int8_t *x, int32_t count)
{
    uint16_t *const at = (uint16_t *)(void *)to;
    int32_t sum = 0;
    for (int32_t i = 0; i < ((count + 7) & ~7); i++) {
        const int32_t value = (i < count) ? x[i] : 0;
        at[i] = (uint16_t)(value + 128);
        sum += value;
    }
    return -128 * sum;
}

/** As read_input, of the state. */
static inline void read_state(rows_job *job, const int16_t *h, uint16_t *copy, int32_t count)
{
    int32_t sum = 0;
    for (int32_t j = 0; j < ((count + 7) & ~7); j++) {
        const int32_t value = (j < count) ? h[j] : 0;
        copy[j] = (uint16_t)(value + 32768);
        sum += value;
    }
    job->h = (const int16_t *)(const void *)copy;
    job->state_base = (int32_t)(0u - ((uint32_t)sum << 7));
}

static inline int32_t curve(const int16_t *middle, int32_t z)
{
    return mcuq_curve(middle - 256, z);
}

#if defined(__thumb__) && !defined(__thumb2__)

#define MCUQ_BLOCK_ROW(acc, byte) " ldrb r3, [r0, #" byte "]\n muls r3, r2\n adds " acc ", r3\n"
/* Datum i: 13 instructions for four products. */
#define MCUQ_BLOCK_DATUM(half, b0, b1, b2, b3)                                                     \
    " ldrh r2, [r1, #" half "]\n" MCUQ_BLOCK_ROW("r4", b0) MCUQ_BLOCK_ROW("r5", b1)                \
        MCUQ_BLOCK_ROW("r6", b2) MCUQ_BLOCK_ROW("r7", b3)

/* acc[0..3] += the products of 8 * turns data with their weights; returns these' end. 109
 * instructions a turn of 32 products, and 20.
 * r0 weights, r1 data, r2 datum, r3 weight, r4-r7 sums, r8 the data's end. */
MCUQ_NAKED static const uint32_t *four_rows(MCUQ_NAKED_ARGUMENT const uint32_t *words,
                                            MCUQ_NAKED_ARGUMENT const uint16_t *data,
                                            MCUQ_NAKED_ARGUMENT int32_t turns,
                                            MCUQ_NAKED_ARGUMENT uint32_t *acc)
{
    __asm volatile(
        ".syntax unified\n push {r3-r7, lr}\n mov r4, r8\n push {r4}\n"
        " lsls r2, r2, #4\n adds r2, r1, r2\n mov r8, r2\n"
        " ldmia r3!, {r4-r7}\n"
        "1:\n" MCUQ_BLOCK_DATUM("0", "0", "1", "2", "3") MCUQ_BLOCK_DATUM("2", "4", "5", "6", "7")
            MCUQ_BLOCK_DATUM("4", "8", "9", "10", "11") MCUQ_BLOCK_DATUM(
                "6", "12", "13", "14", "15") MCUQ_BLOCK_DATUM("8", "16", "17", "18", "19")
                MCUQ_BLOCK_DATUM("10", "20", "21", "22", "23") MCUQ_BLOCK_DATUM("12", "24", "25",
                                                                                "26", "27")
                    MCUQ_BLOCK_DATUM("14", "28", "29", "30",
                                     "31") " adds r0, #32\n adds r1, #16\n cmp r1, r8\n bne 1b\n"
                                           " pop {r3}\n mov r8, r3\n pop {r3}\n stmia r3!, "
                                           "{r4-r7}\n pop {r4-r7, pc}\n");
}

#else

/* One datum times its four weights. */
#define MCUQ_BLOCK_DATUM(i)                                                                        \
    datum = data[i];                                                                               \
    a += w[4 * (i)] * datum;                                                                       \
    b += w[4 * (i) + 1] * datum;                                                                   \
    c += w[4 * (i) + 2] * datum;                                                                   \
    d += w[4 * (i) + 3] * datum

/* acc[0..3] += the products of 8 * turns data with their weights; returns these' end. */
static inline const uint32_t *four_rows(const uint32_t *words, const uint16_t *data, int32_t turns,
                                        uint32_t *acc)
{
    const uint8_t *w = (const uint8_t *)words;
    uint32_t a = acc[0], b = acc[1], c = acc[2], d = acc[3];
    for (int32_t i = 0; i < 2 * turns; i++, w += 16, data += 4) {
        uint32_t datum;
        MCUQ_BLOCK_DATUM(0);
        MCUQ_BLOCK_DATUM(1);
        MCUQ_BLOCK_DATUM(2);
        MCUQ_BLOCK_DATUM(3);
    }
    acc[0] = a;
    acc[1] = b;
    acc[2] = c;
    acc[3] = d;
    return words + 8 * turns;
}

#endif

/* `groups` times four rows at z; returns the words behind theirs. */
static inline const uint32_t *run_rows(const uint32_t *words, const rows_job *job)
{
    const uint16_t *const x = (const uint16_t *)(const void *)job->x;
    const uint16_t *const h = (const uint16_t *)(const void *)job->h;
    int16_t *z = job->z;
    for (int32_t group = 0; group < job->groups; group++, z += 4) {
        uint32_t acc[4];
        for (int32_t row = 0; row < 4; row++) {
            acc[row] = words[row] + (uint32_t)job->base;
        }
        words += 4;
        if (job->x_turns > 0) {
            words = four_rows(words, x, job->x_turns, acc);
        }
        for (int32_t row = 0; row < 4; row++) {
            acc[row] = (acc[row] << ((const uint8_t *)words)[row]) + words[1 + row];
            acc[row] += (uint32_t)job->state_base;
        }
        words += 5;
        if (job->h_turns > 0) {
            words = four_rows(words, h, job->h_turns, acc);
        }
        for (int32_t row = 0; row < 4; row++) {
            z[row] = mcuq_sat16((int32_t)acc[row] >> ((const uint8_t *)words)[row]);
        }
        words++;
    }
    return words;
}

#endif
