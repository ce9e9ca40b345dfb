/* mcuq_rows_s16_mve.h: four int16 results at a time with Helium, of operands that go on or stand
 * still. */
#ifndef MCUQ_ROWS_S16_MVE_H
#define MCUQ_ROWS_S16_MVE_H

#include "mcuq_int16_mve.h"

/** What all rows have in common; the assembly knows this layout. */
typedef struct {
    int32_t mul_a, mul_b; /* of no use for products */
    int32_t low, high, bias, minus_shift;
} mcuq_mve_rows;

#if defined(__ARM_FEATURE_MVE)

/* Operands that stand still are four values, of which the same are read again. */
#define MCUQ_MVE_ROW(sum)                                                                          \
    const int16_t four_a[4] = {a[0], a[0], a[0], a[0]}, four_b[4] = {b[0], b[0], b[0], b[0]};      \
    a = (step_a != 0) ? a : four_a;                                                                \
    b = (step_b != 0) ? b : four_b;                                                                \
    __asm volatile("ldr lr, [%[rows]]\n vdup.32 q2, lr\n ldr lr, [%[rows], #4]\n vdup.32 q3, lr\n" \
                   "ldr lr, [%[rows], #8]\n vdup.32 q4, lr\n ldr lr, [%[rows], #12]\n"             \
                   "vdup.32 q5, lr\n dlstp.32 lr, %[count]\n"                                      \
                   "1: vldrh.s32 q0, [%[a]]\n add %[a], %[a], %[step_a], lsl #3\n"                 \
                   "vldrh.s32 q1, [%[b]]\n add %[b], %[b], %[step_b], lsl #3\n" sum                \
                   "vshl.s32 q0, %[shift]\n vmax.s32 q0, q0, q4\n vmin.s32 q0, q0, q5\n"           \
                   "vstrh.32 q0, [%[out]], #8\n letp lr, 1b\n"                                     \
                   : [a] "+&l"(a), [b] "+&l"(b), [out] "+&l"(out)                                  \
                   : [rows] "r"(rows), [count] "r"(count), [step_a] "r"(step_a),                   \
                     [step_b] "r"(step_b), [bias] "r"(rows->bias), [shift] "r"(rows->minus_shift)  \
                   : "q0", "q1", "q2", "q3", "q4", "q5", "lr", MCUQ_MVE_VPR, "cc", "memory")

/** out[i] = (a[i] * b[i] + bias) >> shift, limited: 11 instructions for 4 values. */
static inline void mcuq_mve_mul_row(const mcuq_mve_rows *rows, const int16_t *a, int32_t step_a,
                                    const int16_t *b, int32_t step_b, int16_t *out, int32_t count)
{
    MCUQ_MVE_ROW("vmul.i32 q0, q0, q1\n vadd.i32 q0, q0, %[bias]\n");
}

/** out[i] = (a[i] * mul_a + b[i] * mul_b + bias) >> shift, limited: 12 for 4 values. */
static inline void mcuq_mve_add_row(const mcuq_mve_rows *rows, const int16_t *a, int32_t step_a,
                                    const int16_t *b, int32_t step_b, int16_t *out, int32_t count)
{
    MCUQ_MVE_ROW("vmlas.s32 q0, q2, %[bias]\n vmul.i32 q1, q1, q3\n vadd.i32 q0, q0, q1\n");
}

#else

static inline void mcuq_mve_mul_row(const mcuq_mve_rows *rows, const int16_t *a, int32_t step_a,
                                    const int16_t *b, int32_t step_b, int16_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        const int32_t sum = a[i * step_a] * b[i * step_b] + rows->bias;
        out[i] = (int16_t)mcuq_clamp(sum >> -rows->minus_shift, rows->low, rows->high);
    }
}

static inline void mcuq_mve_add_row(const mcuq_mve_rows *rows, const int16_t *a, int32_t step_a,
                                    const int16_t *b, int32_t step_b, int16_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        const int32_t sum = rows->bias + a[i * step_a] * rows->mul_a + b[i * step_b] * rows->mul_b;
        out[i] = (int16_t)mcuq_clamp(sum >> -rows->minus_shift, rows->low, rows->high);
    }
}

#endif

#endif
