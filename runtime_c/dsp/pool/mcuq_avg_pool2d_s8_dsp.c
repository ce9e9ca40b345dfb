#include "mcuq_pool2d_dsp.h"

#include "mcuq_dsp.h"

typedef int8_t element;
typedef mcuq_avg_pool2d_params params;
#include "mcuq_avg_pool2d_window_body.h"

/* The sums of four channels that neighbour each other, two taps at a time in 16-bit lanes:
 * 9 instructions for 8 elements. Registers: 3 data, 2 sums, 1 pointer, 1 pitch. */
static void sums_of_four(const window *w, const int8_t *row, int32_t *sums)
{
#if MCUQ_DSP_ASM
    uint32_t even = 0, odd = 0;
    for (int32_t y = w->rows; y > 0; y--, row += w->next_row) {
        const int8_t *at = row;
        int32_t pairs;
        __asm volatile(" asrs %[pairs], %[columns], #1\n bcc 1f\n"
                       " ldr r4, [%[at]]\n add %[at], %[next]\n"
                       " sxtab16 %[even], %[even], r4\n sxtab16 %[odd], %[odd], r4, ror #8\n"
                       "1:\n beq 3f\n"
                       "2:\n ldr r4, [%[at]]\n ldr r5, [%[at], %[next]]\n"
                       " add %[at], %[at], %[next], lsl #1\n"
                       " sxtab16 %[even], %[even], r4\n sxtab16 %[odd], %[odd], r4, ror #8\n"
                       " sxtab16 %[even], %[even], r5\n sxtab16 %[odd], %[odd], r5, ror #8\n"
                       " subs %[pairs], #1\n bne 2b\n"
                       "3:\n"
                       : [at] "+&r"(at), [pairs] "=&r"(pairs), [even] "+&r"(even), [odd] "+&r"(odd)
                       : [columns] "r"(w->columns), [next] "r"(w->next_column)
                       : "r4", "r5", "cc", "memory");
    }
    sums[0] = (int16_t)(even & 0xffffu);
    sums[1] = (int16_t)(odd & 0xffffu);
    sums[2] = (int16_t)(even >> 16);
    sums[3] = (int16_t)(odd >> 16);
#else
    for (int32_t i = 0; i < 4; i++) {
        sums[i] = sum_of_one(w, row + i);
    }
#endif
}

#include "mcuq_avg_pool2d_dsp_body.h"

void mcuq_avg_pool2d_s8_dsp(const mcuq_avg_pool2d_params *p, const int8_t *in, int8_t *out)
{
    run_avg_pool2d(p, in, out);
}
