/* Depthwise 3x3: neighbours along the walk in one word, the words of three lines side by side.
 *
 * Of every line, four channels are brought to scratch as words of two neighbours, padding
 * included: word t = (step 2t, step 2t + 1), as int16. New lines replace the oldest, and the taps
 * turn with them. One LDM loads a word of each of the three lines.
 */
#include "mcuq_depthwise_lines_dsp.h"
#include "mcuq_dsp.h"

enum { LINES = 3, LANES = 4, RECORD = 8, TURNS = 3 };

/* One line of outputs of some channels; the assembly knows this layout.
 * x: [channel][word][line]. out: [step][LANES], at the first channel. records: of each channel, in
 * the order of the lines in x, the taps (w0, w1), (w1, w2); bias; its kind. back: bytes from the
 * end of a channel in out to the start of the next. first: bytes of code of the first turn. */
typedef struct {
    const uint32_t *x;
    int8_t *out;
    const uint32_t *records_end;
    const int8_t *out_end;
    int32_t back, first;
    const uint32_t *records;
    int32_t fast; /* whether the assembly knows the kinds of all channels */
} line_job;

/* A kind is the shift of a channel + 8: the place in the frame of the code for shifts 8 and 16. */
enum { KIND = 8, KIND_16 = 24 };
enum { TURN_PAIRS = 6, PAIR_BYTES = 68, TURN_SINGLES = 8, SINGLE_BYTES = 36 };

#if MCUQ_DSP_ASM
/* Frame: records, records_end, out_end, back, code for shift 8, nothing, code for shift 16.
 * r0 x, r1 out, r2-r7 taps, r8 bias, r9-r11 words, r12 and lr accumulators: all 14 registers. */
#define LINE_CODE(turn)                                                                            \
    "push {r4-r11, lr}\n sub sp, #28\n ldmia r0, {r0, r1, r4-r7, r12}\n"                           \
    " adr.w r8, 3f\n sub r8, r7\n orr r8, #1\n adr.w r9, 5f\n sub r9, r7\n orr r9, #1\n"           \
    " add r2, sp, #4\n stmia r2, {r4-r6, r8, r9}\n str r9, [sp, #24]\n"                            \
    "1:\n ldmia r12!, {r2-r8, lr}\n str r12, [sp]\n ldmia r0!, {r9-r11}\n ldr pc, [sp, lr]\n"      \
    ".balign 4\n"                                                                                  \
    "2:\n" turn("8") ".balign 4\n3:\n ldr r12, [sp, #8]\n cmp r1, r12\n bcc.w 2b\n b.w 6f\n"       \
                     ".balign 4\n"                                                                 \
                     "4:\n" turn(                                                                  \
                         "16") ".balign 4\n5:\n ldr r12, [sp, #8]\n cmp r1, r12\n bcc.w 4b\n"      \
                               "6:\n ldr r12, [sp, #12]\n add r1, r12\n ldrd r12, lr, [sp]\n cmp " \
                               "r12, lr\n bne.w 1b\n"                                              \
                               " add sp, #28\n pop {r4-r11, pc}\n"
/* Two outputs, stride 1: 17 instructions for 18 MAC. */
#define PAIR(shift)                                                                                \
    " smlad r12, r9, r2, r8\n smlatb lr, r9, r2, r8\n"                                             \
    " smlad r12, r10, r4, r12\n smlatb lr, r10, r4, lr\n"                                          \
    " smlad r12, r11, r6, r12\n smlatb lr, r11, r6, lr\n"                                          \
    " ldmia r0!, {r9-r11}\n"                                                                       \
    " smlabt r12, r9, r3, r12\n smlad lr, r9, r3, lr\n"                                            \
    " smlabt r12, r10, r5, r12\n smlad lr, r10, r5, lr\n"                                          \
    " smlabt r12, r11, r7, r12\n smlad lr, r11, r7, lr\n"                                          \
    " ssat r12, #8, r12, asr #" shift "\n ssat lr, #8, lr, asr #" shift "\n"                       \
    " strb r12, [r1], #4\n strb lr, [r1], #4\n"
/* One output, stride 2: 9 instructions for 9 MAC. */
#define SINGLE(shift)                                                                              \
    " smlad r12, r9, r2, r8\n smlad r12, r10, r4, r12\n smlad r12, r11, r6, r12\n"                 \
    " ldmia r0!, {r9-r11}\n"                                                                       \
    " smlabt r12, r9, r3, r12\n smlabt r12, r10, r5, r12\n smlabt r12, r11, r7, r12\n"             \
    " ssat r12, #8, r12, asr #" shift "\n strb r12, [r1], #4\n"
