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

/* GE = 1010, for the stores. */
#define BEGIN " mov r4, #0xff00ff00\n uadd8 r4, r4, r4\n1:\n"
#define LOAD " ldr r4, [%[a]], #4\n ldr r5, [%[b]], #4\n"
/* Bits 8-15 of both lanes of r6 (elements 0, 2) and r8 (1, 3). */
#define STORE " lsr r6, r6, #8\n sel r6, r8, r6\n str r6, [%[out]], #4\n"
#define END " cmp %[out], %[end]\n bne 1b\n"

/* Both scales equal: lanes (a + b) * scale, then bias. A high lane is up to scale - 1 too large.
 * 13 instructions for 4 elements. Registers: 4 data, 3 pointers, end, 2 constants. */
#define EQUAL                                                                                      \
    LOAD " sxtb16 r6, r4\n sxtb16 r8, r4, ror #8\n sxtab16 r6, r6, r5\n"                           \
         " sxtab16 r8, r8, r5, ror #8\n mul r6, r6, %[scale]\n mul r8, r8, %[scale]\n"             \
         " qadd16 r6, r6, %[bias]\n qadd16 r8, r8, %[bias]\n" STORE
static __attribute__((noinline)) void add_equal(const int8_t *a, const int8_t *b, int8_t *out,
                                                const int8_t *end, int32_t scale, uint32_t bias)
{
    __asm volatile(BEGIN EQUAL EQUAL END
                   : [a] "+&r"(a), [b] "+&r"(b), [out] "+&r"(out)
                   : [end] "r"(end), [scale] "r"(scale), [bias] "r"(bias)
                   : "r4", "r5", "r6", "r8", "cc", "memory");
}

/* Lanes (a + 128) * scale_a + bias_a, the same of b, and their sum. bias_a and bias_b are words of
 * a low and 2^16 times a high number. Then the high lane lacks 1 where the low one is negative;
 * with 1 more in both high numbers, the sum is up to 2 too large.
 * 17 instructions for 4 elements, 21 if the sums are doubled twice. Registers: 5 data, 3 pointers,
 * end, 4 constants. */
#define APART(after)                                                                               \
    LOAD " eor r4, r4, #0x80808080\n eor r5, r5, #0x80808080\n"                                    \
         " uxtb16 r6, r4\n uxtb16 r9, r5\n mla r6, r6, %[scale_a], %[bias_a]\n"                    \
         " mla r9, r9, %[scale_b], %[bias_b]\n uxtb16 r8, r4, ror #8\n uxtb16 r5, r5, ror #8\n"    \
         " qadd16 r6, r6, r9\n mla r8, r8, %[scale_a], %[bias_a]\n"                                \
         " mla r5, r5, %[scale_b], %[bias_b]\n qadd16 r8, r8, r5\n" after STORE
#define DOUBLE " qadd16 r6, r6, r6\n qadd16 r8, r8, r8\n"
#define ADD_APART(after)                                                                           \
    __asm volatile(BEGIN APART(after) APART(after) END                                             \
                   : [a] "+&r"(a), [b] "+&r"(b), [out] "+&r"(out)                                  \
                   : [end] "r"(end), [scale_a] "r"(p->scale_a), [scale_b] "r"(p->scale_b),         \
                     [bias_a] "r"(p->bias_a), [bias_b] "r"(p->bias_b)                              \
                   : "r4", "r5", "r6", "r8", "r9", "cc", "memory")

static __attribute__((noinline)) void add_apart(const mcuq_add_dsp_params *p, const int8_t *a,
                                                const int8_t *b, int8_t *out, const int8_t *end)
{
    ADD_APART("");
}

static __attribute__((noinline)) void add_quarter(const mcuq_add_dsp_params *p, const int8_t *a,
                                                  const int8_t *b, int8_t *out, const int8_t *end)
{
    ADD_APART(DOUBLE DOUBLE);
}

/* All whole blocks of elements; returns how many elements that is. */
static int32_t add_blocks(const mcuq_add_dsp_params *p, const int8_t *a, const int8_t *b,
                          int8_t *out)
{
    const int32_t count = p->count / BLOCK * BLOCK;
    if (count == 0) {
        return 0;
    }
    if (p->kind == MCUQ_ADD_EQUAL) {
        add_equal(a, b, out, out + count, p->scale_a, p->bias_a);
    } else if (p->kind == MCUQ_ADD_APART) {
        add_apart(p, a, b, out, out + count);
    } else {
        add_quarter(p, a, b, out, out + count);
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
