/* Depthwise with any kernel: neighbours along the walk in one word, two products per SMLAD.
 *
 * Of every line, four channels are brought to scratch as words of two neighbours, word t = (step
 * 2t, step 2t + 1). Outputs at even steps use taps (w0, w1), (w2, w3), ..., those at odd steps
 * (0, w0), (w1, w2), ... New lines replace the oldest, and the taps turn with them.
 */
#define MCUQ_DSP_LINES 1
#define MCUQ_DSP_WORD_PITCH "4"
#include "mcuq_dsp_lines_body.h"

enum { LANES = MCUQ_DSP_LANES };

/* One line of outputs of one channel; the assembly knows this layout. x: the words of the kernel's
 * lines. taps: per line `quads` times four words: even and odd taps of a word, of the next one.
 * skip: bytes from the end of the words read of a line to the next line. out: LANES bytes a step.
 */
typedef struct {
    const uint32_t *x;
    const uint32_t *taps;
    int32_t bias, lines, quads, skip, shift;
    int8_t *out;
    int32_t blocks;
} line_job;

/* `blocks` blocks of 4 outputs, stride 1. 13 instructions for 4 outputs x 4 taps of a line, 6 more
 * a line, 29 more a block. Registers: 4 sums, 2 words, 4 taps, 2 pointers, 2 counts: all 14. */
#if MCUQ_DSP_ASM
MCUQ_NAKED static void run_blocks(MCUQ_NAKED_ARGUMENT const line_job *job)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " sub sp, #36\n"
                   " ldmia r0, {r0-r6, r8, r9}\n"
                   " stmia sp, {r0-r6, r8, r9}\n"
                   "1:\n"
                   " ldmia sp, {r0-r3}\n"
                   " mov lr, r3\n"
                   " mov r3, r2\n"
                   " mov r4, r2\n"
                   " mov r5, r2\n"
                   "2:\n"
                   " ldr r12, [sp, #16]\n"
                   " ldr r6, [r0], #4\n"
                   "3:\n"
                   " ldmia r1!, {r8-r11}\n"
                   " ldr r7, [r0], #4\n"
                   " smlad r2, r6, r8, r2\n"
                   " smlad r3, r6, r9, r3\n"
                   " smlad r4, r7, r8, r4\n"
                   " smlad r5, r7, r9, r5\n"
                   " ldr r6, [r0], #4\n"
                   " smlad r2, r7, r10, r2\n"
                   " smlad r3, r7, r11, r3\n"
                   " smlad r4, r6, r10, r4\n"
                   " smlad r5, r6, r11, r5\n"
                   " subs r12, #1\n"
                   " bne 3b\n"
                   " ldr r12, [sp, #20]\n"
                   " subs lr, #1\n"
                   " add r0, r12\n"
                   " bne 2b\n"
                   " ldr r12, [sp, #24]\n"
                   " ldr r1, [sp, #28]\n"
                   " asrs r2, r12\n"
                   " asrs r3, r12\n"
                   " asrs r4, r12\n"
                   " asrs r5, r12\n"
                   " ssat r2, #8, r2\n"
                   " ssat r3, #8, r3\n"
                   " ssat r4, #8, r4\n"
                   " ssat r5, #8, r5\n"
                   " strb r2, [r1], #4\n"
                   " strb r3, [r1], #4\n"
                   " strb r4, [r1], #4\n"
                   " strb r5, [r1], #4\n"
                   " str r1, [sp, #28]\n"
                   " ldr r0, [sp]\n"
                   " ldr r12, [sp, #32]\n"
                   " add r0, #8\n"
                   " subs r12, #1\n"
                   " str r0, [sp]\n"
                   " str r12, [sp, #32]\n"
                   " bne 1b\n"
                   " add sp, #36\n"
                   " pop {r4-r11, pc}\n");
}
#endif

/* acc + the products of 4 * quads steps with every second tap word. 6 instructions for 4 taps. */
static inline int32_t sum_line(const uint32_t *x, const uint32_t *taps, int32_t quads, int32_t acc)
{
#if MCUQ_DSP_ASM
    __asm volatile("1:\n"
                   " ldmia %[x]!, {r4, r5}\n"
                   " ldmia %[taps]!, {r6, r8-r10}\n"
                   " smlad %[acc], r4, r6, %[acc]\n"
                   " smlad %[acc], r5, r9, %[acc]\n"
                   " subs %[quads], #1\n"
                   " bne 1b\n"
                   : [x] "+&r"(x), [taps] "+&r"(taps), [acc] "+&r"(acc), [quads] "+&r"(quads)
                   :
                   : "r4", "r5", "r6", "r8", "r9", "r10", "cc", "memory");
#else
    for (int32_t i = 0; i < 2 * quads; i++) {
        acc = mcuq_dsp_smlad(x[i], taps[2 * i], acc);
    }
#endif
    return acc;
}

/* The same for any stride, one output at a time. */
static void run_singles(const line_job *job, int32_t outputs, int32_t stride)
{
    int8_t *out = job->out;
    for (int32_t at = 0; outputs > 0; outputs--, at += stride, out += LANES) {
        const uint32_t *x = job->x + (at >> 1);
        const uint32_t *taps = job->taps + (at & 1);
        int32_t acc = job->bias;
        for (int32_t line = job->lines; line > 0; line--) {
            acc = sum_line(x, taps, job->quads, acc);
            taps += 4 * job->quads;
            x += 2 * job->quads + 1 + job->skip / 4;
        }
        *out = mcuq_requant(acc, job->shift, -128, 127);
    }
}

/* What all lines of all channels share. taps: of LANES channels, for every line of the kernel
 * line_taps words, and once more for all lines but the last, so that they can turn. */
