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
        y = (y >> 31) ^ 127;
    }
#endif
    return (int8_t)y;
}

/** The high sum of a group. */
static inline uint32_t mcuq_pair_high(uint32_t a)
{
    return (uint32_t)((int32_t)(a + 0x8000U) >> 16);
}

/** acc[0..3] = bias + the dot products of `taps` weights (a multiple of 4, not 0) with the low and
 *  high halves of x[0], x[2], ... and of x[1], x[3], ...: four pixels, one output channel. */
#if defined(__thumb__) && !defined(__thumb2__)

/* Armv6-M. Per group of 4 taps, 16 products: 3 ldm, 8 for the weights (ldrsb and its index), 8
 * muls, 6 adds, 8 to take the halves apart, 1 branch: 2.1 instructions a product.
 * r0 x, r1 end of weights, r2 weight, r3-r6 pair words and their products, r7 index (saved in lr:
 * it may be the frame pointer), r8-r11 H, R of the first and of the second pair, r12 2^15. */
static inline void mcuq_pair_4x1(const int8_t *weights, const uint32_t *x, int32_t taps,
                                 int32_t bias, int32_t acc[4])
{
    register const uint32_t *r0 __asm__("r0") = x;
    register const int8_t *r1 __asm__("r1") = weights + taps;
    register int32_t r2 __asm__("r2") = -taps;
    register int32_t r3 __asm__("r3") = bias;
    register int32_t r4 __asm__("r4");
    register int32_t r5 __asm__("r5");
    register int32_t r6 __asm__("r6");
    __asm__ volatile(".syntax unified\n\t"
                     "mov lr, r7\n\t"
                     "movs r7, r2\n\t"
                     "mov r8, r3\n\t"
                     "mov r10, r3\n\t"
                     "lsls r4, r3, #16\n\t"
                     "adds r3, r3, r4\n\t"
                     "mov r9, r3\n\t"
                     "mov r11, r3\n\t"
                     "movs r3, #0x80\n\t"
                     "lsls r3, r3, #8\n\t"
                     "mov r12, r3\n"
                     "1:\tldmia r0!, {r3, r4, r5, r6}\n\t"
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
                     "bne 1b\n\t"
                     "mov r7, lr\n\t"
                     "mov r4, r8\n\t"
                     "lsls r5, r4, #16\n\t"
                     "mov r3, r9\n\t"
                     "subs r3, r3, r5\n\t"
                     "mov r6, r10\n\t"
                     "lsls r2, r6, #16\n\t"
                     "mov r5, r11\n\t"
                     "subs r5, r5, r2"
                     : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3), "=r"(r4), "=r"(r5), "=r"(r6)
                     :
                     : "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
    acc[0] = r3;
    acc[1] = r4;
    acc[2] = r5;
    acc[3] = r6;
}

#elif defined(__thumb2__)

/* Armv7-M and up. Per group of 4 taps, 16 products: 2 ldm, 4 ldrsb, 8 mul and mla, 6 to take the
 * halves apart, 2 for the loop: 1.4 instructions a product.
 * r0 x, r1 weights, r2 count, r3 weight, r4-r6 and r8-r10 pair words, r4 and r5 also the groups'
 * sums, r11, r12 R, H of the first pair, r7 (saved: it may be the frame pointer), lr of the second.
 */
static inline void mcuq_pair_4x1(const int8_t *weights, const uint32_t *x, int32_t taps,
                                 int32_t bias, int32_t acc[4])
{
    register const uint32_t *r0 __asm__("r0") = x;
    register const int8_t *r1 __asm__("r1") = weights;
    register int32_t r2 __asm__("r2") = taps;
    register int32_t r3 __asm__("r3") = bias;
    register int32_t r4 __asm__("r4");
    register int32_t r5 __asm__("r5");
    register int32_t r6 __asm__("r6");
    __asm__ volatile("push {r7}\n\t"
                     "mov r12, r3\n\t"
                     "mov lr, r3\n\t"
                     "add r11, r3, r3, lsl #16\n\t"
                     "mov r7, r11\n"
                     "1:\tldmia r0!, {r4, r5, r6, r8}\n\t"
                     "ldrsb r3, [r1], #1\n\t"
                     "mul r4, r4, r3\n\t"
                     "mul r5, r5, r3\n\t"
                     "ldrsb r3, [r1], #1\n\t"
                     "mla r4, r6, r3, r4\n\t"
                     "mla r5, r8, r3, r5\n\t"
                     "ldmia r0!, {r6, r8, r9, r10}\n\t"
                     "ldrsb r3, [r1], #1\n\t"
                     "mla r4, r6, r3, r4\n\t"
                     "mla r5, r8, r3, r5\n\t"
                     "ldrsb r3, [r1], #1\n\t"
                     "mla r4, r9, r3, r4\n\t"
                     "mla r5, r10, r3, r5\n\t"
                     "add r11, r11, r4\n\t"
                     "add r4, r4, #0x8000\n\t"
                     "add r12, r12, r4, asr #16\n\t"
                     "add r7, r7, r5\n\t"
                     "add r5, r5, #0x8000\n\t"
                     "add lr, lr, r5, asr #16\n\t"
                     "subs r2, r2, #4\n\t"
                     "bne 1b\n\t"
                     "sub r3, r11, r12, lsl #16\n\t"
                     "mov r4, r12\n\t"
                     "sub r5, r7, lr, lsl #16\n\t"
                     "mov r6, lr\n\t"
                     "pop {r7}"
                     : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3), "=r"(r4), "=r"(r5), "=r"(r6)
                     :
                     : "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
    acc[0] = r3;
    acc[1] = r4;
    acc[2] = r5;
    acc[3] = r6;
}

#else

static inline void mcuq_pair_4x1(const int8_t *weights, const uint32_t *x, int32_t taps,
                                 int32_t bias, int32_t acc[4])
{
    const int8_t *const end = weights + taps;
    uint32_t h0 = (uint32_t)bias;
    uint32_t h1 = h0;
    uint32_t r0 = h0 + (h0 << 16);
    uint32_t r1 = r0;
    do {
        uint32_t w = (uint32_t)weights[0];
        uint32_t a = w * x[0];
        uint32_t b = w * x[1];
        w = (uint32_t)weights[1];
        a += w * x[2];
        b += w * x[3];
        w = (uint32_t)weights[2];
        a += w * x[4];
        b += w * x[5];
        w = (uint32_t)weights[3];
        a += w * x[6];
        b += w * x[7];
        r0 += a;
        r1 += b;
        h0 += mcuq_pair_high(a);
        h1 += mcuq_pair_high(b);
        weights += 4;
        x += 8;
    } while (weights != end);
    acc[0] = (int32_t)(r0 - (h0 << 16));
    acc[1] = (int32_t)h0;
    acc[2] = (int32_t)(r1 - (h1 << 16));
    acc[3] = (int32_t)h1;
}

#endif

#endif
