/* mcuq_coded_sums_body.h: dense layers by tables of sums, for codes of MCUQ_CODED_BITS.
 *
 * A column is the inputs that one byte of codes meets: two for 4 bits, four for 2. Its table
 * holds their sum of products for every byte. Two products fit 16 bits: those sums are stored
 * plus 2^15, so that two of them can be added as one word without a carry; four products take 32.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_CODED_BITS: 4 or 2
 */
#ifndef MCUQ_CODED_SUMS_BODY_H
#define MCUQ_CODED_SUMS_BODY_H

#include <string.h>

#include "mcuq_dense_coded.h"
#include "mcuq_requant.h"

enum { BLOCK = 8, TOGETHER = 8 / MCUQ_CODED_BITS, ROWS = 16 };

#if MCUQ_CODED_BITS == 4
typedef uint16_t table_sum;
#define LOAD_SUM "ldrh"
#define SCALE "1"
#define OFFSET 32768U
#else
typedef uint32_t table_sum;
#define LOAD_SUM "ldr"
#define SCALE "2"
#define OFFSET 0U
#endif
enum { ROW_WORDS = ROWS * (int)sizeof(table_sum) / 4, TABLE = 256 };

/* to[i] = from[i] + add for the words of a row; returns its end. 1.5 instructions a word. */
static inline uint32_t *add_row(uint32_t *to, const uint32_t *from, uint32_t add)
{
#if defined(__thumb__)
    for (int32_t i = 0; i < ROW_WORDS; i += 4) {
        __asm__ volatile(".syntax unified\n\t"
                         "ldmia %[from]!, {r3, r4, r5, r6}\n\t"
                         "adds r3, r3, %[add]\n\t"
                         "adds r4, r4, %[add]\n\t"
                         "adds r5, r5, %[add]\n\t"
                         "adds r6, r6, %[add]\n\t"
                         "stmia %[to]!, {r3, r4, r5, r6}"
                         : [to] "+&l"(to), [from] "+&l"(from)
                         : [add] "l"(add)
                         : "r3", "r4", "r5", "r6", "cc", "memory");
    }
#else
    for (int32_t i = 0; i < ROW_WORDS; i += 4, to += 4, from += 4) {
        const uint32_t first = from[0] + add;
        const uint32_t second = from[1] + add;
        const uint32_t third = from[2] + add;
        to[3] = from[3] + add;
        to[0] = first;
        to[1] = second;
        to[2] = third;
    }
#endif
    return to;
}

#if MCUQ_CODED_BITS == 4
/* The sums of a column: in[0] meets the low code of a byte, in[1] the high one. pairs: the values,
 * two in a word. */
static inline void make_table(uint32_t *to, const int8_t *values, const uint32_t *pairs,
                              const int8_t *in)
{
    const uint32_t first = (uint32_t)in[0];
    const uint32_t second = (uint32_t)in[1] * 0x10001U;
    uint32_t row[ROW_WORDS];
    for (int32_t i = 0; i < ROW_WORDS; i++) {
        row[i] = pairs[i] * first;
    }
    for (int32_t high = 0; high < ROWS; high++) {
        to = add_row(to, row, (uint32_t)values[high] * second + OFFSET * 0x10001U);
    }
}
#else
/* The 16 sums of two inputs; a meets the low code. */
static inline void make_row(uint32_t *to, const int8_t *values, int32_t a, int32_t b)
{
    const int32_t first = values[0] * a;
    const int32_t second = values[1] * a;
    const int32_t third = values[2] * a;
    const int32_t fourth = values[3] * a;
    for (int32_t high = 0; high < 4; high++, to += 4) {
        const int32_t sum = values[high] * b;
        to[0] = (uint32_t)(sum + first);
        to[1] = (uint32_t)(sum + second);
        to[2] = (uint32_t)(sum + third);
        to[3] = (uint32_t)(sum + fourth);
    }
}

/* The sums of a column: in[0] meets the lowest code of a byte. */
static inline void make_table(uint32_t *to, const int8_t *values, const uint32_t *pairs,
                              const int8_t *in)
{
    uint32_t row[ROW_WORDS];
    uint32_t column[ROWS];
    (void)pairs;
    make_row(row, values, in[0], in[1]);
    make_row(column, values, in[2], in[3]);
    for (int32_t high = 0; high < ROWS; high++) {
        to = add_row(to, row, column[high]);
    }
}
#endif