typedef struct {
    uint32_t *taps;
    uint32_t *x;
    int8_t *bytes;
    int32_t channel_taps, line_taps, blocks;
    line_job job;
} plan;

/* The taps of one line, in words. Reads up to 3 bytes behind them. */
static void unpack_line(const int8_t *w, int32_t steps, uint32_t *to, const uint32_t *end)
{
    uint32_t before = 0;
    for (; to != end; to += 4, w += 4, steps -= 4) {
        uint32_t word = 0;
        if (steps > 0) {
            word = mcuq_dsp_load4(w);
            if (steps < 4) {
                word &= (1u << 8 * steps) - 1u;
            }
        }
        const uint32_t even = mcuq_dsp_even(word);
        const uint32_t odd = mcuq_dsp_odd(word);
        to[0] = mcuq_dsp_low(even, odd);
        to[1] = mcuq_dsp_low(before, even);
        to[2] = mcuq_dsp_high(even, odd);
        to[3] = (odd & 0xffffu) | (even & 0xffff0000u);
        before = odd >> 16;
    }
}

static void unpack(const mcuq_depthwise_lines_params *p, const plan *all, int32_t c, int32_t count,
                   int32_t skip)
{
    const int32_t lines = p->kernel_lines;
    const int8_t *w = p->weights + c * lines * p->kernel_steps;
    uint32_t *to = all->taps + skip * all->channel_taps;
    for (; count > 0; count--, to += all->channel_taps) {
        uint32_t *at = to;
        for (int32_t line = 0; line < lines; line++, w += p->kernel_steps, at += all->line_taps) {
            unpack_line(w, p->kernel_steps, at, at + all->line_taps);
        }
        memcpy(at, to, 4 * (size_t)((lines - 1) * all->line_taps));
    }
}

/* One line of outputs of `count` channels; `slot`: where the oldest line is. */
static void run_line(const mcuq_depthwise_lines_params *p, const mcuq_dsp_filler *f,
                     const plan *all, int32_t slot, int32_t c, int32_t count, int32_t skip)
{
    line_job job = all->job;
    const int32_t turned = (slot > 0) ? (p->kernel_lines - slot) * all->line_taps : 0;
    job.x += skip * (f->lane / 4);
    job.taps += skip * all->channel_taps + turned;
    job.out += skip;
    for (; count > 0; count--, c++) {
        job.bias = p->bias[c];
        job.shift = p->shift[c];
#if MCUQ_DSP_ASM
        if (p->stride_steps == 1) {
            run_blocks(&job);
        } else
#endif
        {
            run_singles(&job, p->out_steps, p->stride_steps);
        }
        job.x += f->lane / 4;
        job.taps += all->channel_taps;
        job.out++;
    }
}

/* All lines of `count` channels, lanes skip .. of those at in; out: of the first of them. */
static void run_channels(const mcuq_depthwise_lines_params *p, const mcuq_dsp_filler *f,
                         const plan *all, const int8_t *in, int8_t *out, int32_t c, int32_t count)
{
    const int32_t skip = (c > 0) ? LANES - count : 0;
    int32_t next = -p->pad_lines;
    int32_t end_line = p->kernel_lines - p->pad_lines;
    int32_t slot = 0;
    unpack(p, all, c, count, skip);
    for (int32_t line = p->out_lines; line > 0; line--) {
        for (; next < end_line; next++) {
            mcuq_dsp_fill_line(p, in + c - skip, f, next, all->x + slot * f->words);
            slot = (slot == p->kernel_lines - 1) ? 0 : slot + 1;
        }
        end_line += p->stride_lines;
        run_line(p, f, all, slot, c, count, skip);
        mcuq_dsp_store_line(out + c, all->bytes, p->out_steps, p->out_step_pitch, skip, count);
        out += p->out_line_pitch;
    }
}

void mcuq_depthwise_conv2d_s8_dsp(const mcuq_depthwise_lines_params *p, const int8_t *in,
                                  int8_t *out, void *scratch)
{
    const int32_t lines = p->kernel_lines;
    const int32_t quads = (p->kernel_steps + 5) >> 2;
    const int32_t blocks = (p->out_steps + 3) >> 2;
    const int32_t first =
        (p->stride_steps == 1) ? 2 * blocks - 2 : ((p->out_steps - 1) * p->stride_steps) >> 1;
    const int32_t words = first + 2 * quads + 1;
    mcuq_dsp_filler f = mcuq_dsp_make_filler(p, words, 4 * lines * words);
    plan all = {scratch, NULL, NULL, 4 * quads * (2 * lines - 1), 4 * quads, blocks, {0}};
    all.x = all.taps + LANES * all.channel_taps;
    all.bytes = (int8_t *)(void *)(all.x + LANES * lines * words);
    all.job = (line_job){all.x, all.taps,  0,     lines, quads, 4 * (words - 2 * quads - 1),
                         0,     all.bytes, blocks};
    if (p->channels < LANES) {
        f.copy = all.bytes + 4 * LANES * blocks;
        f.pitch = LANES;
    }
    for (int32_t i = 0; i < LANES * lines; i++) {
        for (int32_t t = 0; t < words; t++) {
            all.x[i * words + t] = mcuq_dsp_even(f.pad);
        }
    }
    for (int32_t c = 0; c < p->channels; c += LANES) {
        const int32_t count = (p->channels - c < LANES) ? p->channels - c : LANES;
        run_channels(p, &f, &all, in, out, c, count);
    }
    mcuq_dsp_clamp(out, p->out_lines * p->out_steps * p->channels, p->out_min, p->out_max);
}
