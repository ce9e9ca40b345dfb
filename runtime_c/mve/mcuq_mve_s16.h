/* mcuq_mve_s16.h: building blocks of the Helium (MVE) kernels for int16 data with int8 weights, and
 * their twins in C.
 *
 * As in mcuq_mve.h with steps of 8 products: x is [step][4 pixels][8], weights
 * [channel pair][step][2 channels][8], widened as they are loaded.
 */
#ifndef MCUQ_MVE_S16_H
#define MCUQ_MVE_S16_H

#include "mcuq_mve.h"

/** As mcuq_mve_job, in the order of r0 r1 r3 r5 r9 r11: loads that widen take low registers. */
typedef struct {
    int32_t *acc_end;
    const int8_t *weights;
    const void *x_end;
    const int32_t *init;
    const void *x;
    int32_t *acc;
} mcuq_mve_s16_job;

#if defined(__ARM_FEATURE_MVE)

/** 8 k of 4 pixels x 2 channels: 6 loads and 8 VMLADAVA for 64 MACs (0.219 per MAC). */
#define MCUQ_MVE_S16_STEP                                                                          \
    "vldrb.s16 q4, [r1], #8\n vldrb.s16 q5, [r1], #8\n"                                            \
    "vldrh.u16 q0, [r9], #16\n vmladava.s16 r0, q0, q4\n vmladava.s16 r8, q0, q5\n"                \
    "vldrh.u16 q1, [r9], #16\n vmladava.s16 r2, q1, q4\n vmladava.s16 r10, q1, q5\n"               \
    "vldrh.u16 q2, [r9], #16\n vmladava.s16 r4, q2, q4\n vmladava.s16 r12, q2, q5\n"               \
    "vldrh.u16 q3, [r9], #16\n vmladava.s16 r6, q3, q4\n vmladava.s16 lr, q3, q5\n"

/** A loop over blocks of 8 sums whose inner loop takes `steps` a turn.
 *  r1 weights, r3 the end of x, r5 init, r7 end of acc, r9 x, r11 acc. */
#define MCUQ_MVE_S16_LOOP(at, steps)                                                               \
    __asm volatile(MCUQ_MVE_LOAD_JOB "vmov s29, r7\n mov r7, r0\n vmov s28, r9\n"                  \
                                     "1: ldmia r5!, " MCUQ_MVE_ACC "\n vmov r9, s28\n"             \
                                     "2:\n" steps " cmp r9, r3\n bne 2b\n"                         \
                                     " stmia r11!, " MCUQ_MVE_ACC                                  \
                                     "\n cmp r11, r7\n bne 1b\n vmov r7, s29\n"                    \
                   : "+&r"(at)                                                                     \
                   :                                                                               \
                   : "q0", "q1", "q2", "q3", "q4", "q5", "q7", MCUQ_MVE_CLOBBERS)

/** acc = init + weights . x for four pixels and an even number of channels, `steps` steps deep. */
static inline void mcuq_mve_s16_dot(const mcuq_mve_s16_job *job, int32_t steps)
{
    register const mcuq_mve_s16_job *at __asm("r0") = job;
    if (steps % 4 == 0) {
        MCUQ_MVE_S16_LOOP(at,
                          MCUQ_MVE_S16_STEP MCUQ_MVE_S16_STEP MCUQ_MVE_S16_STEP MCUQ_MVE_S16_STEP);
    } else if (steps % 3 == 0) {
        MCUQ_MVE_S16_LOOP(at, MCUQ_MVE_S16_STEP MCUQ_MVE_S16_STEP MCUQ_MVE_S16_STEP);
    } else {
        MCUQ_MVE_S16_LOOP(at, MCUQ_MVE_S16_STEP);
    }
}

/** As mcuq_mve_store, to int16: 22 instructions for 16 outputs. */
static inline void mcuq_mve_s16_store(const int32_t *acc, const int8_t *minus_shift, int16_t *out0,
                                      int16_t *out1, int16_t *out2, int16_t *out3, int32_t channels,
                                      const int16_t *range)
{
    __asm volatile("ldrsh lr, [%[range]]\n vdup.32 q5, lr\n"
                   "ldrsh lr, [%[range], #2]\n vdup.32 q6, lr\n"
                   "lsrs lr, %[count], #2\n beq 2f\n dls lr, lr\n"
                   "1:\n" MCUQ_MVE_STORE_LOAD
                   "vstrh.32 q3, [%[o3]], #8\n vstrh.32 q2, [%[o2]], #8\n"
                   "vstrh.32 q1, [%[o1]], #8\n vstrh.32 q0, [%[o0]], #8\n le lr, 1b\n"
                   "2: ands lr, %[count], #3\n beq 3f\n vctp.32 lr\n" MCUQ_MVE_STORE_LOAD
                   "vpstttt\n vstrht.32 q3, [%[o3]]\n vstrht.32 q2, [%[o2]]\n"
                   "vstrht.32 q1, [%[o1]]\n vstrht.32 q0, [%[o0]]\n"
                   "3:\n"
                   : [acc] "+&h"(acc), [shift] "+&l"(minus_shift), [o0] "+&l"(out0),
                     [o1] "+&l"(out1), [o2] "+&l"(out2), [o3] "+&l"(out3)
                   : [count] "h"(channels), [range] "h"(range)
                   : "q0", "q1", "q2", "q3", "q4", "q5", "q6", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

#else

static inline void mcuq_mve_s16_dot(const mcuq_mve_s16_job *job, int32_t steps)
{
    const int16_t *const x = job->x;
    for (int32_t i = 0; i < job->acc_end - job->acc; i++) {
        const int8_t *const row = job->weights + (i / 8 * steps * 2 + i / 4 % 2) * 8;
        int32_t sum = job->init[i];
        for (int32_t k = 0; k < 8 * steps; k++) {
            sum += row[k / 8 * 16 + k % 8] * x[k / 8 * 32 + i % 4 * 8 + k % 8];
        }
        job->acc[i] = sum;
    }
}

static inline void mcuq_mve_s16_store(const int32_t *acc, const int8_t *minus_shift, int16_t *out0,
                                      int16_t *out1, int16_t *out2, int16_t *out3, int32_t channels,
                                      const int16_t *range)
{
    for (int32_t c = 0; c < channels; c++, acc += 4) {
        const int shift = -minus_shift[c];
        out3[c] = (int16_t)mcuq_clamp(acc[3] >> shift, range[0], range[1]);
        out2[c] = (int16_t)mcuq_clamp(acc[2] >> shift, range[0], range[1]);
        out1[c] = (int16_t)mcuq_clamp(acc[1] >> shift, range[0], range[1]);
        out0[c] = (int16_t)mcuq_clamp(acc[0] >> shift, range[0], range[1]);
    }
}

#endif

#endif
