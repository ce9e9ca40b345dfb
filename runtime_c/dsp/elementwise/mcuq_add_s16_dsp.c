#include "mcuq_int16_dsp.h"

/* Two elements: a and b side by side, times both scales, 13 instructions; 2 more for four. */
#if MCUQ_DSP_ASM
/* The assembly knows this layout. */
typedef struct {
    const int16_t *end; /* of out */
    uint32_t scales;
    int32_t bias, shift;
} add_job;

/* r0 a, r1 b, r2 out, r3 its end, r4 scales, r5 bias, r6 shift. */
#define PAIR                                                                                       \
    " ldr r7, [r0], #4\n ldr r8, [r1], #4\n"                                                       \
    " pkhbt r9, r7, r8, lsl #16\n pkhtb r10, r8, r7, asr #16\n"                                    \
    " smlad r9, r9, r4, r5\n smlad r10, r10, r4, r5\n"                                             \
    " asr r9, r9, r6\n asr r10, r10, r6\n ssat r9, #16, r9\n ssat r10, #16, r10\n"                 \
    " pkhbt r9, r9, r10, lsl #16\n str r9, [r2], #4\n"
MCUQ_NAKED static void add_fours(MCUQ_NAKED_ARGUMENT const int16_t *a,
                                 MCUQ_NAKED_ARGUMENT const int16_t *b,
                                 MCUQ_NAKED_ARGUMENT int16_t *out,
                                 MCUQ_NAKED_ARGUMENT const add_job *job)
{
    __asm volatile("push {r4-r10, lr}\n ldmia r3, {r3-r6}\n"
                   "1:\n" PAIR PAIR " cmp r2, r3\n bne 1b\n pop {r4-r10, pc}\n");
}
#endif

void mcuq_add_s16_dsp(const mcuq_add_s16_params *p, const void *a, const void *b, void *out)
{
    const int16_t *x = a, *y = b;
    int16_t *to = out;
    int32_t done = 0;

#if MCUQ_DSP_ASM
    done = p->count & ~3;
    if (done > 0) {
        const uint32_t scales = (uint16_t)p->mul_a | (uint32_t)p->mul_b << 16;
        const add_job job = {to + done, scales, p->bias, p->shift};
        add_fours(x, y, to, &job);
        mcuq_dsp_clamp16(to, done, p->out_min, p->out_max);
    }
#endif
    for (; done < p->count; done++) {
        const int32_t acc = p->bias + x[done] * p->mul_a + y[done] * p->mul_b;
        to[done] = mcuq_requant_int16(acc, p->shift, p->out_min, p->out_max);
    }
}
