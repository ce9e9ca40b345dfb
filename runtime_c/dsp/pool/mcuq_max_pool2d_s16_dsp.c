#include "mcuq_int16_dsp.h"

typedef int16_t element;
#include "mcuq_max_pool2d_taps_body.h"

/* As largest, for four channels that neighbour each other: 9 instructions a tap. */
static void largest_of_four(const taps *t, const int16_t *row, int16_t *out)
{
#if MCUQ_DSP_ASM
    uint32_t low = 0x80008000u, high = low;
    for (int32_t y = t->rows; y > 0; y--, row += t->next_row) {
        const int16_t *at = row;
        int32_t left = t->columns;
        __asm volatile("1:\n ldr r4, [%[at]]\n ldr r5, [%[at], #4]\n add %[at], %[next]\n"
                       " ssub16 r6, %[low], r4\n sel %[low], %[low], r4\n"
                       " ssub16 r6, %[high], r5\n sel %[high], %[high], r5\n"
                       " subs %[left], #1\n bne 1b\n"
                       : [at] "+&r"(at), [left] "+&r"(left), [low] "+&r"(low), [high] "+&r"(high)
                       : [next] "r"(2 * t->next_column)
                       : "r4", "r5", "r6", "cc", "memory");
    }
    memcpy(out, &low, sizeof low);
    memcpy(out + 2, &high, sizeof high);
#else
    for (int32_t i = 0; i < 4; i++) {
        out[i] = largest(t, row + i);
    }
#endif
}

#include "mcuq_max_pool2d_dsp_body.h"

void mcuq_max_pool2d_s16_dsp(const mcuq_max_pool2d_params *p, const void *in, void *out)
{
    run_max_pool2d(p, in, out);
}
