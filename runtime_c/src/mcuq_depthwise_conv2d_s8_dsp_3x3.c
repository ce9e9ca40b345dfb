/* Depthwise 3x3: neighbours along the walk in one word, three lines side by side.
 *
 * Of every line four channels are brought to scratch as words of two neighbours, padding included:
 * word t = (step 2t, step 2t + 1). The words of three lines lie side by side, so that one LDM
 * loads them; new lines replace the oldest, and the taps turn with them.
 */
#include "mcuq_depthwise_conv2d_dsp.h"
#include "mcuq_dsp.h"

enum { LINES = 3, LANES = 4, TAPS = 10 };

/* One line of outputs of some channels; the assembly knows this layout.
 * x: the words of the first channel; taps: of the first channel, turned, TAPS words a channel:
 * per line (w0, w1), (w1, w2); bias_kind: per channel the bias and whether the shift is 16 or 8.
 * whole: bytes of x up to the last whole turn of the loop. rest: whether one output is left. */
typedef struct {
    const uint32_t *x;
    int8_t *out;
    const uint32_t *taps;
    const int32_t *bias_kind;
    int32_t step, whole, rest, channels;
} line_job;

#if MCUQ_DSP_ASM
/* Frame: bias, bias, then out, taps, bias_kind, step, whole, rest, channels; end of x.
 * r0 x, r1 out, r2-r7 taps, r8 step, r9-r11 words, r12 and lr accumulators. */
#define LINE_ENTER                                                                                 \
    "push {r4-r11, lr}\n sub sp, #40\n ldmia r0, {r4-r11}\n add r12, sp, #8\n"                     \
    " stmia r12, {r5-r11}\n mov r0, r4\n"
#define LINE_LEAVE                                                                                 \
    " ldr r12, [sp, #32]\n subs r12, #1\n str r12, [sp, #32]\n bne.w 1b\n"                         \
    " add sp, #40\n pop {r4-r11, pc}\n"
#define CHANNEL_ENTER                                                                              \
    "1:\n ldr r12, [sp, #12]\n ldmia r12, {r2-r7}\n add r12, #40\n str r12, [sp, #12]\n"           \
    " ldr r11, [sp, #16]\n ldrd r9, r10, [r11], #8\n str r11, [sp, #16]\n strd r9, r9, [sp]\n"     \
    " ldr r1, [sp, #8]\n add r12, r1, #1\n str r12, [sp, #8]\n"                                    \
    " ldr lr, [sp, #24]\n cmp r10, #0\n add r12, r0, lr\n ldmia r0!, {r9-r11}\n"
/* Two outputs: 19 instructions for 18 MAC. */
#define PAIR(shift)                                                                                \
    " ldrd r12, lr, [sp]\n"                                                                        \
    " smlad r12, r9, r2, r12\n smlatb lr, r9, r2, lr\n"                                            \
    " smlad r12, r10, r4, r12\n smlatb lr, r10, r4, lr\n"                                          \
    " smlad r12, r11, r6, r12\n smlatb lr, r11, r6, lr\n"                                          \
    " ldmia r0!, {r9-r11}\n"                                                                       \
    " smlabt r12, r9, r3, r12\n smlad lr, r9, r3, lr\n"                                            \
    " smlabt r12, r10, r5, r12\n smlad lr, r10, r5, lr\n"                                          \
    " smlabt r12, r11, r7, r12\n smlad lr, r11, r7, lr\n"                                          \
    " ssat r12, #8, r12, asr #" shift "\n ssat lr, #8, lr, asr #" shift "\n"                       \
    " strb r12, [r1]\n strb lr, [r1, r8]\n add r1, r1, r8, lsl #1\n"
/* One output: 10 instructions for 9 MAC. */
#define SINGLE(shift)                                                                              \
    " ldr r12, [sp]\n"                                                                             \
    " smlad r12, r9, r2, r12\n smlad r12, r10, r4, r12\n smlad r12, r11, r6, r12\n"                \
    " ldmia r0!, {r9-r11}\n"                                                                       \
    " smlabt r12, r9, r3, r12\n smlabt r12, r10, r5, r12\n smlabt r12, r11, r7, r12\n"             \
    " ssat r12, #8, r12, asr #" shift "\n strb r12, [r1]\n"
/* A channel's line, stride 1: pairs, two a turn; whole is 12 * (pairs + 1), so bit 2 is set if
 * their number is even. */
