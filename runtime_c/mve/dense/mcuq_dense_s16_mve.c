#include "mcuq_int16_mve.h"
#include "mcuq_mve_s16.h"

enum { OUTPUTS = 8 };

#if defined(__ARM_FEATURE_MVE)

#define ROW(q, acc) "vldrb.s16 " q ", [r1], #8\n vmladava.s16 " acc ", q0, " q "\n"
/** 8 inputs of 8 outputs: 17 instructions for 64 MACs (0.266 per MAC). */
#define STEP                                                                                       \
    "vldrh.u16 q0, [r9], #16\n" ROW("q1", "r0") ROW("q2", "r2") ROW("q3", "r4") ROW("q4", "r6")    \
        ROW("q1", "r8") ROW("q2", "r10") ROW("q3", "r12") ROW("q4", "lr")

/** acc = bias + weights . x for 8 outputs. */
static void block_of_8(const mcuq_mve_s16_job *job, int32_t steps)
{
    register const mcuq_mve_s16_job *at __asm("r0") = job;
    if (steps % 4 == 0) {
        MCUQ_MVE_S16_LOOP(at, STEP STEP STEP STEP);
    } else {
        MCUQ_MVE_S16_LOOP(at, STEP);
    }
}

/** out[o] = clamp(acc[o] >> shift[o]) of up to 8 outputs. */
static void store(const int16_t *range, const int32_t *acc, const int8_t *minus_shift, int16_t *out,
                  int32_t count)
{
    for (; count > 0; count -= 4, out += 4) {
        __asm volatile("ldrsh lr, [%[range]]\n vdup.32 q2, lr\n"
                       "ldrsh lr, [%[range], #2]\n vdup.32 q3, lr\n"
                       "vctp.32 %[count]\n"
                       "vldrw.u32 q0, [%[acc]], #16\n vldrb.s32 q1, [%[shift]], #4\n"
                       "vshl.s32 q0, q0, q1\n vmax.s32 q0, q0, q2\n vmin.s32 q0, q0, q3\n"
                       "vpst\n vstrht.32 q0, [%[out]]\n"
                       : [acc] "+&r"(acc), [shift] "+&l"(minus_shift)
                       : [count] "r"(count), [range] "r"(range), [out] "l"(out)
                       : "q0", "q1", "q2", "q3", "lr", MCUQ_MVE_VPR, "cc", "memory");
    }
}

#else

static void block_of_8(const mcuq_mve_s16_job *job, int32_t steps)
{
    const int16_t *const x = job->x;
    for (int32_t o = 0; o < OUTPUTS; o++) {
        int32_t acc = job->init[o];
        for (int32_t k = 0; k < 8 * steps; k++) {
            acc += job->weights[k / 8 * 64 + o * 8 + k % 8] * x[k];
        }
        job->acc[o] = acc;
    }
}

static void store(const int16_t *range, const int32_t *acc, const int8_t *minus_shift, int16_t *out,
                  int32_t count)
{
    for (int32_t o = 0; o < count; o++) {
        out[o] = (int16_t)mcuq_clamp(acc[o] >> -minus_shift[o], range[0], range[1]);
    }
}

#endif

void mcuq_dense_s16_mve(const mcuq_dense_s16_mve_params *p, const void *in, void *out,
                        void *scratch)
{
    const int32_t steps = (p->in_len + 7) / 8;
    int32_t *const acc = scratch;
    const int16_t *x = in;
    int16_t *to = out;
    if (p->in_len % 8 != 0) {
        int16_t *const whole = (int16_t *)(void *)(acc + OUTPUTS);
        memset(whole + 8 * steps - 8, 0, 16);
        memcpy(whole, in, (size_t)p->in_len * sizeof *whole);
        x = whole;
    }
    for (int32_t at = 0; at < p->out_len; at += OUTPUTS) {
        const int32_t rest = p->out_len - at;
        const mcuq_mve_s16_job job = {
            acc + OUTPUTS, p->weights + 8 * steps * at, x + 8 * steps, p->bias + at, x, acc};
        block_of_8(&job, steps);
        store(p->out_range, acc, p->minus_shift + at, to + at, (rest < OUTPUTS) ? rest : OUTPUTS);
    }
}
