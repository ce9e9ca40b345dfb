/* mcuq_pair.h: two int8 dot products with one multiplication per tap, on 32-bit cores without SIMD.
 *
 * A pair word holds two inputs that meet the same weight: x = low + high * 2^16, both signed. So
 * x * w = low * w + high * w * 2^16 (mod 2^32): one product, two sums. A group is four taps whose
 * |weights| sum to 255 at most: its low sum lies in -32640..32640, so that
 *   high sum of a group = (a + 2^15) >> 16,   a = sum of its four x * w.
 * Over all groups, with R = sum of a and H = sum of the high sums (mod 2^32):
 *   high = H,   low = R - H * 2^16,
 * (a bias starts H, and with bias * (1 + 2^16) R) exactly, whatever the intermediate values did:
 * only the final sums have to fit in 32 bits.
 */
#ifndef MCUQ_PAIR_H
#define MCUQ_PAIR_H

#include <stdint.h>

#include "mcuq_target.h"

/** The pair word of two inputs. */
static inline uint32_t mcuq_pair(int32_t low, int32_t high)
{
    return (uint32_t)low + ((uint32_t)high << 16);
}

/** floor(acc / 2^shift), saturated to int8. */
static inline int8_t mcuq_requant_s8(int32_t acc, int32_t shift)
{
    int32_t y = acc >> shift;
#if defined(__thumb2__)
    __asm__("ssat %0, #8, %0" : "+r"(y));
#else
    if (y != (int8_t)y) {
        y = (y < 0) ? -128 : 127;
    }
#endif
    return (int8_t)y;
}

/** The high sum of a group. */
static inline uint32_t mcuq_pair_high(uint32_t a)
{
    return (uint32_t)((int32_t)(a + 0x8000U) >> 16);
}

/** R and H of one pair of pixels. */
typedef struct {
    uint32_t all, high;
} mcuq_pair_sums;

static inline void mcuq_pair_add(mcuq_pair_sums *sums, uint32_t group)
{
    sums->all += group;
    sums->high += mcuq_pair_high(group);
}

static inline void mcuq_pair_store(const mcuq_pair_sums *sums, int32_t shift, int8_t *low,
                                   int8_t *high)
{
    *low = mcuq_requant_s8((int32_t)(sums->all - (sums->high << 16)), shift);
    *high = mcuq_requant_s8((int32_t)sums->high, shift);
}

/** Four pixels, all output channels. The assembly knows the members by their places: words. */
typedef struct {
    const uint32_t *x;       /* [taps][2]: pair words of pixels 0, 1 and of pixels 2, 3 */
    int32_t taps;            /* a multiple of 4, not 0; negative on Armv6-M: MCUQ_PAIR_TAPS */
    int8_t *out;             /* of pixel 0 */
    const int8_t *end;       /* of these */
    int32_t place[3];        /* where the outputs of pixels 1 to 3 lie from those of pixel 0 */
    const int32_t *channels; /* per channel: bias; shift + 256 * number of pairs in extra */
    const uint8_t *extra;    /* (skip, weight): what the groups could not hold; skip taps on */
    const int8_t *weights;   /* [channels][taps] */
} mcuq_pair_block;

/* mcuq_pair_merge: x[0], x[2], ... = the pairs of from[0][i] and from[1][i], x[1], x[3], ... those
 * of from[2][i] and from[3][i], for 0 <= i < count (not 0); its result is the end of what was
 * written. mcuq_pair_outputs: the outputs of a block; pixels behind `count` may repeat others. */

#if defined(__thumb__) && !defined(__thumb2__)

#define MCUQ_PAIR_TAPS(taps) (-(taps))

/* 12 instructions for two pair words. r0-r3 ends of the inputs, r4 x, r5, r6 inputs, r7 index
 * (saved in lr: it may be the frame pointer). */
