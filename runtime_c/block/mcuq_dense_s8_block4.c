#include "mcuq_dense_block_loop.h"

enum { BLOCK = 4 };

/* acc[0..3] = sums over `count` inputs (a multiple of 4, not 0) of weight * input. */
#if defined(__thumb__) && !defined(__thumb2__)

#define MAC(offset, acc)                                                                           \
    "ldrb r3, [r0, #" #offset "]\n\t"                                                              \
    "muls r3, r2\n\t"                                                                              \
    "add " #acc ", r3\n\t"
#define INPUT "ldrsb r2, [r1, r7]\n\tadds r7, #1\n\t"

/* Armv6-M. Per input 14 instructions for 4 products: 3.7 a product.
 * r0 weights, r1 end of the inputs, r2 input, r3 weight and product, r4 acc, r7 index (r4, r7 are
 * saved; r7 may be the frame pointer), r8, r9, r10, r11 sums. */
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
                     /* clang-format off */
                     "1:\t"
                     INPUT MAC(0, r8) MAC(1, r9) MAC(2, r10) MAC(3, r11)
                     INPUT MAC(4, r8) MAC(5, r9) MAC(6, r10) MAC(7, r11)
                     INPUT MAC(8, r8) MAC(9, r9) MAC(10, r10) MAC(11, r11)
                     INPUT MAC(12, r8) MAC(13, r9) MAC(14, r10) MAC(15, r11)
                     /* clang-format on */
                     "adds r0, #16\n\t"
                     "cmp r7, #0\n\t"
                     "bne 1b\n\t"
                     "pop {r4, r7}\n\t"
                     "mov r0, r8\n\t"
                     "mov r1, r9\n\t"
                     "mov r2, r10\n\t"
                     "mov r3, r11\n\t"
                     "stmia r4!, {r0, r1, r2, r3}"
                     : "+&r"(r0), "+&r"(r1), "+&r"(r2), "+&r"(r4)
                     :
                     : "r3", "r8", "r9", "r10", "r11", "cc", "memory");
}

#elif defined(__thumb2__)

#define MAC(acc) "ldrb r12, [r0], #1\n\tmla " #acc ", r12, r3, " #acc "\n\t"
#define INPUT "ldrsb r3, [r1], #1\n\t"

/* Armv7-M and up. Per input 9 instructions for 4 products: 2.4 a product.
 * r0 weights, r1 inputs, r2 count, r3 input, r12 weight, r4, r5, r6, r8 sums. */
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
                     /* clang-format off */
                     "1:\t"
                     INPUT MAC(r4) MAC(r5) MAC(r6) MAC(r8)
                     INPUT MAC(r4) MAC(r5) MAC(r6) MAC(r8)
                     INPUT MAC(r4) MAC(r5) MAC(r6) MAC(r8)
                     INPUT MAC(r4) MAC(r5) MAC(r6) MAC(r8)
                     /* clang-format on */
                     "subs r2, r2, #4\n\t"
                     "bne 1b\n\t"
                     "pop {r3}\n\t"
                     "stmia r3, {r4, r5, r6, r8}"
                     : "+&r"(r0), "+&r"(r1), "+&r"(r2), "+&r"(r3)
                     :
                     : "r4", "r5", "r6", "r8", "r12", "cc", "memory");
}

#else

static inline void block(const uint8_t *weights, const int8_t *in, int32_t count, uint32_t *acc)
{
    uint32_t acc0 = 0;
    uint32_t acc1 = 0;
    uint32_t acc2 = 0;
    uint32_t acc3 = 0;
    for (; count > 0; count--) {
        const uint32_t x = (uint32_t)*in++;
        acc0 += weights[0] * x;
        acc1 += weights[1] * x;
        acc2 += weights[2] * x;
        acc3 += weights[3] * x;
        weights += BLOCK;
    }
    acc[0] = acc0;
    acc[1] = acc1;
    acc[2] = acc2;
    acc[3] = acc3;
}

#endif

void mcuq_dense_s8_block4(const mcuq_dense_block_params *p, const int8_t *in, int8_t *out)
{
    mcuq_dense_block_loop(p, in, out, BLOCK, block);
}