#define PAIRS(s) PAIR(s) PAIR(s) PAIR(s) PAIR(s) PAIR(s) PAIR(s)
#define SINGLES(s) SINGLE(s) SINGLE(s) SINGLE(s) SINGLE(s) SINGLE(s) SINGLE(s) SINGLE(s) SINGLE(s)

MCUQ_DSP_NAKED static void run_line_1(MCUQ_DSP_ARGUMENT const line_job *job)
{
    __asm volatile(LINE_CODE(PAIRS));
}

MCUQ_DSP_NAKED static void run_line_2(MCUQ_DSP_ARGUMENT const line_job *job)
{
    __asm volatile(LINE_CODE(SINGLES));
}
#endif

/* Lane `half` of a word: 0 is the low one. */
static int32_t half_of(uint32_t word, int32_t half)
{
    return (int16_t)((half ? word >> 16 : word) & 0xffffu);
}

/* The same, slower, for any kind. */
static void run_line_any(const line_job *job, int32_t outputs, int32_t stride, int32_t words)
{
    const uint32_t *x = job->x;
    int8_t *out = job->out;
    for (const uint32_t *r = job->records; r != job->records_end; r += RECORD, x += LINES * words) {
        for (int32_t i = 0; i < outputs; i++) {
            int32_t acc = (int32_t)r[6];
            for (int32_t tap = 0; tap < 3; tap++) {
                const int32_t at = i * stride + tap;
                const uint32_t *word = x + LINES * (at >> 1);
                for (int32_t line = 0; line < LINES; line++) {
                    const uint32_t taps = r[2 * line + (tap > 1)];
                    acc += half_of(word[line], at & 1) * half_of(taps, tap > 0);
                }
            }
            out[LANES * i] = mcuq_requant(acc, (int)r[7] - KIND, -128, 127);
        }
        out++;
    }
}

/* The records of `count` channels for the three places that the oldest line may have (so many
 * channels apart), scaled to a shift of 8 or 16, or unscaled if theirs is above 16.
 * 51 instructions a channel. Registers: 6 taps, bias, kind, 4 pointers, scale, 1 free. */
#if MCUQ_DSP_ASM
#define TAPS(low, high)                                                                            \
    " ldrsb " low ", [r1], #1\n ldrsb lr, [r1], #1\n ldrsb " high ", [r1], #1\n"                   \
    " lsl " low ", r12\n lsl lr, r12\n lsl " high ", r12\n"                                        \
    " pkhbt " low ", " low ", lr, lsl #16\n pkhbt " high ", lr, " high ", lsl #16\n"
MCUQ_DSP_NAKED static void unpack(MCUQ_DSP_ARGUMENT uint32_t *to, MCUQ_DSP_ARGUMENT const int8_t *w,
                                  MCUQ_DSP_ARGUMENT const int32_t *bias,
                                  MCUQ_DSP_ARGUMENT const int8_t *shift,
                                  MCUQ_DSP_ARGUMENT int32_t count)
{
    __asm volatile("push {r4-r11, lr}\n"
                   "1:\n"
                   " ldrsb r12, [r3], #1\n"
                   " ldr r10, [r2], #4\n"
                   " mov r11, #8\n"
                   " cmp r12, #8\n"
                   " it gt\n"
                   " movgt r11, #16\n"
                   " cmp r12, r11\n"
                   " it gt\n"
                   " movgt r11, r12\n"
                   " sub r12, r11, r12\n"
                   " lsl r10, r12\n"
                   " add r11, #8\n" TAPS("r4", "r5") TAPS("r6", "r7")
                       TAPS("r8", "r9") " stmia r0, {r4-r11}\n"
                                        " strd r8, r9, [r0, #128]\n"
                                        " strd r4, r5, [r0, #136]\n"
                                        " strd r6, r7, [r0, #144]\n"
                                        " strd r10, r11, [r0, #152]\n"
                                        " strd r6, r7, [r0, #256]\n"
                                        " strd r8, r9, [r0, #264]\n"
                                        " strd r4, r5, [r0, #272]\n"
                                        " strd r10, r11, [r0, #280]\n"
                                        " add r0, #32\n"
                                        " ldr lr, [sp, #36]\n"
                                        " subs lr, #1\n"
                                        " str lr, [sp, #36]\n"
                                        " bne 1b\n"
                                        " pop {r4-r11, pc}\n");
}
#else
static void unpack(uint32_t *to, const int8_t *w, const int32_t *bias, const int8_t *shift,
                   int32_t count)
{
    for (int32_t c = 0; c < count; c++, to += RECORD, w += 3 * LINES) {
        const int32_t total = (shift[c] <= 8) ? 8 : (shift[c] <= 16) ? 16 : shift[c];
        const int32_t scale = 1 << (total - shift[c]);
        for (int32_t i = 0; i < TURNS * LINES; i++) {
            const int8_t *taps = w + 3 * (i / TURNS);
            uint32_t *at = to + LANES * RECORD * (i % TURNS);
            uint32_t *pair = at + 2 * ((i / TURNS + i % TURNS) % LINES);
            pair[0] = mcuq_dsp_low((uint32_t)(taps[0] * scale), (uint32_t)(taps[1] * scale));
            pair[1] = mcuq_dsp_low((uint32_t)(taps[1] * scale), (uint32_t)(taps[2] * scale));
            at[6] = (uint32_t)(bias[c] * scale);
            at[7] = (uint32_t)(total + KIND);
        }
    }
}
#endif

