/* Depthwise 3x3: neighbours along the walk in one word, the words of three lines side by side.
 *
 * Of every line, four channels are brought to scratch as words of two neighbours, padding
 * included: word t = (step 2t, step 2t + 1), as int16. New lines replace the oldest, and the taps
 * turn with them. One LDM loads a word of each of the three lines.
 */
#define MCUQ_DSP_LINES 3
#define MCUQ_DSP_WORD_PITCH "12"
#include "mcuq_dsp_lines.h"

enum { LINES = MCUQ_DSP_LINES, LANES = MCUQ_DSP_LANES, RECORD = 8, TURNS = 3 };

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

/* All lines of `count` channels, lanes skip .. of those at in; out: of the first of them. */
static void run_channels(const mcuq_depthwise_lines_params *p, const mcuq_dsp_filler *f,
                         const int8_t *in, line_job *job, int8_t *out, uint32_t *x, int32_t skip,
                         int32_t count)
{
    const int8_t *bytes = job->out - skip;
    const uint32_t *records = job->records;
    const uint32_t *end = job->records_end;
    int32_t next = -p->pad_lines;
    int32_t end_line = LINES - p->pad_lines;
    int32_t slot = 0;
    for (int32_t line = p->out_lines; line > 0; line--) {
        for (; next < end_line; next++) {
            mcuq_dsp_fill_line(p, in, f, next, x + slot);
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
        mcuq_dsp_store_line(out, bytes, p->out_steps, p->out_step_pitch, skip, count);
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
    mcuq_dsp_filler f = mcuq_dsp_make_filler(p, units + 1, 4 * LINES * (units + 1));
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