#define PAIRS(shift, middle, top, rest, done)                                                      \
    " str r12, [sp, #36]\n cmp r0, r12\n beq " rest "f\n tst lr, #4\n beq " middle "f\n" top       \
    ":\n" PAIR(shift) middle                                                                       \
        ":\n" PAIR(shift) " ldr r12, [sp, #36]\n cmp r0, r12\n bne.w " top "b\n" rest ":\n"        \
                          " ldr r12, [sp, #28]\n cmp r12, #0\n beq.w 9f\n" SINGLE(shift)

MCUQ_DSP_NAKED static void run_line_1(MCUQ_DSP_ARGUMENT const line_job *job)
{
    __asm volatile(LINE_ENTER " ldr r8, [sp, #20]\n" CHANNEL_ENTER " bne.w 8f\n" PAIRS(
        "8", "3", "2", "4", "9") " b.w 9f\n"
                                 "8:\n" PAIRS("16", "6", "5", "7", "9") "9:\n" LINE_LEAVE);
}

/* The same for stride 2: one output a word, 13 instructions for 9 MAC; lr: end of x. */
MCUQ_DSP_NAKED static void run_line_2(MCUQ_DSP_ARGUMENT const line_job *job)
{
    __asm volatile(LINE_ENTER
                   " ldr r8, [sp, #20]\n" CHANNEL_ENTER " mov lr, r12\n bne.w 8f\n"
                   "2:\n" SINGLE("8") " add r1, r8\n cmp r0, lr\n bne.w 2b\n b.w 9f\n"
                                      "8:\n" SINGLE("16") " add r1, r8\n cmp r0, lr\n bne.w 8b\n"
                                                          "9:\n" LINE_LEAVE);
}
#else
/* Lane `half` of a word: 0 is the low one. */
static int32_t lane(uint32_t word, int half)
{
    return (int16_t)((half ? word >> 16 : word) & 0xffffu);
}

static void run_line(const line_job *job, int32_t outputs, int32_t stride)
{
    const int32_t words = (stride == 1) ? (outputs + 1) / 2 + 1 : outputs + 1;
    for (int32_t c = 0; c < job->channels; c++) {
        const uint32_t *taps = job->taps + TAPS * c;
        const int shift = job->bias_kind[2 * c + 1] ? 16 : 8;
        for (int32_t i = 0; i < outputs; i++) {
            int32_t acc = job->bias_kind[2 * c];
            for (int32_t tap = 0; tap < LINES; tap++) {
                const int32_t at = i * stride + tap;
                const uint32_t *x = job->x + LINES * (c * words + at / 2);
                for (int32_t line = 0; line < LINES; line++) {
                    const int32_t w =
                        (tap < 2) ? lane(taps[2 * line], tap) : lane(taps[2 * line + 1], 1);
                    acc += lane(x[line], at & 1) * w;
                }
            }
            job->out[c + i * job->step] = mcuq_requant(acc, shift, -128, 127);
        }
    }
}

static void run_line_1(const line_job *job)
{
    run_line(job, 2 * (job->whole / 12 - 1) + job->rest, 1);
}

static void run_line_2(const line_job *job)
{
    run_line(job, job->whole / 12 - 1, 2);
}
#endif

/* The taps and biases of `count` channels, scaled to a shift of 8 or 16 each. */
static void unpack_taps(const mcuq_depthwise_conv2d_dsp_params *p, int32_t first, int32_t count,
                        uint32_t *taps, int32_t *bias_kind)
{
    const int8_t *w = p->weights + LINES * LINES * first;
    for (int32_t c = first; c < first + count; c++, taps += TAPS, bias_kind += 2) {
        const int32_t shift = p->shift[c];
        const int32_t kind = shift > 8;
        const int32_t scale = 1 << (8 + 8 * kind - shift);
        for (uint32_t *to = taps; to < taps + 2 * LINES; to += 2, w += LINES) {
            const uint32_t middle = (uint32_t)(w[1] * scale);
            to[0] = mcuq_dsp_low((uint32_t)(w[0] * scale), middle);
            to[1] = mcuq_dsp_low(middle, (uint32_t)(w[2] * scale));
        }
        memcpy(taps + 2 * LINES, taps, 16);
        bias_kind[0] = p->bias[c] * scale;
        bias_kind[1] = kind;
    }
}