/* Whether no kind of `count` channels is beyond the assembly. */
static int32_t is_fast(const uint32_t *records, int32_t count)
{
    int32_t fast = MCUQ_DSP_ASM;
    for (; count > 0; count--, records += RECORD) {
        fast &= records[7] <= KIND_16;
    }
    return fast;
}

/* How a line is brought to scratch; the assembly knows this layout. first: whether the first word
 * is padding and a step; last: whether the last is a step and padding. lane: bytes of a channel.
 * copy: where lines of fewer than LANES channels are spread to LANES bytes a step, or NULL. */
typedef struct {
    int32_t pairs;
    uint32_t pad;
    int32_t last, lane, first;
    int32_t before, words, pitch;
    int8_t *copy;
} filler;

/* Words of two neighbours of four channels, from the steps at `from` on.
 * 14 instructions for 8 inputs. Registers: 4 data, 5 pointers, 2 pitches, count, pad, flag. */
#if MCUQ_DSP_ASM
#define PUT                                                                                        \
    " pkhbt r6, r4, r5, lsl #16\n pkhtb r7, r5, r4, asr #16\n"                                     \
    " sxtb16 r4, r6\n sxtb16 r5, r6, ror #8\n sxtb16 r6, r7\n sxtb16 r7, r7, ror #8\n"             \
    " str r4, [r0], #12\n str r5, [r10], #12\n str r6, [r11], #12\n str r7, [r12], #12\n"
