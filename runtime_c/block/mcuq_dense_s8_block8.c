#include "mcuq_dense_block_loop.h"

enum { BLOCK = 8 };

/* acc[0..7] = sums over `count` inputs (a multiple of 4, not 0) of weight * input. */
#if defined(__thumb__) && !defined(__thumb2__)

#define MAC(offset, acc)                                                                           \
    "ldrb r3, [r0, #" #offset "]\n\t"                                                              \
    "muls r3, r2\n\t"                                                                              \
    "add " #acc ", r3\n\t"
#define INPUT "ldrsb r2, [r1, r7]\n\tadds r7, #1\n\t"

/* Armv6-M. Per input 26 instructions for 8 products: 3.3 a product.
 * r0 weights, r1 end of the inputs, r2 input, r3 weight and product, r4 acc, r7 index (r4, r7 are
 * saved; r7 may be the frame pointer), r8, r9, r10, r11, r12, lr, r5, r6 sums. */
static inline void block(const uint8_t *weights, const int8_t *in, int32_t count, uint32_t *acc)
{
    register const uint8_t *r0 __asm__("r0") = weights;
    register const int8_t *r1 __asm__("r1") = in + count;
    register int32_t r2 __asm__("r2") = -count;
    register uint32_t *r4 __asm__("r4") = acc;
    __asm__ volatile(".syntax unified\n\t"
                     "push {r4, r7}\n\t"
                     "movs r7, r2\n\t"
                     "movs r3, #0\n\t"
                     "mov r8, r3\n\t"
                     "mov r9, r3\n\t"
                     "mov r10, r3\n\t"
                     "mov r11, r3\n\t"
                     "mov r12, r3\n\t"
                     "mov lr, r3\n\t"
                     "mov r5, r3\n\t"
                     "mov r6, r3\n\t"
                     /* clang-format off */
                     "1:\t"
                     INPUT MAC(0, r8) MAC(1, r9) MAC(2, r10) MAC(3, r11)
                           MAC(4, r12) MAC(5, lr) MAC(6, r5) MAC(7, r6)
                     INPUT MAC(8, r8) MAC(9, r9) MAC(10, r10) MAC(11, r11)
                           MAC(12, r12) MAC(13, lr) MAC(14, r5) MAC(15, r6)
                     INPUT MAC(16, r8) MAC(17, r9) MAC(18, r10) MAC(19, r11)
                           MAC(20, r12) MAC(21, lr) MAC(22, r5) MAC(23, r6)
                     INPUT MAC(24, r8) MAC(25, r9) MAC(26, r10) MAC(27, r11)
                           MAC(28, r12) MAC(29, lr) MAC(30, r5) MAC(31, r6)
                     /* clang-format on */
                     "adds r0, #32\n\t"
                     "cmp r7, #0\n\t"
                     "bne 1b\n\t"
                     "pop {r4, r7}\n\t"
                     "mov r0, r8\n\t"
                     "mov r1, r9\n\t"
                     "mov r2, r10\n\t"
                     "mov r3, r11\n\t"
                     "stmia r4!, {r0, r1, r2, r3}\n\t"
                     "mov r0, r12\n\t"
                     "mov r1, lr\n\t"
                     "stmia r4!, {r0, r1, r5, r6}"
                     : "+&r"(r0), "+&r"(r1), "+&r"(r2), "+&r"(r4)
                     :
                     : "r3", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
}

#elif defined(__thumb2__)

#define MAC(acc) "ldrb r12, [r0], #1\n\tmla " #acc ", r12, r3, " #acc "\n\t"
#define INPUT "ldrsb r3, [r1], #1\n\t"

/* Armv7-M and up. Per input 17 instructions for 8 products: 2.2 a product.
 * r0 weights, r1 inputs, r2 count, r3 input, r12 weight, r4, r5, r6, r8, r9, r10, r11, lr sums. */
static inline void block(const uint8_t *weights, const int8_t *in, int32_t count, uint32_t *acc)
{
    register const uint8_t *r0 __asm__("r0") = weights;
    register const int8_t *r1 __asm__("r1") = in;
    register int32_t r2 __asm__("r2") = count;
    register uint32_t *r3 __asm__("r3") = acc;
    __asm__ volatile("push {r3}\n\t"
                     "mov r4, #0\n\t"
                     "mov r5, #0\n\t"
                     "mov r6, #0\n\t"
                     "mov r8, #0\n\t"
                     "mov r9, #0\n\t"
                     "mov r10, #0\n\t"
                     "mov r11, #0\n\t"
                     "mov lr, #0\n\t"
                     /* clang-format off */
                     "1:\t"
                     INPUT MAC(r4) MAC(r5) MAC(r6) MAC(r8)
                           MAC(r9) MAC(r10) MAC(r11) MAC(lr)
                     INPUT MAC(r4) MAC(r5) MAC(r6) MAC(r8)
                           MAC(r9) MAC(r10) MAC(r11) MAC(lr)
                     INPUT MAC(r4) MAC(r5) MAC(r6) MAC(r8)
                           MAC(r9) MAC(r10) MAC(r11) MAC(lr)
                     INPUT MAC(r4) MAC(r5) MAC(r6) MAC(r8)
                           MAC(r9) MAC(r10) MAC(r11) MAC(lr)
                     /* clang-format on */
                     "subs r2, r2, #4\n\t"
                     "bne 1b\n\t"
                     "pop {r3}\n\t"
                     "stmia r3, {r4, r5, r6, r8, r9, r10, r11, lr}"
                     : "+&r"(r0), "+&r"(r1), "+&r"(r2), "+&r"(r3)
                     :
                     : "r4", "r5", "r6", "r8", "r9", "r10", "r11", "lr", "r12", "cc", "memory");
}

#else

static inline void block(const uint8_t *weights, const int8_t *in, int32_t count, uint32_t *acc)
{
    uint32_t acc0 = 0;
    uint32_t acc1 = 0;
    uint32_t acc2 = 0;
    uint32_t acc3 = 0;
    uint32_t acc4 = 0;
    uint32_t acc5 = 0;
    uint32_t acc6 = 0;
    uint32_t acc7 = 0;
    for (; count > 0; count--) {
        const uint32_t x = (uint32_t)*in++;
        acc0 += weights[0] * x;
        acc1 += weights[1] * x;
        acc2 += weights[2] * x;
        acc3 += weights[3] * x;
        acc4 += weights[4] * x;
        acc5 += weights[5] * x;
        acc6 += weights[6] * x;
        acc7 += weights[7] * x;
        weights += BLOCK;
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

void mcuq_dense_s8_block8(const mcuq_dense_block_params *p, const int8_t *in, int8_t *out)
{
    mcuq_dense_block_loop(p, in, out, BLOCK, block);
}