static inline uint32_t *mcuq_pair_merge(const int8_t *const from[4], uint32_t *x, int32_t count)
{
    register const int8_t *r0 __asm__("r0") = from[0] + count;
    register const int8_t *r1 __asm__("r1") = from[1] + count;
    register const int8_t *r2 __asm__("r2") = from[2] + count;
    register const int8_t *r3 __asm__("r3") = from[3] + count;
    register uint32_t *r4 __asm__("r4") = x;
    register int32_t r5 __asm__("r5") = -count;
    __asm__ volatile(".syntax unified\n\t"
                     "mov lr, r7\n\t"
                     "movs r7, r5\n"
                     "1:\tldrsb r5, [r0, r7]\n\t"
                     "ldrsb r6, [r1, r7]\n\t"
                     "lsls r6, r6, #16\n\t"
                     "adds r5, r5, r6\n\t"
                     "stmia r4!, {r5}\n\t"
                     "ldrsb r5, [r2, r7]\n\t"
                     "ldrsb r6, [r3, r7]\n\t"
                     "lsls r6, r6, #16\n\t"
                     "adds r5, r5, r6\n\t"
                     "stmia r4!, {r5}\n\t"
                     "adds r7, #1\n\t"
                     "bne 1b\n\t"
                     "mov r7, lr"
                     : "+&r"(r4), "+&r"(r5)
                     : "r"(r0), "r"(r1), "r"(r2), "r"(r3)
                     : "r6", "lr", "cc", "memory");
    return r4;
}

/* Armv6-M. Per group of 4 taps, 16 products: 3 ldm, 8 for the weights (ldrsb and its index), 8
 * muls, 6 adds, 8 to take the halves apart, 1 branch: 2.1 instructions a product. 56 more for each
 * channel, 20 for each extra pair. The block but for weights lies on the stack.
 * r0 x, r1 end of weights, r2 weight, r3-r6 pair words and their products, then the outputs, r7
 * index (saved: it may be the frame pointer), r8-r11 H, R of the first and of the second pair, r12
 * 2^15, lr shift and number of extras. */