/* `count` pairs of neighbours, of four channels: at a and b, a + advance and b + advance, ... */
typedef struct {
    int32_t advance;
    const int8_t *a, *b;
    int32_t count;
} run;

enum { RUNS = 5 };

/* The words of the runs up to one with count 0: the channels are `lane` bytes apart, the words of
 * a channel 12. 18 instructions for 8 inputs, 6 where all are the same. Registers: 6 data, 4 pointers, 3 pitches, 1 count. */
#if MCUQ_DSP_ASM
#define PACK                                                                                       \
    " ldr r4, [r10]\n ldr r5, [r11]\n"                                                             \
    " sxtb16 r6, r4\n sxtb16 r7, r5\n sxtb16 r8, r4, ror #8\n sxtb16 r9, r5, ror #8\n"             \
    " pkhbt r4, r6, r7, lsl #16\n pkhbt r5, r8, r9, lsl #16\n"                                     \
    " pkhtb r6, r7, r6, asr #16\n pkhtb r7, r9, r8, asr #16\n"
#define PUT " str r5, [r0, r3]\n str r6, [r0, r3, lsl #1]\n str r7, [r0, lr]\n str r4, [r0], #12\n"
MCUQ_DSP_NAKED static void put_runs(MCUQ_DSP_ARGUMENT uint32_t *to,
                                    MCUQ_DSP_ARGUMENT const run *runs,
                                    MCUQ_DSP_ARGUMENT int32_t unused,
                                    MCUQ_DSP_ARGUMENT int32_t lane)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " add lr, r3, r3, lsl #1\n"
                   " b 3f\n"
                   "1:\n" PACK " add r10, r2\n"
                   " add r11, r2\n" PUT " subs r12, #1\n"
                   " bne 1b\n"
                   " b 3f\n"
                   "2:\n" PACK "4:\n" PUT " subs r12, #1\n"
                   " bne 4b\n"
                   "3:\n"
                   " ldmia r1!, {r2, r10-r12}\n"
                   " cmp r12, #0\n"
                   " beq 5f\n"
                   " cmp r2, #0\n"
                   " bne 1b\n"
                   " b 2b\n"
                   "5:\n"
                   " pop {r4-r11, pc}\n");
}
#else
static void put_runs(uint32_t *to, const run *runs, int32_t unused, int32_t lane)
{
    const int32_t pitch = lane / 4;
    (void)unused;
    for (; runs->count > 0; runs++) {
        for (int32_t i = 0; i < runs->count; i++, to += LINES) {
            const uint32_t a = mcuq_dsp_load4(runs->a + i * runs->advance);
            const uint32_t b = mcuq_dsp_load4(runs->b + i * runs->advance);
            to[0] = mcuq_dsp_low(mcuq_dsp_even(a), mcuq_dsp_even(b));
            to[pitch] = mcuq_dsp_low(mcuq_dsp_odd(a), mcuq_dsp_odd(b));
            to[2 * pitch] = mcuq_dsp_high(mcuq_dsp_even(a), mcuq_dsp_even(b));
            to[3 * pitch] = mcuq_dsp_high(mcuq_dsp_odd(a), mcuq_dsp_odd(b));
        }
    }
}
#endif

/* How a line is brought to scratch. The counts of pairs: padding on both sides (before), padding
 * and the first step (first), inside (pairs), the last step and padding (last), padding (after). */
typedef struct {
    const int8_t *in;
    int8_t *copy; /* of a line of fewer than four channels, four bytes a step; or NULL */
    const int8_t *pad;
    int32_t pitch, words;
    int32_t before, first, pairs, last, after;
} source;

/* The pairs of `words` words that begin `pad_steps` before a line of `steps`. */
static void split_line(source *from, int32_t pad_steps, int32_t steps)
{
    int32_t left = from->words;
    from->before = (pad_steps >> 1 < left) ? pad_steps >> 1 : left;
    left -= from->before;
    from->first = ((pad_steps & 1) && left > 0) ? 1 : 0;
    left -= from->first;
    steps -= from->first;
    from->pairs = (steps >> 1 < left) ? steps >> 1 : left;
    left -= from->pairs;
    from->last = ((steps & 1) && left > 0) ? 1 : 0;
    from->after = left - from->last;
}

