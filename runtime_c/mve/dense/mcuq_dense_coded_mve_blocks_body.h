/* mcuq_dense_coded_mve_blocks_body.h: dense layers with Helium from codes of MCUQ_CODED_BITS: 8
 * outputs share 16 inputs, and codes are gathered from the table of values as they are needed.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_CODED_BITS: 4 or 2
 */
#ifndef MCUQ_DENSE_CODED_MVE_BLOCKS_BODY_H
#define MCUQ_DENSE_CODED_MVE_BLOCKS_BODY_H

#include "mcuq_coded_mve_body.h"
#include "mcuq_dense_coded_mve.h"
#include "mcuq_dense_mve_store.h"

enum { BLOCK = 8 };

#if defined(__ARM_FEATURE_MVE)

#define LAST(acc) "vldrb.u8 q3, [r3, q1]\n vmladava.s8 " acc ", q0, q3\n"
#define MASKED(acc) "vand q2, q1, q4\n vldrb.u8 q3, [r3, q2]\n vmladava.s8 " acc ", q0, q3\n"
#if MCUQ_CODED_BITS == 4
#define CODES(a, b) "vldrb.u8 q1, [r5], #16\n" MASKED(a) "vshr.u8 q1, q1, #4\n" LAST(b)
#define ALL CODES("r0", "r2") CODES("r4", "r6") CODES("r8", "r10") CODES("r12", "lr")
#else
#define CODES(a, b, c, d)                                                                          \
    "vldrb.u8 q1, [r5], #16\n" MASKED(a) "vshr.u8 q1, q1, #2\n" MASKED(                            \
        b) "vshr.u8 q1, q1, #2\n" MASKED(c) "vshr.u8 q1, q1, #2\n" LAST(d)
#define ALL CODES("r0", "r2", "r4", "r6") CODES("r8", "r10", "r12", "lr")
#endif

/* acc[0..8) = bias[0..8) + weights . in over 16 * steps inputs: 31 instructions for 128 products
 * for 4 bits, 33 for 2. r1 inputs, r3 values, r5 codes, r9 steps. */
static inline const uint8_t *block(const uint8_t *codes, const int8_t *values, const int8_t *in,
                                   int32_t steps, const int32_t *bias, int32_t *acc)
{
    register const int8_t *r1 __asm("r1") = in;
    register const int8_t *r3 __asm("r3") = values;
    register const uint8_t *r5 __asm("r5") = codes;
    register int32_t r9 __asm("r9") = steps;
    register const int32_t *r0 __asm("r0") = bias;
    register int32_t *r2 __asm("r2") = acc;
    __asm volatile("push {r2}\n vmov.i8 q4, %[mask]\n ldm r0, " MCUQ_MVE_ACC "\n"
                   "1: vldrb.u8 q0, [r1], #16\n" ALL " subs r9, #1\n bne 1b\n"
                   " pop {r1}\n stm r1, " MCUQ_MVE_ACC "\n"
                   : "+&r"(r0), "+&r"(r1), "+&r"(r2), "+&r"(r5), "+&r"(r9)
                   : "r"(r3), [mask] "i"((1 << MCUQ_CODED_BITS) - 1)
                   : "q0", "q1", "q2", "q3", "q4", "r4", "r6", "r8", "r10", "r12", "lr", "cc",
                     "memory");
    return r5;
}

#else

static inline const uint8_t *block(const uint8_t *codes, const int8_t *values, const int8_t *in,
                                   int32_t steps, const int32_t *bias, int32_t *acc)
{
    memcpy(acc, bias, 4 * BLOCK);
    for (int32_t step = 0; step < steps; step++, in += 16) {
        int8_t weights[BLOCK * 16];
        codes = mcuq_coded_decode(weights, codes, BLOCK / MCUQ_CODED_VECTORS, values);
        for (int32_t i = 0; i < BLOCK * 16; i++) {
            acc[i / 16] += weights[i] * in[i % 16];
        }
    }
    return codes;
}

#endif

static void run_dense(const mcuq_dense_coded_mve_params *p, const int8_t *in, int8_t *out,
                      int32_t *scratch)
{
    const int32_t steps = (p->in_len + 15) / 16;
    const int32_t blocks = (p->out_len + BLOCK - 1) / BLOCK;
    const uint8_t *codes = p->codes;
    int8_t *const whole = (int8_t *)(scratch + BLOCK * blocks);
    mcuq_mve_fill(whole + 16 * steps - 16, 0, 16);
    mcuq_mve_copy(whole, in, p->in_len);
    for (int32_t i = 0; i < blocks; i++) {
        codes = block(codes, p->values, whole, steps, p->bias + BLOCK * i, scratch + BLOCK * i);
    }
    mcuq_mve_store_outputs(p->out_range, scratch, p->minus_shift, out, p->out_len);
}

#endif
