/* mcuq_dsp_lines_body.h: lines of four channels as words of two neighbours, for depthwise
 * kernels.
 *
 * Word t of a channel is (step 2t, step 2t + 1) of a line as int16, padding included. The words
 * of MCUQ_DSP_LINES lines lie side by side.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_DSP_LINES: how many lines lie side by side
 *     MCUQ_DSP_WORD_PITCH: the bytes from a word to the next of its line, as a string
 */
#ifndef MCUQ_DSP_LINES_BODY_H
#define MCUQ_DSP_LINES_BODY_H

#include "mcuq_depthwise_lines_dsp.h"
#include "mcuq_dsp.h"

enum { MCUQ_DSP_LANES = 4 };

/* How a line is brought to scratch; the assembly knows this layout. first: whether the first word
 * is padding and a step; last: whether the last is a step and padding. lane: bytes from a channel
 * to the next. copy: where lines of fewer than MCUQ_DSP_LANES channels are spread to MCUQ_DSP_LANES
 * bytes a step, or NULL. */
typedef struct {
    int32_t pairs;
    uint32_t pad;
    int32_t last, lane, first;
    int32_t before, words, pitch;
    int8_t *copy;
} mcuq_dsp_filler;

/* Words of two neighbours of four channels, from the steps at `from` on.
 * 14 instructions for 8 inputs. Registers: 4 data, 5 pointers, 2 pitches, count, pad, flag. */
#if MCUQ_DSP_ASM
#define MCUQ_DSP_PUT                                                                               \
    " pkhbt r6, r4, r5, lsl #16\n pkhtb r7, r5, r4, asr #16\n"                                     \
    " sxtb16 r4, r6\n sxtb16 r5, r6, ror #8\n sxtb16 r6, r7\n sxtb16 r7, r7, ror #8\n"             \
    " str r4, [r0], #" MCUQ_DSP_WORD_PITCH "\n str r5, [r10], #" MCUQ_DSP_WORD_PITCH               \
    "\n str r6, [r11], #" MCUQ_DSP_WORD_PITCH "\n str r7, [r12], #" MCUQ_DSP_WORD_PITCH "\n"
#define MCUQ_DSP_LOAD " ldr r4, [r1]\n ldr r5, [r1, r2]\n add.w r1, r1, r2, lsl #1\n"
MCUQ_NAKED static void mcuq_dsp_put_words(MCUQ_NAKED_ARGUMENT uint32_t *to,
                                          MCUQ_NAKED_ARGUMENT const int8_t *from,
                                          MCUQ_NAKED_ARGUMENT int32_t pitch,
                                          MCUQ_NAKED_ARGUMENT const mcuq_dsp_filler *job)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " ldmia r3, {r3, r8-r10, lr}\n"
                   " add r11, r0, r10, lsl #1\n"
                   " add r12, r11, r10\n"
                   " add r10, r0\n"
                   " cmp lr, #0\n"
                   " beq 1f\n"
                   " mov r4, r8\n"
                   " ldr r5, [r1]\n"
                   " add r1, r2\n" MCUQ_DSP_PUT "1:\n"
                   " lsrs r3, r3, #1\n"
                   " bcc 2f\n" MCUQ_DSP_LOAD MCUQ_DSP_PUT "2:\n"
                   " beq 4f\n"
                   "3:\n" MCUQ_DSP_LOAD MCUQ_DSP_PUT MCUQ_DSP_LOAD MCUQ_DSP_PUT " subs r3, #1\n"
                   " bne 3b\n"
                   "4:\n"
                   " cmp r9, #0\n"
                   " beq 5f\n"
                   " ldr r4, [r1]\n"
                   " mov r5, r8\n" MCUQ_DSP_PUT "5:\n"
                   " pop {r4-r11, pc}\n");
}
#else
static void mcuq_dsp_put_words(uint32_t *to, const int8_t *from, int32_t pitch,
                               const mcuq_dsp_filler *job)
{
    const int32_t lane = job->lane / 4;
    for (int32_t i = -job->first; i < job->pairs + job->last; i++, to += MCUQ_DSP_LINES) {
        const uint32_t a = (i < 0) ? job->pad : mcuq_dsp_load4(from);
        const int8_t *next = (i < 0) ? from : from + pitch;
        const uint32_t b = (i == job->pairs) ? job->pad : mcuq_dsp_load4(next);
        const uint32_t low = mcuq_dsp_low(a, b);
        const uint32_t high = mcuq_dsp_high(a, b);
        to[0] = mcuq_dsp_even(low);
        to[lane] = mcuq_dsp_odd(low);
        to[2 * lane] = mcuq_dsp_even(high);
        to[3 * lane] = mcuq_dsp_odd(high);
        from = next + pitch;
    }
}
#endif

