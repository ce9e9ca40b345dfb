/* Add: pairs of elements as int16 lanes of one word, scaled so that their results are the upper
 * bytes: then QADD16 is the saturation, too.
 *
 * Sums are multiples of some step. A word is multiplied as a whole, so that its low lane
 * disturbs the high one, but by less than this step: results, rounded down, do not see it.
 */
#include "mcuq_elementwise_dsp.h"

#include "mcuq_dsp.h"

#if MCUQ_DSP_ASM
enum { BLOCK = 8 };

/* The assembly knows this layout. */
typedef struct {
    const int8_t *end; /* of out */
    int32_t scale_a, scale_b;
    uint32_t bias_a, bias_b;
} add_job;

/* r0 a, r1 b, r2 out, r3 its end, r4-r7 scales and biases, r8-r12 data. GE = 1010, for the stores.
 */
#define ADD(four)                                                                                  \
    "push {r4-r11, lr}\n ldmia r3, {r3-r7}\n mov r8, #0xff00ff00\n uadd8 r8, r8, r8\n"             \
    "1:\n" four four " cmp r2, r3\n bne 1b\n pop {r4-r11, pc}\n"
#define LOAD " ldr r8, [r0], #4\n ldr r9, [r1], #4\n"
/* Bits 8-15 of both lanes of r10 (elements 0, 2) and r11 (1, 3). */
#define STORE " lsr r10, r10, #8\n sel r10, r11, r10\n str r10, [r2], #4\n"

/* Both scales equal: lanes (a + b) * scale_a, then bias_a. A high lane is up to scale_a - 1 too
 * large. 13 instructions for 4 elements. */
#define EQUAL                                                                                      \
    LOAD " sxtb16 r10, r8\n sxtb16 r11, r8, ror #8\n sxtab16 r10, r10, r9\n"                       \
         " sxtab16 r11, r11, r9, ror #8\n mul r10, r10, r4\n mul r11, r11, r4\n"                   \
         " qadd16 r10, r10, r6\n qadd16 r11, r11, r6\n" STORE
MCUQ_NAKED static void add_equal(MCUQ_NAKED_ARGUMENT const int8_t *a,
                                 MCUQ_NAKED_ARGUMENT const int8_t *b,
                                 MCUQ_NAKED_ARGUMENT int8_t *out,
                                 MCUQ_NAKED_ARGUMENT const add_job *job)
{
    __asm volatile(ADD(EQUAL));
}

/* Lanes (a + 128) * scale_a + bias_a, the same of b, and their sum. bias_a and bias_b are words of
 * a low and 2^16 times a high number. Then the high lane lacks 1 where the low one is negative;
 * with 1 more in both high numbers, the sum is up to 2 too large.
 * 17 instructions for 4 elements, 21 if the sums are doubled twice. */
#define APART(after)                                                                               \
    LOAD " eor r8, r8, #0x80808080\n eor r9, r9, #0x80808080\n uxtb16 r10, r8\n uxtb16 r12, r9\n"  \
         " mla r10, r10, r4, r6\n mla r12, r12, r5, r7\n uxtb16 r11, r8, ror #8\n"                 \
         " uxtb16 r9, r9, ror #8\n qadd16 r10, r10, r12\n mla r11, r11, r4, r6\n"                  \
         " mla r9, r9, r5, r7\n qadd16 r11, r11, r9\n" after STORE
#define DOUBLE " qadd16 r10, r10, r10\n qadd16 r11, r11, r11\n"
MCUQ_NAKED static void add_apart(MCUQ_NAKED_ARGUMENT const int8_t *a,
                                 MCUQ_NAKED_ARGUMENT const int8_t *b,
                                 MCUQ_NAKED_ARGUMENT int8_t *out,
                                 MCUQ_NAKED_ARGUMENT const add_job *job)
{
    __asm volatile(ADD(APART("")));
}

MCUQ_NAKED static void add_quarter(MCUQ_NAKED_ARGUMENT const int8_t *a,
                                   MCUQ_NAKED_ARGUMENT const int8_t *b,
                                   MCUQ_NAKED_ARGUMENT int8_t *out,
                                   MCUQ_NAKED_ARGUMENT const add_job *job)
{
    __asm volatile(ADD(APART(DOUBLE DOUBLE)));
}

/* All whole blocks of elements; returns how many elements that is. */
static int32_t add_blocks(const mcuq_add_dsp_params *p, const int8_t *a, const int8_t *b,
                          int8_t *out)
{
    const int32_t count = p->count / BLOCK * BLOCK;
    const add_job job = {out + count, p->scale_a, p->scale_b, p->bias_a, p->bias_b};
    if (count == 0) {
        return 0;
    }
    if (p->kind == MCUQ_ADD_EQUAL) {
        add_equal(a, b, out, &job);
    } else if (p->kind == MCUQ_ADD_APART) {
        add_apart(a, b, out, &job);
    } else {
        add_quarter(a, b, out, &job);
    }
    return count;
}
#else
static int32_t add_blocks(const mcuq_add_dsp_params *p, const int8_t *a, const int8_t *b,
                          int8_t *out)
{
    (void)p, (void)a, (void)b, (void)out;
    return 0;
}
#endif

void mcuq_add_s8_dsp(const mcuq_add_dsp_params *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    for (int32_t i = add_blocks(p, a, b, out); i < p->count; i++) {
        const int32_t sum = a[i] * p->mul_a + b[i] * p->mul_b + p->bias;
        out[i] = mcuq_requant(sum, p->shift, -128, 127);
    }
    mcuq_dsp_clamp(out, p->count, p->out_min, p->out_max);
}