/* The steps of a line of fewer than four channels, four bytes each. */
static const int8_t *spread(const mcuq_depthwise_conv2d_dsp_params *p, int8_t *to, const int8_t *in)
{
    for (int32_t step = 0; step < p->in_steps; step++) {
        for (int32_t i = 0; i < p->channels; i++) {
            to[4 * step + i] = in[step * p->in_step_pitch + i];
        }
    }
    return to;
}

static run *add_run(run *at, const int8_t *a, const int8_t *b, int32_t advance, int32_t count)
{
    at->advance = advance;
    at->a = a;
    at->b = b;
    at->count = count;
    return at + (count > 0);
}

/* Line `line` at `to`, the place of one of three lines. */
static void fill_line(const mcuq_depthwise_conv2d_dsp_params *p, const source *from, int32_t line,
                      uint32_t *to)
{
    const int8_t *pad = from->pad;
    run runs[RUNS + 1];
    run *end = runs;
    if (line < 0 || line >= p->in_lines) {
        end = add_run(end, pad, pad, 0, from->words);
    } else {
        const int32_t pitch = from->pitch;
        const int8_t *in = from->in + line * p->in_line_pitch;
        const int8_t *at = (from->copy != NULL) ? spread(p, from->copy, in) : in;
        end = add_run(end, pad, pad, 0, from->before);
        end = add_run(end, pad, at, 0, from->first);
        at += from->first * pitch;
        end = add_run(end, at, at + pitch, 2 * pitch, from->pairs);
        end = add_run(end, at + 2 * pitch * from->pairs, pad, 0, from->last);
        end = add_run(end, pad, pad, 0, from->after);
    }
    end->count = 0;
    put_runs(to, runs, 0, 4 * LINES * from->words);
}

/* All lines of the channels of `job`; out: of the first of them. */
static void run_channels(const mcuq_depthwise_conv2d_dsp_params *p, const source *from,
                         line_job *job, int8_t *out, uint32_t *x)
{
    const uint32_t *taps = job->taps;
    int32_t next = 0;
    int32_t slot = 0;
    int32_t turn = 0;
    for (int32_t line = 0; line < p->out_lines; line++, out += p->out_line_pitch) {
        const int32_t first = line * p->stride_lines;
        for (; next < first + LINES; next++) {
            if (next >= first) {
                fill_line(p, from, next - p->pad_lines, x + slot);
            }
            slot = (slot == LINES - 1) ? 0 : slot + 1;
        }
        job->out = out;
        job->taps = taps + 2 * turn;
        if (p->stride_steps == 1) {
            run_line_1(job);
        } else {
            run_line_2(job);
        }
        turn = (turn + 2 * p->stride_lines) % LINES;
    }
}

void mcuq_depthwise_conv2d_s8_dsp_3x3(const mcuq_depthwise_conv2d_dsp_params *p, const int8_t *in,
                                      int8_t *out, void *scratch)
{
    uint32_t *taps = scratch;
    int32_t *bias_kind = (int32_t *)(void *)(taps + LANES * TAPS);
    uint32_t *x = (uint32_t *)(void *)(bias_kind + 2 * LANES);
    const uint32_t pad = 0x01010101u * (uint8_t)p->pad_value;
    const int32_t pairs = (p->stride_steps == 1) ? p->out_steps >> 1 : p->out_steps;
    const int32_t rest = (p->stride_steps == 1) ? p->out_steps & 1 : 0;
    source from = {in, NULL, (const int8_t *)&pad, p->in_step_pitch, pairs + rest + 1, 0, 0, 0,
                   0,  0};
    line_job job = {x, NULL, taps, bias_kind, p->out_step_pitch, 12 * (pairs + 1), rest, LANES};
    split_line(&from, p->pad_steps, p->in_steps);
    if (p->channels < LANES) {
        from.copy = (int8_t *)(void *)(x + LANES * LINES * from.words);
        from.pitch = LANES;
    }
    for (int32_t c = 0; c < p->channels; c += LANES) {
        const int32_t count = (p->channels - c < LANES) ? p->channels - c : LANES;
        const int32_t skip = (c > 0) ? LANES - count : 0;
        from.in = in + c - skip;
        job.x = x + skip * LINES * from.words;
        job.taps = taps;
        job.channels = count;
        unpack_taps(p, c, count, taps, bias_kind);
        run_channels(p, &from, &job, out + c, x);
    }
    mcuq_dsp_clamp(out, p->out_lines * p->out_steps * p->channels, p->out_min, p->out_max);
}