/* For `words` words of a line that begins with `pad_steps` of padding before `steps` steps. */
static inline mcuq_dsp_filler mcuq_dsp_make_filler(const mcuq_depthwise_lines_params *p,
                                                   int32_t words, int32_t lane)
{
    mcuq_dsp_filler f = {
        0, 0x01010101u * (uint8_t)p->pad_value, 0, lane, 0, 0, words, p->in_step_pitch, NULL};
    int32_t left = words;
    int32_t steps = p->in_steps;
    f.before = (p->pad_steps >> 1 < left) ? p->pad_steps >> 1 : left;
    left -= f.before;
    f.first = (p->pad_steps & 1) && left > 0;
    left -= f.first;
    steps -= f.first;
    f.pairs = (steps >> 1 < left) ? steps >> 1 : left;
    left -= f.pairs;
    f.last = (steps & 1) && left > 0;
    return f;
}

static inline void mcuq_dsp_fill_padding(uint32_t *to, const mcuq_dsp_filler *f, uint32_t word)
{
    const int32_t lane = f->lane / 4;
    for (int32_t i = f->words; i > 0; i--, to += MCUQ_DSP_LINES) {
        to[0] = word;
        to[lane] = word;
        to[2 * lane] = word;
        to[3 * lane] = word;
    }
}

/* The steps of a line of fewer than MCUQ_DSP_LANES channels, MCUQ_DSP_LANES bytes each. */
static inline const int8_t *mcuq_dsp_spread(const mcuq_depthwise_lines_params *p, int8_t *to,
                                            const int8_t *in)
{
    for (int32_t step = 0; step < p->in_steps; step++, in += p->in_step_pitch) {
        for (int32_t i = 0; i < p->channels; i++) {
            to[MCUQ_DSP_LANES * step + i] = in[i];
        }
    }
    return to;
}

/* The words of line `line` at `to`, the place of its first one. */
static inline void mcuq_dsp_fill_line(const mcuq_depthwise_lines_params *p, const int8_t *in,
                                      const mcuq_dsp_filler *f, int32_t line, uint32_t *to)
{
    if (line < 0 || line >= p->in_lines) {
        mcuq_dsp_fill_padding(to, f, mcuq_dsp_even(f->pad));
    } else {
        const int8_t *from = in + line * p->in_line_pitch;
        if (f->copy != NULL) {
            from = mcuq_dsp_spread(p, f->copy, from);
        }
        mcuq_dsp_put_words(to + MCUQ_DSP_LINES * f->before, from, f->pitch, f);
    }
}

/* Lanes skip .. skip + count - 1 of `steps` words to out. 2.25 instructions a word for all four. */
static inline void mcuq_dsp_store_line(int8_t *out, const int8_t *from, int32_t steps,
                                       int32_t pitch, int32_t skip, int32_t count)
{
    if (count == MCUQ_DSP_LANES) {
#if MCUQ_DSP_ASM
        for (; steps >= 4; steps -= 4) {
            __asm volatile("ldmia %[from]!, {r4, r5, r6, r8}\n"
                           " str r4, [%[out]]\n str r5, [%[out], %[pitch]]\n"
                           " add %[out], %[out], %[pitch], lsl #1\n"
                           " str r6, [%[out]]\n str r8, [%[out], %[pitch]]\n"
                           " add %[out], %[out], %[pitch], lsl #1\n"
                           : [out] "+&r"(out), [from] "+&r"(from)
                           : [pitch] "r"(pitch)
                           : "r4", "r5", "r6", "r8", "memory");
        }
#endif
        for (; steps > 0; steps--, from += MCUQ_DSP_LANES, out += pitch) {
            memcpy(out, from, MCUQ_DSP_LANES);
        }
        return;
    }
    for (from += skip; steps > 0; steps--, from += MCUQ_DSP_LANES, out += pitch) {
        for (int32_t i = 0; i < count; i++) {
            out[i] = from[i];
        }
    }
}

#endif