/* acc[0..8) += for each of `count` columns (not 0) the sum that the output's code names. */
#if defined(__thumb__) && !defined(__thumb2__)

#define ADD(offset, acc)                                                                           \
    "ldrb r2, [r0, #" #offset "]\n\tlsls r2, r2, #" SCALE "\n\t" LOAD_SUM                          \
    " r3, [r1, r2]\n\tadd " #acc ", r3\n\t"

/* Armv6-M. 36 instructions a column: 2.3 or 1.1 a product.
 * r0 codes, r1 tables, r2 code, r3 sum, r4 end of tables, r5 bytes of a table, sums r6, r7 (saved:
 * it may be the frame pointer), r8-r12, lr. */
static inline void add_sums(const uint8_t *codes, const table_sum *tables, int32_t count,
                            uint32_t *acc)
{
    register const uint8_t *r0 __asm__("r0") = codes;
    register const table_sum *r1 __asm__("r1") = tables;
    register uint32_t *r2 __asm__("r2") = acc;
    register const table_sum *r4 __asm__("r4") = tables + TABLE * count;
    register int32_t r5 __asm__("r5") = TABLE * (int32_t)sizeof(table_sum);
    __asm__ volatile(".syntax unified\n\t"
                     "push {r2, r7}\n\t"
                     "ldr r3, [r2]\n\t"
                     "mov r8, r3\n\t"
                     "ldr r3, [r2, #4]\n\t"
                     "mov r9, r3\n\t"
                     "ldr r3, [r2, #8]\n\t"
                     "mov r10, r3\n\t"
                     "ldr r3, [r2, #12]\n\t"
                     "mov r11, r3\n\t"
                     "ldr r3, [r2, #16]\n\t"
                     "mov r12, r3\n\t"
                     "ldr r3, [r2, #20]\n\t"
                     "mov lr, r3\n\t"
                     "ldr r6, [r2, #24]\n\t"
                     "ldr r7, [r2, #28]\n"
                     /* clang-format off */
                     "1:\t"
                     ADD(0, r8) ADD(1, r9) ADD(2, r10) ADD(3, r11)
                     ADD(4, r12) ADD(5, lr) ADD(6, r6) ADD(7, r7)
                     /* clang-format on */
                     "adds r0, #8\n\t"
                     "adds r1, r1, r5\n\t"
                     "cmp r1, r4\n\t"
                     "bne 1b\n\t"
                     "mov r3, r7\n\t"
                     "pop {r2, r7}\n\t"
                     "str r6, [r2, #24]\n\t"
                     "str r3, [r2, #28]\n\t"
                     "mov r3, r8\n\t"
                     "mov r4, r9\n\t"
                     "mov r5, r10\n\t"
                     "mov r6, r11\n\t"
                     "stmia r2!, {r3, r4, r5, r6}\n\t"
                     "mov r3, r12\n\t"
                     "mov r4, lr\n\t"
                     "stmia r2!, {r3, r4}"
                     : "+&r"(r0), "+&r"(r1), "+&r"(r2), "+&r"(r4), "+&r"(r5)
                     :
                     : "r3", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
}

#elif defined(__thumb2__)

#define ADD_2(first, second)                                                                       \
    "ldrb r3, [r0], #1\n\tldrb r12, [r0], #1\n\t" LOAD_SUM ".w r3, [r1, r3, lsl #" SCALE           \
    "]\n\t" LOAD_SUM ".w r12, [r1, r12, lsl #" SCALE "]\n\tadd " #first ", r3\n\tadd " #second     \
    ", r12\n\t"

/* Armv7-M and up. 27 instructions a column: 1.7 or 0.84 a product.
 * r0 codes, r1 tables, r2 their end, r3, r12 codes and sums, r4-r6, r8-r11, lr the eight sums. */
static inline void add_sums(const uint8_t *codes, const table_sum *tables, int32_t count,
                            uint32_t *acc)
{
    register const uint8_t *r0 __asm__("r0") = codes;
    register const table_sum *r1 __asm__("r1") = tables;
    register const table_sum *r2 __asm__("r2") = tables + TABLE * count;
    register uint32_t *r3 __asm__("r3") = acc;
    __asm__ volatile("push {r3}\n\t"
                     "ldmia r3, {r4, r5, r6, r8, r9, r10, r11, lr}\n\t"
                     /* clang-format off */
                     "1:\t"
                     ADD_2(r4, r5) ADD_2(r6, r8) ADD_2(r9, r10) ADD_2(r11, lr)
                     /* clang-format on */
                     "add r1, r1, %[table]\n\t"
                     "cmp r1, r2\n\t"
                     "bne 1b\n\t"
                     "pop {r3}\n\t"
                     "stmia r3, {r4, r5, r6, r8, r9, r10, r11, lr}"
                     : "+&r"(r0), "+&r"(r1), "+&r"(r2), "+&r"(r3)
                     : [table] "i"(TABLE * sizeof(table_sum))
                     : "r4", "r5", "r6", "r8", "r9", "r10", "r11", "lr", "r12", "cc", "memory");
}

#else

/* Not inlined, so that compilers keep the sums in registers. */
static __attribute__((noinline)) void add_sums(const uint8_t *codes, const table_sum *tables,
                                               int32_t count, uint32_t *acc)
{
    uint32_t acc0 = acc[0];
    uint32_t acc1 = acc[1];
    uint32_t acc2 = acc[2];
    uint32_t acc3 = acc[3];
    uint32_t acc4 = acc[4];
    uint32_t acc5 = acc[5];
    uint32_t acc6 = acc[6];
    uint32_t acc7 = acc[7];
    for (; count > 0; count--) {
        acc0 += tables[codes[0]];
        acc1 += tables[codes[1]];
        acc2 += tables[codes[2]];
        acc3 += tables[codes[3]];
        acc4 += tables[codes[4]];
        acc5 += tables[codes[5]];
        acc6 += tables[codes[6]];
        acc7 += tables[codes[7]];
        codes += BLOCK;
        tables += TABLE;
    }
    acc[0] = acc0;
    acc[1] = acc1;
    acc[2] = acc2;
    acc[3] = acc3;
    acc[4] = acc4;
    acc[5] = acc5;
    acc[6] = acc6;
    acc[7] = acc7;
}

#endif

/* The tables of `count` columns from input `first` on; inputs that are missing are 0. */
static void make_tables(const mcuq_dense_coded_sums_params *p, const int8_t *in, int32_t first,
                        int32_t count, uint32_t *to)
{
    uint32_t pairs[ROWS / 2] = {0};
    for (int32_t i = 0; i < (1 << MCUQ_CODED_BITS) / 2; i++) {
        pairs[i] = (uint32_t)p->values[2 * i] + ((uint32_t)p->values[2 * i + 1] << 16);
    }
    for (; count > 0; count--, first += TOGETHER, to += ROWS * ROW_WORDS) {
        int8_t own[TOGETHER] = {0};
        for (int32_t i = 0; i < TOGETHER && first + i < p->in_len; i++) {
            own[i] = in[first + i];
        }
        make_table(to, p->values, pairs, own);
    }
}

static void run_sums(const mcuq_dense_coded_sums_params *p, const int8_t *in, int8_t *out,
                     uint32_t *scratch)
{
    const int32_t columns = (p->in_len + TOGETHER - 1) / TOGETHER;
    const uint8_t *codes = p->codes;
    uint32_t *const tables = scratch;
    uint32_t *const acc = tables + ROWS * ROW_WORDS * p->chunk;
    memset(acc, 0, 4 * (size_t)((p->out_len + BLOCK - 1) / BLOCK * BLOCK));
    for (int32_t at = 0; at < columns; at += p->chunk) {
        const int32_t count = (columns - at < p->chunk) ? columns - at : p->chunk;
        make_tables(p, in, TOGETHER * at, count, tables);
        for (int32_t o = 0; o < p->out_len; o += BLOCK) {
            add_sums(codes, (const table_sum *)(void *)tables, count, acc + o);
            codes += BLOCK * count;
        }
    }
    for (int32_t o = 0; o < p->out_len; o++) {
        const int32_t sum = (int32_t)(acc[o] - OFFSET * (uint32_t)columns + (uint32_t)p->bias[o]);
        out[o] = mcuq_requant(sum, p->shift[o], p->out_min, p->out_max);
    }
}

#endif
