#include "mcuq_dense_mve.h"
#include "mcuq_dense_mve_store.h"
#include "mcuq_mve.h"

#define CHUNK 64 /* outputs whose sums are kept at a time */

#if defined(__ARM_FEATURE_MVE)

#define ROW(q, acc) "vldrb.u8 " q ", [r9], #16\n vmladava.s8 " acc ", q0, " q "\n"

/** 16 inputs of 8 outputs: 17 instructions for 128 MACs (0.133 per MAC). */
#define STEP                                                                                       \
    "vldrb.u8 q0, [r1], #16\n" ROW("q1", "r0") ROW("q2", "r2") ROW("q3", "r4") ROW("q4", "r6")     \
        ROW("q1", "r8") ROW("q2", "r10") ROW("q3", "r12") ROW("q4", "lr")

/** A loop over blocks of 8 outputs whose inner loop takes `steps` a turn.
 *  r1 inputs, r3 their end, r5 bias, r7 end of acc, r9 weights, r11 acc. */
#define BLOCKS(steps)                                                                              \
    __asm volatile(MCUQ_MVE_LOAD_JOB "vmov s29, r7\n mov r7, r0\n vmov s28, r1\n"                  \
                                     "1: ldmia r5!, " MCUQ_MVE_ACC "\n vmov r1, s28\n"             \
                                     "2:\n" steps " cmp r1, r3\n bne 2b\n"                         \
                                     " stmia r11!, " MCUQ_MVE_ACC                                  \
                                     "\n cmp r11, r7\n bne 1b\n vmov r7, s29\n"                    \
                   : "+&r"(at)                                                                     \
                   :                                                                               \
                   : "q0", "q1", "q2", "q3", "q4", "q7", MCUQ_MVE_CLOBBERS)

/** acc = bias + weights . in for a multiple of 8 outputs, not 0. */
static inline void blocks_of_8(const mcuq_mve_job *job, int32_t steps)
{
    register const mcuq_mve_job *at __asm("r0") = job;
    if (steps % 4 == 0) {
        BLOCKS(STEP STEP STEP STEP);
    } else {
        BLOCKS(STEP);
    }
}

/** As blocks_of_8, for the last 4 outputs. */
static inline void block_of_4(const int8_t *weights, const int32_t *bias, const int8_t *in,
                              int32_t steps, int32_t *acc)
{
    __asm volatile("ldm %[bias], {r0, r2, r4, r6}\n dls lr, %[steps]\n"
                   "1: vldrb.u8 q0, [%[in]], #16\n"
                   "vldrb.u8 q1, [%[w]], #16\n vmladava.s8 r0, q0, q1\n"
                   "vldrb.u8 q2, [%[w]], #16\n vmladava.s8 r2, q0, q2\n"
                   "vldrb.u8 q3, [%[w]], #16\n vmladava.s8 r4, q0, q3\n"
                   "vldrb.u8 q4, [%[w]], #16\n vmladava.s8 r6, q0, q4\n le lr, 1b\n"
                   "stm %[acc], {r0, r2, r4, r6}\n"
                   : [in] "+&h"(in), [w] "+&h"(weights)
                   : [bias] "r"(bias), [steps] "r"(steps), [acc] "h"(acc)
                   : "q0", "q1", "q2", "q3", "q4", "r0", "r2", "r4", "r6", "lr", "memory");
}

void mcuq_dense_s8_mve(const mcuq_dense_mve_params *p, const int8_t *in, int8_t *out, void *scratch)
{
    const int32_t steps = (p->in_len + 15) / 16;
    const int8_t *weights = p->weights;
    int32_t *const acc = scratch;
    if (p->in_len % 16 != 0) {
        int8_t *const whole =
            (int8_t *)(acc + ((p->out_len < CHUNK) ? (p->out_len + 7) & ~7 : CHUNK));
        mcuq_mve_fill(whole + 16 * steps - 16, 0, 16);
        mcuq_mve_copy(whole, in, p->in_len);
        in = whole;
    }
    for (int32_t at = 0; at < p->out_len; at += CHUNK) {
        const int32_t rest = p->out_len - at;
        const int32_t count = (rest < CHUNK) ? rest : CHUNK;
        const int32_t by_8 = (count + 3) / 8 * 8;
        if (by_8 > 0) {
            const mcuq_mve_job job = {acc + by_8, in, in + 16 * steps, p->bias + at, weights, acc};
            blocks_of_8(&job, steps);
            weights += 16 * steps * by_8;
        }
        if (count > by_8) {
            block_of_4(weights, p->bias + at + by_8, in, steps, acc + by_8);
        }
        mcuq_mve_store_outputs(p->out_range, acc, p->minus_shift + at, out + at, count);
    }
}

#else

void mcuq_dense_s8_mve(const mcuq_dense_mve_params *p, const int8_t *in, int8_t *out, void *scratch)
{
    const int32_t steps = (p->in_len + 15) / 16;
    (void)scratch;
    for (int32_t o = 0; o < p->out_len; o++) {
        const int32_t first = (p->out_len - o / 8 * 8 > 4) ? 8 : 4; /* outputs of its block */
        const int8_t *const weights = p->weights + (o / 8 * 8 * steps + o % 8) * 16;
        int32_t acc = p->bias[o];
        for (int32_t i = 0; i < p->in_len; i++) {
            acc += weights[i / 16 * first * 16 + i % 16] * in[i];
        }
        out[o] = mcuq_requant(acc, -p->minus_shift[o], p->out_range[0], p->out_range[1]);
    }
}

#endif
