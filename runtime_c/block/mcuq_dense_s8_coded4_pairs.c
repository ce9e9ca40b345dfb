#include "mcuq_dense_coded.h"
#include "mcuq_pair.h"
#include "mcuq_requant.h"

enum { BLOCK = 4 };

/* The sums of four outputs, as mcuq_pair.h has them: all (R) and high (H) of each pair. */
typedef struct {
    uint32_t all[2], high[2];
} sums;

/* The sums of `count` inputs, not 0 and even, of four outputs. */
#if defined(__thumb__) && !defined(__thumb2__)

#define LOOK_UP(to, offset)                                                                        \
    "ldrb " to ", [r0, #" offset "]\n\tlsls " to ", " to ", #2\n\tldr " to ", [r2, " to            \
    "]\n\tmuls " to ", r4\n\t"

/* Armv6-M. Per two inputs 32 instructions for 8 products: 4 a product.
 * r0 codes, r1 end of inputs, r2 table, r3 product, r4 input, r5, r6 products of the group, r7
 * index (saved: it may be the frame pointer), r8, r9 R and H of the first pair, r10, r11 of the
 * second, r12 2^15. */
static inline void add_inputs(const uint8_t *codes, const uint32_t *table, const int8_t *in,
                              int32_t count, sums *to)
{
    register const uint8_t *r0 __asm__("r0") = codes;
    register const int8_t *r1 __asm__("r1") = in + count;
    register const uint32_t *r2 __asm__("r2") = table;
    register sums *r3 __asm__("r3") = to;
    register int32_t r4 __asm__("r4") = -count;
    __asm__ volatile(
        ".syntax unified\n\t"
        "push {r3, r7}\n\t"
        "movs r7, r4\n\t"
        "movs r3, #0x80\n\t"
        "lsls r3, r3, #8\n\t"
        "mov r12, r3\n\t"
        "movs r3, #0\n\t"
        "mov r8, r3\n\t"
        "mov r9, r3\n\t"
        "mov r10, r3\n\t"
        "mov r11, r3\n"
        "1:\tldrsb r4, [r1, r7]\n\t"
        "adds r7, #1\n\t" LOOK_UP("r5", "0") LOOK_UP("r6", "1") "ldrsb r4, [r1, r7]\n\t" LOOK_UP(
            "r3", "2") "adds r5, r5, r3\n\t" LOOK_UP("r3", "3") "adds r6, r6, r3\n\t"
                                                                "add r8, r5\n\t"
                                                                "add r5, r12\n\t"
                                                                "asrs r5, r5, #16\n\t"
                                                                "add r9, r5\n\t"
                                                                "add r10, r6\n\t"
                                                                "add r6, r12\n\t"
                                                                "asrs r6, r6, #16\n\t"
                                                                "add r11, r6\n\t"
                                                                "adds r0, #4\n\t"
                                                                "adds r7, #1\n\t"
                                                                "bne 1b\n\t"
                                                                "pop {r0, r7}\n\t"
                                                                "mov r3, r8\n\t"
                                                                "mov r4, r10\n\t"
                                                                "mov r5, r9\n\t"
                                                                "mov r6, r11\n\t"
                                                                "stmia r0!, {r3, r4, r5, r6}"
        : "+&r"(r0), "+&r"(r1), "+&r"(r3), "+&r"(r4)
        : "r"(r2)
        : "r5", "r6", "r8", "r9", "r10", "r11", "r12", "cc", "memory");
}

#elif defined(__thumb2__)

#define LOOK_UP(low, high)                                                                         \
    "ldrsb r4, [r1], #1\n\tldrb " low ", [r0], #1\n\tldrb " high ", [r0], #1\n\tldr " low          \
    ", [r2, " low ", lsl #2]\n\tldr " high ", [r2, " high ", lsl #2]\n\t"

/* Armv7-M and up. Per two inputs 22 instructions for 8 products: 2.8 a product.
 * r0 codes, r1 inputs, r2 table, r3 end of inputs, r4 input, r5, r6 products of the group, r12, lr
 * words, r8, r9 R and H of the first pair, r10, r11 of the second. */
