#include "mcuq_depthwise_valid_dsp.h"

#include "mcuq_dsp.h"

enum { LANES = 4 };

/* sums[i] += the products of one window for channel i of four neighbours. job: lines, channels, tap
 * pitch, taps, bytes from behind a line of taps to the next one; the assembly knows this layout.
 * 14 instructions for 4 MAC. Registers: 4 sums, 4 data, 2 pointers, 2 pitches, 2 counts: all 14. */
#if MCUQ_DSP_ASM
MCUQ_NAKED static void add_window(MCUQ_NAKED_ARGUMENT int32_t *sums,
                                  MCUQ_NAKED_ARGUMENT const int8_t *x,
                                  MCUQ_NAKED_ARGUMENT const int8_t *w,
                                  MCUQ_NAKED_ARGUMENT const int32_t *job)
{
    __asm volatile("push {r0, r3-r11, lr}\n"
                   " ldmia r0, {r4-r7}\n"
                   " ldmia r3, {r0, r3, r12}\n" /* lines, channels, tap_pitch */
                   "1:\n"
                   " ldr lr, [sp, #4]\n"
                   " ldr lr, [lr, #12]\n" /* taps */
                   "2:\n"
                   " ldr r8, [r1]\n"
                   " ldr r9, [r2]\n"
                   " add r1, r12\n"
                   " add r2, r3\n"
                   " sxtb16 r10, r8\n"
                   " sxtb16 r11, r9\n"
                   " sxtb16 r8, r8, ror #8\n"
                   " sxtb16 r9, r9, ror #8\n"
                   " smlabb r4, r10, r11, r4\n"
                   " smlatt r6, r10, r11, r6\n"
                   " smlabb r5, r8, r9, r5\n"
                   " smlatt r7, r8, r9, r7\n"
                   " subs lr, #1\n"
                   " bne 2b\n"
                   " ldr lr, [sp, #4]\n"
                   " ldr lr, [lr, #16]\n" /* from the end of a line of taps to the next */
                   " add r1, lr\n"
                   " subs r0, #1\n"
                   " bne 1b\n"
                   " pop {r0, r3}\n"
                   " stmia r0, {r4-r7}\n"
                   " pop {r4-r11, pc}\n");
}
#else
static void add_window(int32_t *sums, const int8_t *x, const int8_t *w, const int32_t *job)
{
    for (int32_t line = job[0]; line > 0; line--, x += job[4]) {
        for (int32_t tap = job[3]; tap > 0; tap--, x += job[2], w += job[1]) {
            for (int32_t i = 0; i < LANES; i++) {
                sums[i] += x[i] * w[i];
            }
        }
    }
}
#endif

/* One channel of one window. */
static int32_t sum_of_one(const int8_t *x, const int8_t *w, const int32_t *job, int32_t acc)
{
    for (int32_t line = job[0]; line > 0; line--, x += job[4]) {
        for (int32_t tap = job[3]; tap > 0; tap--, x += job[2], w += job[1]) {
            acc += *x * *w;
        }
    }
    return acc;
}

/* All channels of one output pixel. */
static void run_pixel(const mcuq_depthwise_valid_params *p, const int32_t *job, const int8_t *x,
                      int8_t *out)
{
    int32_t c = 0;
    for (; c + LANES <= p->channels; c += LANES) {
        int32_t sums[LANES] = {p->bias[c], p->bias[c + 1], p->bias[c + 2], p->bias[c + 3]};
        add_window(sums, x + c, p->weights + c, job);
        for (int32_t i = 0; i < LANES; i++) {
            out[c + i] = mcuq_requant(sums[i], p->shift[c + i], p->out_min, p->out_max);
        }
    }
    for (; c < p->channels; c++) {
        const int32_t sum = sum_of_one(x + c, p->weights + c, job, p->bias[c]);
        out[c] = mcuq_requant(sum, p->shift[c], p->out_min, p->out_max);
    }
}

void mcuq_depthwise_conv2d_s8_dsp_valid(const mcuq_depthwise_valid_params *p, const int8_t *in,
                                        int8_t *out)
{
    const int32_t job[] = {p->lines, p->channels, p->tap_pitch, p->taps,
                           p->line_pitch - p->taps * p->tap_pitch};
    for (int32_t y = 0; y < p->out_h; y++, in += p->row_pitch) {
        const int8_t *x = in;
        for (int32_t i = 0; i < p->out_w; i++, x += p->pixel_pitch, out += p->channels) {
            run_pixel(p, job, x, out);
        }
    }
}