static inline void mcuq_pair_run(const mcuq_pair_block *block)
{
    register const mcuq_pair_block *r0 __asm__("r0") = block;
    register const int8_t *r1 __asm__("r1") = block->weights;
    __asm__ volatile(".syntax unified\n\t"
                     "push {r7}\n\t"
                     "adds r0, #16\n\t"
                     "ldmia r0!, {r2, r3, r4, r5, r6}\n\t"
                     "push {r2, r3, r4, r5, r6}\n\t"
                     "subs r0, #36\n\t"
                     "ldmia r0!, {r4, r5, r6, r7}\n\t"
                     "push {r4, r5, r6, r7}\n\t"
                     "movs r3, #0x80\n\t"
                     "lsls r3, r3, #8\n\t"
                     "mov r12, r3\n\t"
                     "1:\tldr r3, [sp, #28]\n\t"
                     "ldmia r3!, {r4, r5}\n\t"
                     "str r3, [sp, #28]\n\t"
                     "mov lr, r5\n\t"
                     "mov r8, r4\n\t"
                     "mov r10, r4\n\t"
                     "lsls r5, r4, #16\n\t"
                     "adds r4, r4, r5\n\t"
                     "mov r9, r4\n\t"
                     "mov r11, r4\n\t"
                     "ldr r0, [sp, #0]\n\t"
                     "ldr r7, [sp, #4]\n\t"
                     "subs r1, r1, r7\n\t"
                     "2:\tldmia r0!, {r3, r4, r5, r6}\n\t"
                     "ldrsb r2, [r1, r7]\n\t"
                     "adds r7, #1\n\t"
                     "muls r3, r2\n\t"
                     "muls r4, r2\n\t"
                     "ldrsb r2, [r1, r7]\n\t"
                     "adds r7, #1\n\t"
                     "muls r5, r2\n\t"
                     "muls r6, r2\n\t"
                     "adds r3, r3, r5\n\t"
                     "adds r4, r4, r6\n\t"
                     "ldmia r0!, {r5, r6}\n\t"
                     "ldrsb r2, [r1, r7]\n\t"
                     "adds r7, #1\n\t"
                     "muls r5, r2\n\t"
                     "muls r6, r2\n\t"
                     "adds r3, r3, r5\n\t"
                     "adds r4, r4, r6\n\t"
                     "ldmia r0!, {r5, r6}\n\t"
                     "ldrsb r2, [r1, r7]\n\t"
                     "muls r5, r2\n\t"
                     "muls r6, r2\n\t"
                     "adds r3, r3, r5\n\t"
                     "adds r4, r4, r6\n\t"
                     "add r9, r3\n\t"
                     "add r3, r12\n\t"
                     "asrs r3, r3, #16\n\t"
                     "add r8, r3\n\t"
                     "add r11, r4\n\t"
                     "add r4, r12\n\t"
                     "asrs r4, r4, #16\n\t"
                     "add r10, r4\n\t"
                     "adds r7, #1\n\t"
                     "bne 2b\n\t"
                     "mov r2, lr\n\t"
                     "lsrs r7, r2, #8\n\t"
                     "bne 5f\n\t"
                     "3:\tmov r4, r8\n\t"
                     "lsls r5, r4, #16\n\t"
                     "mov r3, r9\n\t"
                     "subs r3, r3, r5\n\t"
                     "mov r6, r10\n\t"
                     "lsls r7, r6, #16\n\t"
                     "mov r5, r11\n\t"
                     "subs r5, r5, r7\n\t"
                     "asrs r3, r2\n\t"
                     "asrs r4, r2\n\t"
                     "asrs r5, r2\n\t"
                     "asrs r6, r2\n\t"
                     "sxtb r0, r3\n\t"
                     "cmp r0, r3\n\t"
                     "bne 13f\n\t"
                     "23:\tsxtb r0, r4\n\t"
                     "cmp r0, r4\n\t"
                     "bne 14f\n\t"
                     "24:\tsxtb r0, r5\n\t"
                     "cmp r0, r5\n\t"
                     "bne 15f\n\t"
                     "25:\tsxtb r0, r6\n\t"
                     "cmp r0, r6\n\t"
                     "bne 16f\n\t"
                     "26:\tldr r0, [sp, #8]\n\t"
                     "strb r3, [r0]\n\t"
                     "ldr r7, [sp, #16]\n\t"
                     "strb r4, [r0, r7]\n\t"
                     "ldr r7, [sp, #20]\n\t"
                     "strb r5, [r0, r7]\n\t"
                     "ldr r7, [sp, #24]\n\t"
                     "strb r6, [r0, r7]\n\t"
                     "adds r0, #1\n\t"
                     "str r0, [sp, #8]\n\t"
                     "ldr r7, [sp, #12]\n\t"
                     "cmp r0, r7\n\t"
                     "bne 1b\n\t"
                     "b 9f\n\t"
                     "5:\tldr r0, [sp, #0]\n\t"
                     "ldr r6, [sp, #32]\n\t"
                     "6:\tldrb r3, [r6]\n\t"
                     "lsls r3, r3, #3\n\t"
                     "adds r0, r0, r3\n\t"
                     "ldrb r5, [r6, #1]\n\t"
                     "sxtb r5, r5\n\t"
                     "ldr r3, [r0]\n\t"
                     "ldr r4, [r0, #4]\n\t"
                     "muls r3, r5\n\t"
                     "muls r4, r5\n\t"
                     "add r9, r3\n\t"
                     "add r3, r12\n\t"
                     "asrs r3, r3, #16\n\t"
                     "add r8, r3\n\t"
                     "add r11, r4\n\t"
                     "add r4, r12\n\t"
                     "asrs r4, r4, #16\n\t"
                     "add r10, r4\n\t"
                     "adds r6, #2\n\t"
                     "subs r7, #1\n\t"
                     "bne 6b\n\t"
                     "str r6, [sp, #32]\n\t"
                     "b 3b\n\t"
                     "13:\tasrs r3, r3, #31\n\t"
                     "movs r0, #127\n\t"
                     "eors r3, r0\n\t"
                     "b 23b\n\t"
                     "14:\tasrs r4, r4, #31\n\t"
                     "movs r0, #127\n\t"
                     "eors r4, r0\n\t"
                     "b 24b\n\t"
                     "15:\tasrs r5, r5, #31\n\t"
                     "movs r0, #127\n\t"
                     "eors r5, r0\n\t"
                     "b 25b\n\t"
                     "16:\tasrs r6, r6, #31\n\t"
                     "movs r0, #127\n\t"
                     "eors r6, r0\n\t"
                     "b 26b\n\t"
                     "9:\tadd sp, #36\n\t"
                     "pop {r7}"
                     : "+&r"(r0), "+&r"(r1)
                     :
                     : "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc",
                       "memory");
}

