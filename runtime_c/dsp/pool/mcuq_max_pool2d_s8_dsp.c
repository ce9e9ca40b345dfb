#include "mcuq_pool2d_dsp.h"

#include "mcuq_dsp.h"

typedef int8_t element;
#include "mcuq_max_pool2d_taps_body.h"

/* As largest, for four channels that neighbour each other, two taps at a time:
 * 9 instructions for 8 elements. Registers: 3 data, the best, 1 pointer, 1 pitch. */
static void largest_of_four(const taps *t, const int8_t *row, int8_t *out)
{
#if MCUQ_DSP_ASM
    uint32_t best = 0x80808080u;
    for (int32_t y = t->rows; y > 0; y--, row += t->next_row) {
        const int8_t *at = row;
        int32_t pairs;
        __asm volatile(" asrs %[pairs], %[columns], #1\n bcc 1f\n"
                       " ldr r4, [%[at]]\n add %[at], %[next]\n"
                       " ssub8 r6, %[best], r4\n sel %[best], %[best], r4\n"
                       "1:\n beq 3f\n"
                       "2:\n ldr r4, [%[at]]\n ldr r5, [%[at], %[next]]\n"
                       " add %[at], %[at], %[next], lsl #1\n"
                       " ssub8 r6, %[best], r4\n sel %[best], %[best], r4\n"
                       " ssub8 r6, %[best], r5\n sel %[best], %[best], r5\n"
                       " subs %[pairs], #1\n bne 2b\n"
                       "3:\n"
                       : [at] "+&r"(at), [pairs] "=&r"(pairs), [best] "+&r"(best)
                       : [columns] "r"(t->columns), [next] "r"(t->next_column)
                       : "r4", "r5", "r6", "cc", "memory");
    }
    memcpy(out, &best, sizeof best);
#else
    for (int32_t i = 0; i < 4; i++) {
        out[i] = largest(t, row + i);
    }
#endif
}

#include "mcuq_max_pool2d_dsp_body.h"

void mcuq_max_pool2d_s8_dsp(const mcuq_max_pool2d_params *p, const int8_t *in, int8_t *out)
{
    run_max_pool2d(p, in, out);
}