static inline void add_inputs(const uint8_t *codes, const uint32_t *table, const int8_t *in,
                              int32_t count, sums *to)
{
    register const uint8_t *r0 __asm__("r0") = codes;
    register const int8_t *r1 __asm__("r1") = in;
    register const uint32_t *r2 __asm__("r2") = table;
    register const int8_t *r3 __asm__("r3") = in + count;
    register sums *r4 __asm__("r4") = to;
    __asm__ volatile("push {r4}\n\t"
                     "mov r8, #0\n\t"
                     "mov r9, #0\n\t"
                     "mov r10, #0\n\t"
                     "mov r11, #0\n"
                     "1:\t" LOOK_UP("r5", "r6") "mul r5, r5, r4\n\t"
                                                "mul r6, r6, r4\n\t" LOOK_UP(
                                                    "r12", "lr") "mla r5, r12, r4, r5\n\t"
                                                                 "mla r6, lr, r4, r6\n\t"
                                                                 "add r8, r8, r5\n\t"
                                                                 "add r5, r5, #0x8000\n\t"
                                                                 "add r9, r9, r5, asr #16\n\t"
                                                                 "add r10, r10, r6\n\t"
                                                                 "add r6, r6, #0x8000\n\t"
                                                                 "add r11, r11, r6, asr #16\n\t"
                                                                 "cmp r1, r3\n\t"
                                                                 "bne 1b\n\t"
                                                                 "pop {r4}\n\t"
                                                                 "strd r8, r10, [r4]\n\t"
                                                                 "strd r9, r11, [r4, #8]"
                     : "+&r"(r0), "+&r"(r1), "+&r"(r4)
                     : "r"(r2), "r"(r3)
                     : "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
}

#else

/* Not inlined, so that compilers keep the sums in registers. */
static __attribute__((noinline)) void add_inputs(const uint8_t *codes, const uint32_t *table,
                                                 const int8_t *in, int32_t count, sums *to)
{
    const int8_t *const end = in + count;
    uint32_t all0 = 0;
    uint32_t all1 = 0;
    uint32_t high0 = 0;
    uint32_t high1 = 0;
    do {
        const uint32_t x0 = (uint32_t)in[0];
        const uint32_t x1 = (uint32_t)in[1];
        const uint32_t a = table[codes[0]] * x0 + table[codes[2]] * x1;
        const uint32_t b = table[codes[1]] * x0 + table[codes[3]] * x1;
        all0 += a;
        high0 += mcuq_pair_high(a);
        all1 += b;
        high1 += mcuq_pair_high(b);
        codes += 4;
        in += 2;
    } while (in != end);
    to->all[0] = all0;
    to->all[1] = all1;
    to->high[0] = high0;
    to->high[1] = high1;
}

#endif

/* The sums of all inputs of a block of outputs; an odd last input comes with a zero. */
static sums sum_inputs(const uint8_t *codes, const uint32_t *table, const int8_t *in, int32_t count)
{
    const int32_t even = count & ~1;
    sums found = {{0, 0}, {0, 0}};
    sums rest = {{0, 0}, {0, 0}};
    if (even > 0) {
        add_inputs(codes, table, in, even, &found);
    }
    if (even < count) {
        const int8_t last[2] = {in[even], 0};
        add_inputs(codes + 2 * even, table, last, 2, &rest);
    }
    for (int32_t i = 0; i < 2; i++) {
        found.all[i] += rest.all[i];
        found.high[i] += rest.high[i];
    }
    return found;
}

/* The pair word of every byte of codes. */
static void make_table(uint32_t *to, const int8_t *values)
{
    for (int32_t high = 0; high < 16; high++) {
        for (int32_t low = 0; low < 16; low++) {
            *to++ = mcuq_pair(values[low], values[high]);
        }
    }
}

/* Output i of a block. */
static uint32_t sum_of(const sums *from, int32_t i)
{
    const uint32_t high = from->high[i >> 1];
    return ((i & 1) != 0) ? high : from->all[i >> 1] - (high << 16);
}

void mcuq_dense_s8_coded4_pairs(const mcuq_dense_coded_pairs_params *p, const int8_t *in,
                                int8_t *out, void *scratch)
{
    const uint8_t *codes = p->codes;
    uint32_t *const table = scratch;
    make_table(table, p->values);
    for (int32_t first = 0; first < p->out_len; first += BLOCK) {
        const sums found = sum_inputs(codes, table, in, p->in_len);
        codes += 2 * ((p->in_len + 1) & ~1);
        for (int32_t i = 0; i < BLOCK && first + i < p->out_len; i++) {
            const int32_t acc = (int32_t)(sum_of(&found, i) + (uint32_t)p->bias[first + i]);
            out[first + i] = mcuq_requant(acc, p->shift[first + i], p->out_min, p->out_max);
        }
    }
}
