#include "mcuq_pool2d_dsp.h"

#include "mcuq_dsp.h"

typedef int8_t element;
#include "mcuq_max_pool2d_taps_body.h"

/* How many of start, start + step, ... lie before end. */
static int32_t count(int32_t start, int32_t end, int32_t step)
{
    return (start < end) ? (end - start + step - 1) / step : 0;
}

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

void mcuq_max_pool2d_s8_dsp(const mcuq_max_pool2d_params *p, const int8_t *in, int8_t *out)
{
    const int32_t channels = p->channels;
    const int32_t step_h = p->dilation_h;
    const int32_t step_w = p->dilation_w;
    const int32_t span_h = (p->kernel_h - 1) * step_h + 1;
    const int32_t span_w = (p->kernel_w - 1) * step_w + 1;
    taps t = {0, 0, p->in_w * channels * step_h, channels * step_w};

    for (int32_t oy = 0, top = -p->pad_top; oy < p->out_h; oy++, top += p->stride_h) {
        const int32_t y = first_inside(top, step_h);
        t.rows = count(y, mcuq_clamp(top + span_h, 0, p->in_h), step_h);
        for (int32_t ox = 0, left = -p->pad_left; ox < p->out_w; ox++, left += p->stride_w) {
            const int32_t x = first_inside(left, step_w);
            const int8_t *first = in + (y * p->in_w + x) * channels;
            int32_t rest = channels;
            t.columns = count(x, mcuq_clamp(left + span_w, 0, p->in_w), step_w);
            for (; rest >= 4; rest -= 4, first += 4, out += 4) {
                largest_of_four(&t, first, out);
            }
            for (; rest > 0; rest--) {
                *out++ = largest(&t, first++);
            }
        }
    }
}