static inline void mcuq_pair_outputs(const mcuq_pair_block *block, int32_t count)
{
    (void)count;
    mcuq_pair_run(block);
}

#elif defined(__thumb2__)

#define MCUQ_PAIR_TAPS(taps) (taps)

/* Two taps a turn: 16 instructions for four pair words; an odd tap first. r0-r3 inputs, r4 x, r5
 * count, the others inputs and pair words. */
static inline uint32_t *mcuq_pair_merge(const int8_t *const from[4], uint32_t *x, int32_t count)
{
    register const int8_t *r0 __asm__("r0") = from[0];
    register const int8_t *r1 __asm__("r1") = from[1];
    register const int8_t *r2 __asm__("r2") = from[2];
    register const int8_t *r3 __asm__("r3") = from[3];
    register uint32_t *r4 __asm__("r4") = x;
    register int32_t r5 __asm__("r5") = count;
    __asm__ volatile("lsrs r5, r5, #1\n\t"
                     "bcc 2f\n\t"
                     "ldrsb r6, [r0], #1\n\t"
                     "ldrsb r8, [r1], #1\n\t"
                     "ldrsb r9, [r2], #1\n\t"
                     "ldrsb r10, [r3], #1\n\t"
                     "add r6, r6, r8, lsl #16\n\t"
                     "add r9, r9, r10, lsl #16\n\t"
                     "strd r6, r9, [r4], #8\n\t"
                     "cbz r5, 3f\n\t"
                     "2:\tldrsb r6, [r0], #2\n\t"
                     "ldrsb r8, [r1], #2\n\t"
                     "ldrsb r9, [r2], #2\n\t"
                     "ldrsb r10, [r3], #2\n\t"
                     "ldrsb r11, [r0, #-1]\n\t"
                     "ldrsb r12, [r2, #-1]\n\t"
                     "ldrsb lr, [r1, #-1]\n\t"
                     "add r6, r6, r8, lsl #16\n\t"
                     "add r8, r9, r10, lsl #16\n\t"
                     "ldrsb r10, [r3, #-1]\n\t"
                     "add r9, r11, lr, lsl #16\n\t"
                     "add r10, r12, r10, lsl #16\n\t"
                     "stmia r4!, {r6, r8, r9, r10}\n\t"
                     "subs r5, r5, #1\n\t"
                     "bne 2b\n"
                     "3:"
                     : "+&r"(r0), "+&r"(r1), "+&r"(r2), "+&r"(r3), "+&r"(r4), "+&r"(r5)
                     :
                     : "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
    return r4;
}

/* clang-format off */
/* One group; w0-w3 are where its weights lie from r1, test is done on the way. Loads behind loads
 * take one cycle, so ldr is better than ldm. */
#define MCUQ_PAIR_GROUP(w0, w1, w2, w3, test)                                                      \
    "ldr r4, [r0], #16\n\tldr r5, [r0, #-12]\n\tldr r6, [r0, #-8]\n\tldr r8, [r0, #-4]\n\t"         \
    "ldrsb r2, [r1, #" w0 "]\n\tldrsb r3, [r1, #" w1 "]\n\t" test                                 \
    "mul r4, r4, r2\n\tmul r5, r5, r2\n\tmla r4, r6, r3, r4\n\tmla r5, r8, r3, r5\n\t"             \
    "ldr r6, [r0], #16\n\tldr r8, [r0, #-12]\n\tldr r9, [r0, #-8]\n\tldr r10, [r0, #-4]\n\t"        \
    "ldrsb r2, [r1, #" w2 "]\n\tldrsb r3, [r1, #" w3 "\n\t"                                       \
    "mla r4, r6, r2, r4\n\tmla r5, r8, r2, r5\n\tmla r4, r9, r3, r4\n\tmla r5, r10, r3, r5\n\t"    \
    "add r11, r11, r4\n\tadd r4, r4, #0x8000\n\tadd r12, r12, r4, asr #16\n\t"                   \
    "add r7, r7, r5\n\tadd r5, r5, #0x8000\n\tadd lr, lr, r5, asr #16\n\t"
#define MCUQ_PAIR_TEST(place) "ldr r9, [sp, #" place "]\n\tcmp r9, r0\n\t"
#define MCUQ_PAIR_4_GROUPS                                                                         \
    MCUQ_PAIR_GROUP("1", "2", "3", "4]", "") MCUQ_PAIR_GROUP("5", "6", "7", "8]", "")              \
    MCUQ_PAIR_GROUP("9", "10", "11", "12]", "")                                                    \
    MCUQ_PAIR_GROUP("13", "14", "15", "16]!", MCUQ_PAIR_TEST("32"))
/* clang-format on */

/* Armv7-M and up. Per group of 4 taps, 16 products: 8 ldr, 4 ldrsb, 8 mul and mla, 6 to take the
 * halves apart, 1 for the loop (four groups a turn, what remains one by one): 1.7 instructions and
 * 2.2 cycles a product on Cortex-M3. 34 more for each channel, 14 for each extra pair. On the
 * stack, by words: out, end, place, channels, extra (0-6), x, the ends of x for the two loops
 * (7-9). r0 x, r1 before the weights, r2, r3 weights, r4-r6 and r8-r10 pair words, r4 and r5 also
 * the groups' sums, r11, r12 R, H of the first pair, r7 (saved: it may be the frame pointer), lr of
 * the second. */
static inline void mcuq_pair_run(const mcuq_pair_block *block)
{
    register const mcuq_pair_block *r0 __asm__("r0") = block;
    register const int8_t *r1 __asm__("r1") = block->weights - 1;
    __asm__ volatile("push {r7}\n\t"
                     "ldmia r0, {r2, r3, r4, r5, r6, r8, r9, r10, r11}\n\t"
                     "add lr, r2, r3, lsl #3\n\t"
                     "bic r3, r3, #15\n\t"
                     "add r12, r2, r3, lsl #3\n\t"
                     "sub r12, r12, #16\n\t"
                     "sub lr, lr, #16\n\t"
                     "push {r2, r12, lr}\n\t"
                     "push {r4, r5, r6, r8, r9, r10, r11}\n\t"
                     "1:\tldr r3, [sp, #20]\n\t"
                     "ldr r0, [sp, #28]\n\t"
                     "ldr r2, [sp, #32]\n\t"
                     "ldr r12, [r3], #8\n\t"
                     "str r3, [sp, #20]\n\t"
                     "mov lr, r12\n\t"
                     "add r11, r12, r12, lsl #16\n\t"
                     "mov r7, r11\n\t"
                     "cmp r2, r0\n\t"
                     "blo 3f\n\t"
                     "2:\t" MCUQ_PAIR_4_GROUPS "bne 2b\n\t"
                     "3:\tldr r3, [sp, #20]\n\t"
                     "ldr r6, [sp, #36]\n\t"
                     "ldr r2, [r3, #-4]\n\t"
                     "cmp r6, r0\n\t"
                     "bhs 8f\n\t"
                     "4:\tlsrs r4, r2, #8\n\t"
                     "bne 5f\n\t"
                     "9:\tsub r3, r11, r12, lsl #16\n\t"
                     "sub r5, r7, lr, lsl #16\n\t"
                     "asr r3, r3, r2\n\t"
                     "asr r4, r12, r2\n\t"
                     "asr r5, r5, r2\n\t"
                     "asr r6, lr, r2\n\t"
                     "ldmia sp, {r7, r8, r9, r10, r11}\n\t"
                     "ssat r3, #8, r3\n\t"
                     "ssat r4, #8, r4\n\t"
                     "ssat r5, #8, r5\n\t"
                     "ssat r6, #8, r6\n\t"
                     "strb r4, [r7, r9]\n\t"
                     "strb r5, [r7, r10]\n\t"
                     "strb r6, [r7, r11]\n\t"
                     "strb r3, [r7], #1\n\t"
                     "str r7, [sp]\n\t"
                     "cmp r7, r8\n\t"
                     "bne 1b\n\t"
                     "b 7f\n\t"
                     "8:\t" MCUQ_PAIR_GROUP("1", "2", "3", "4]!",
                                            MCUQ_PAIR_TEST("36")) "bne 8b\n\t"
                                                                  "b 3b\n\t"
                                                                  "5:\tldr r0, [sp, #28]\n\t"
                                                                  "ldr r6, [sp, #24]\n\t"
                                                                  "6:\tldrb r3, [r6], #2\n\t"
                                                                  "ldrsb r5, [r6, #-1]\n\t"
                                                                  "add r0, r0, r3, lsl #3\n\t"
                                                                  "ldrd r8, r9, [r0]\n\t"
                                                                  "mul r8, r8, r5\n\t"
                                                                  "mul r9, r9, r5\n\t"
                                                                  "add r11, r11, r8\n\t"
                                                                  "add r8, r8, #0x8000\n\t"
                                                                  "add r12, r12, r8, asr #16\n\t"
                                                                  "add r7, r7, r9\n\t"
                                                                  "add r9, r9, #0x8000\n\t"
                                                                  "add lr, lr, r9, asr #16\n\t"
                                                                  "subs r4, r4, #1\n\t"
                                                                  "bne 6b\n\t"
                                                                  "str r6, [sp, #24]\n\t"
                                                                  "b 9b\n\t"
                                                                  "7:\tadd sp, #40\n\t"
                                                                  "pop {r7}"
                     : "+&r"(r0), "+&r"(r1)
                     :
                     : "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc",
                       "memory");
}

/* Adds the products of one pair: 19 instructions and 24 cycles for a group of 4 taps, 8 products.
 */
static inline void mcuq_pair_sum(const uint32_t *x, const int8_t *weights, int32_t taps,
                                 mcuq_pair_sums *sums)
{
    uint32_t all = sums->all;
    uint32_t high = sums->high;
    uint32_t a;
    uint32_t b;
    int32_t w0;
    int32_t w1;
    int32_t w2;
    int32_t w3;
    __asm__ volatile("1:\tldr %[a], [%[x]], #32\n\t"
                     "ldr %[b], [%[x], #-24]\n\t"
                     "ldrsb %[w0], [%[w]], #4\n\t"
                     "ldrsb %[w1], [%[w], #-3]\n\t"
                     "ldrsb %[w2], [%[w], #-2]\n\t"
                     "ldrsb %[w3], [%[w], #-1]\n\t"
                     "mul %[a], %[a], %[w0]\n\t"
                     "mla %[a], %[b], %[w1], %[a]\n\t"
                     "ldr %[b], [%[x], #-16]\n\t"
                     "ldr %[w0], [%[x], #-8]\n\t"
                     "mla %[a], %[b], %[w2], %[a]\n\t"
                     "mla %[a], %[w0], %[w3], %[a]\n\t"
                     "add %[all], %[all], %[a]\n\t"
                     "add %[a], %[a], #0x8000\n\t"
                     "add %[high], %[high], %[a], asr #16\n\t"
                     "subs %[taps], %[taps], #4\n\t"
                     "bne 1b"
                     : [x] "+&r"(x), [w] "+&r"(weights), [taps] "+&r"(taps), [all] "+&r"(all),
                       [high] "+&r"(high), [a] "=&r"(a), [b] "=&r"(b), [w0] "=&r"(w0),
                       [w1] "=&r"(w1), [w2] "=&r"(w2), [w3] "=&r"(w3)
                     :
                     : "cc", "memory");
    sums->all = all;
    sums->high = high;
}

#else

#define MCUQ_PAIR_TAPS(taps) (taps)

static inline uint32_t *mcuq_pair_merge(const int8_t *const from[4], uint32_t *x, int32_t count)
{
    const int8_t *a = from[0];
    const int8_t *b = from[1];
    const int8_t *c = from[2];
    const int8_t *d = from[3];
    for (int32_t left = count >> 1; left > 0; left--) {
        x[0] = mcuq_pair(a[0], b[0]);
        x[1] = mcuq_pair(c[0], d[0]);
        x[2] = mcuq_pair(a[1], b[1]);
        x[3] = mcuq_pair(c[1], d[1]);
        a += 2;
        b += 2;
        c += 2;
        d += 2;
        x += 4;
    }
    if (count & 1) {
        *x++ = mcuq_pair(*a, *b);
        *x++ = mcuq_pair(*c, *d);
    }
    return x;
}

/* Adds the products of one pair. */
static inline void mcuq_pair_sum(const uint32_t *x, const int8_t *weights, int32_t taps,
                                 mcuq_pair_sums *sums)
{
    for (; taps > 0; taps -= 4) {
        const uint32_t w0 = (uint32_t)weights[0];
        const uint32_t w1 = (uint32_t)weights[1];
        const uint32_t w2 = (uint32_t)weights[2];
        const uint32_t w3 = (uint32_t)weights[3];
        mcuq_pair_add(sums, w0 * x[0] + w1 * x[2] + w2 * x[4] + w3 * x[6]);
        weights += 4;
        x += 8;
    }
}

static inline void mcuq_pair_run(const mcuq_pair_block *block)
{
    const int8_t *weights = block->weights;
    const int32_t *channel = block->channels;
    const uint8_t *extra = block->extra;
    const int32_t taps = block->taps;
    for (int8_t *out = block->out; out != block->end; out++) {
        const uint32_t bias = (uint32_t)channel[0];
        const uint32_t *x = block->x;
        mcuq_pair_sums a = {bias + (bias << 16), bias};
        mcuq_pair_sums b = a;
        for (const int8_t *const end = weights + taps; weights != end; weights += 4) {
            const uint32_t w0 = (uint32_t)weights[0];
            const uint32_t w1 = (uint32_t)weights[1];
            const uint32_t w2 = (uint32_t)weights[2];
            const uint32_t w3 = (uint32_t)weights[3];
            mcuq_pair_add(&a, w0 * x[0] + w1 * x[2] + w2 * x[4] + w3 * x[6]);
            mcuq_pair_add(&b, w0 * x[1] + w1 * x[3] + w2 * x[5] + w3 * x[7]);
            x += 8;
        }
        x = block->x;
        for (int32_t extras = channel[1] >> 8; extras > 0; extras--) {
            x += 2 * extra[0];
            const uint32_t weight = (uint32_t)(int8_t)extra[1];
            mcuq_pair_add(&a, weight * x[0]);
            mcuq_pair_add(&b, weight * x[1]);
            extra += 2;
        }
        const int32_t shift = channel[1] & 31;
        mcuq_pair_store(&a, shift, out, out + block->place[0]);
        mcuq_pair_store(&b, shift, out + block->place[1], out + block->place[2]);
        channel += 2;
    }
}

#endif

#if !defined(__thumb__) || defined(__thumb2__)

/* As mcuq_pair_run, but of pixels 0 and 1 alone. */
static inline void mcuq_pair_run_2(const mcuq_pair_block *block)
{
    const int8_t *weights = block->weights;
    const int32_t *channel = block->channels;
    const uint8_t *extra = block->extra;
    for (int8_t *out = block->out; out != block->end; out++) {
        const uint32_t bias = (uint32_t)channel[0];
        const uint32_t *x = block->x;
        mcuq_pair_sums sums = {bias + (bias << 16), bias};
        mcuq_pair_sum(x, weights, block->taps, &sums);
        for (int32_t extras = channel[1] >> 8; extras > 0; extras--) {
            x += 2 * extra[0];
            mcuq_pair_add(&sums, (uint32_t)(int8_t)extra[1] * x[0]);
            extra += 2;
        }
        mcuq_pair_store(&sums, channel[1] & 31, out, out + block->place[0]);
        weights += block->taps;
        channel += 2;
    }
}

static inline void mcuq_pair_outputs(const mcuq_pair_block *block, int32_t count)
{
    if (count > 2) {
        mcuq_pair_run(block);
    } else {
        mcuq_pair_run_2(block);
    }
}

#endif

#endif