#define LOAD " ldr r4, [r1]\n ldr r5, [r1, r2]\n add.w r1, r1, r2, lsl #1\n"
MCUQ_DSP_NAKED static void put_words(MCUQ_DSP_ARGUMENT uint32_t *to,
                                     MCUQ_DSP_ARGUMENT const int8_t *from,
                                     MCUQ_DSP_ARGUMENT int32_t pitch,
                                     MCUQ_DSP_ARGUMENT const filler *job)
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
                   " add r1, r2\n" PUT "1:\n"
                   " lsrs r3, r3, #1\n"
                   " bcc 2f\n" LOAD PUT "2:\n"
                   " beq 4f\n"
                   "3:\n" LOAD PUT LOAD PUT " subs r3, #1\n"
                   " bne 3b\n"
                   "4:\n"
                   " cmp r9, #0\n"
                   " beq 5f\n"
                   " ldr r4, [r1]\n"
                   " mov r5, r8\n" PUT "5:\n"
                   " pop {r4-r11, pc}\n");
}
#else
static void put_words(uint32_t *to, const int8_t *from, int32_t pitch, const filler *job)
{
    const int32_t lane = job->lane / 4;
    for (int32_t i = -job->first; i < job->pairs + job->last; i++, to += LINES) {
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

/* The words of a line that begins with `pad_steps` of padding before `steps` steps. */
static filler make_filler(const mcuq_depthwise_lines_params *p, int32_t words)
{
    filler f = {0,     0x01010101u * (uint8_t)p->pad_value,
                0,     4 * LINES * words,
                0,     0,
                words, p->in_step_pitch,
                NULL};
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

/* Padding in `count` * 12 words. */
static void fill_all(uint32_t *x, uint32_t word, int32_t count)
{
    for (; count > 0; count--, x += 12) {
#if MCUQ_DSP_ASM
        uint32_t *to = x;
        __asm volatile("mov r4, %[word]\n mov r5, %[word]\n mov r6, %[word]\n"
                       " stmia %[to]!, {r4-r6}\n stmia %[to]!, {r4-r6}\n"
                       " stmia %[to]!, {r4-r6}\n stmia %[to]!, {r4-r6}\n"
                       : [to] "+r"(to)
                       : [word] "r"(word)
                       : "r4", "r5", "r6", "memory");
#else
        for (int32_t i = 0; i < 12; i++) {
            x[i] = word;
        }
#endif
    }
}

static void fill_padding(uint32_t *to, const filler *f, uint32_t word)
{
    uint32_t *end = to + LINES * LANES * f->words;
    for (; to != end; to += LANES * LINES) {
        to[0] = word;
        to[LINES] = word;
        to[2 * LINES] = word;
        to[3 * LINES] = word;
    }
}

/* The steps of a line of fewer than LANES channels, LANES bytes each. */
static const int8_t *spread(const mcuq_depthwise_lines_params *p, int8_t *to, const int8_t *in)
{
    for (int32_t step = 0; step < p->in_steps; step++, in += p->in_step_pitch) {
        for (int32_t i = 0; i < p->channels; i++) {
            to[LANES * step + i] = in[i];
        }
    }
    return to;
}

/* The words of line `line` at `to`, its place among three. */
static void fill_line(const mcuq_depthwise_lines_params *p, const int8_t *in, const filler *f,
                      int32_t line, uint32_t *to)
{
    if (line < 0 || line >= p->in_lines) {
        fill_padding(to, f, mcuq_dsp_even(f->pad));
    } else {
        const int8_t *from = in + line * p->in_line_pitch;
        if (f->copy != NULL) {
            from = spread(p, f->copy, from);
        }
        put_words(to + LINES * f->before, from, f->pitch, f);
    }
}

/* Lanes skip .. skip + count - 1 of `steps` words to out. 2.25 instructions a word for all four. */
static inline void store_line(int8_t *out, const int8_t *from, int32_t steps, int32_t pitch,
                              int32_t skip, int32_t count)
{
    if (count == LANES) {
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
        for (; steps > 0; steps--, from += LANES, out += pitch) {
            memcpy(out, from, LANES);
        }
        return;
    }
    for (from += skip; steps > 0; steps--, from += LANES, out += pitch) {
        for (int32_t i = 0; i < count; i++) {
            out[i] = from[i];
        }
    }
}

/* All lines of `count` channels, lanes skip .. of those at in; out: of the first of them. */
static void run_channels(const mcuq_depthwise_lines_params *p, const filler *f, const int8_t *in,
                         line_job *job, int8_t *out, uint32_t *x, int32_t skip, int32_t count)
{
    const int8_t *bytes = job->out - skip;
    const uint32_t *records = job->records;
    const uint32_t *end = job->records_end;
    int32_t next = -p->pad_lines;
    int32_t end_line = LINES - p->pad_lines;
    int32_t slot = 0;
    for (int32_t line = p->out_lines; line > 0; line--) {
        for (; next < end_line; next++) {
            fill_line(p, in, f, next, x + slot);
            slot = (slot == LINES - 1) ? 0 : slot + 1;
        }
        end_line += p->stride_lines;
        /* The oldest line is in the slot that comes next. */
        job->records = records + slot * LANES * RECORD;
        job->records_end = end + slot * LANES * RECORD;
#if MCUQ_DSP_ASM
        if (job->fast && p->stride_steps == 1) {
            run_line_1(job);
        } else if (job->fast) {
            run_line_2(job);
        } else
#endif
        {
            run_line_any(job, p->out_steps, p->stride_steps, f->words);
        }
        store_line(out, bytes, p->out_steps, p->out_step_pitch, skip, count);
        out += p->out_line_pitch;
    }
}

void mcuq_depthwise_conv2d_3x3_s8_dsp(const mcuq_depthwise_lines_params *p, const int8_t *in,
                                      int8_t *out, void *scratch)
{
    uint32_t *records = scratch;
    uint32_t *x = records + TURNS * LANES * RECORD;
    const int32_t single = p->stride_steps - 1;
    const int32_t units = single ? p->out_steps : (p->out_steps + 1) >> 1; /* of code */
    const int32_t outputs = single ? units : 2 * units;
    const int32_t turn = single ? TURN_SINGLES : TURN_PAIRS;
    filler f = make_filler(p, units + 1);
    int8_t *bytes = (int8_t *)(void *)(x + LANES * LINES * f.words);
    if (p->channels < LANES) {
        f.copy = bytes + LANES * outputs;
        f.pitch = LANES;
    }
    fill_all(x, mcuq_dsp_even(f.pad), f.words);
    for (int32_t c = 0; c < p->channels; c += LANES) {
        const int32_t count = (p->channels - c < LANES) ? p->channels - c : LANES;
        const int32_t skip = (c > 0) ? LANES - count : 0;
        unpack(records + skip * RECORD, p->weights + LINES * 3 * c, p->bias + c, p->shift + c,
               count);
        line_job job = {x + skip * LINES * f.words,
                        bytes + skip,
                        records + (skip + count) * RECORD,
                        bytes + LANES * outputs,
                        1 - LANES * outputs,
                        ((units - 1) % turn + 1) * (single ? SINGLE_BYTES : PAIR_BYTES),
                        records + skip * RECORD,
                        is_fast(records + skip * RECORD, count)};
        run_channels(p, &f, in + c - skip, &job, out + c, x, skip, count);
    }
    mcuq_dsp_clamp(out, p->out_lines * p->out_steps * p->channels, p->out_min, p->out_max);
}
