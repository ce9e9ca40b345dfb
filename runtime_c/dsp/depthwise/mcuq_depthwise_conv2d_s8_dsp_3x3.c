/* Depthwise 3x3: neighbours along the walk in one word, the words of three lines side by side.
 *
 * Of every line, four channels are brought to scratch as words of two neighbours, padding
 * included: word t = (step 2t, step 2t + 1), as int16. New lines replace the oldest, and the taps
 * turn with them. One LDM loads a word of each of the three lines.
 */
#define MCUQ_DSP_LINES 3
#define MCUQ_DSP_WORD_PITCH "12"
#include "mcuq_dsp_3x3.h"
#include "mcuq_dsp_lines_body.h"

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
} line_job;

/* A kind is the shift of a channel + 8: the place in the frame of the code for shifts 8 and 16. */
enum { KIND = 8 };
enum { TURN_PAIRS = 7, PAIR_BYTES = 68, TURN_SINGLES = 8, SINGLE_BYTES = 36 };

#if MCUQ_DSP_ASM
/* Frame: records, records_end, out_end, back, code for shift 8, nothing, code for shift 16.
 * r0 x, r1 out, r2-r7 taps, r8 bias, r9-r11 words, r12 and lr accumulators: all 14 registers. */
#define WORDS " ldmia r0!, {r9-r11}\n"
#define ENTER                                                                                      \
    "push {r4-r11, lr}\n sub sp, #28\n ldmia r0, {r0, r1, r4-r7, r12}\n"                           \
    " adr.w r8, 5f\n sub r8, r7\n orr r8, #1\n adr.w r9, 3f\n sub r9, r7\n orr r9, #1\n"           \
    " add r2, sp, #4\n stmia r2, {r4-r6, r8, r9}\n str r9, [sp, #24]\n"                            \
    "1:\n ldmia r12!, {r2-r8, lr}\n str r12, [sp]\n" WORDS " ldr pc, [sp, lr]\n"
#define MORE " ldr r12, [sp, #8]\n cmp r1, r12\n"
#define LEAVE                                                                                      \
    " ldr r12, [sp, #12]\n add r1, r12\n ldrd r12, lr, [sp]\n cmp r12, lr\n bne.w 1b\n"            \
    " add sp, #28\n pop {r4-r11, pc}\n"
#define LINE(turn_16, turn_8, bytes)                                                               \
    ENTER ".balign 4\n2:\n" turn_16 "3:\n" MCUQ_CODE_BYTES("2", "3", bytes) MORE                   \
        " bcc.w 2b\n b.w 6f\n"                                                                     \
        ".balign 4\n4:\n" turn_8 "5:\n" MCUQ_CODE_BYTES("4", "5", bytes) MORE                      \
        " bcc.w 4b\n6:\n" LEAVE
#define PAIR(shift) MCUQ_DSP_3X3_PAIR(shift, WORDS)     /* 17 instructions for 18 MAC */
#define SINGLE(shift) MCUQ_DSP_3X3_SINGLE(shift, WORDS) /* 9 instructions for 9 MAC */
#define PAIRS(s) PAIR(s) PAIR(s) PAIR(s) PAIR(s) PAIR(s) PAIR(s) PAIR(s)
#define SINGLES(s) SINGLE(s) SINGLE(s) SINGLE(s) SINGLE(s) SINGLE(s) SINGLE(s) SINGLE(s) SINGLE(s)

MCUQ_NAKED static void run_line_1(MCUQ_NAKED_ARGUMENT const line_job *job)
{
    __asm volatile(LINE(PAIRS("16"), PAIRS("8"), "7 * 68"));
}

MCUQ_NAKED static void run_line_2(MCUQ_NAKED_ARGUMENT const line_job *job)
{
    __asm volatile(LINE(SINGLES("16"), SINGLES("8"), "8 * 36"));
}
#else
static void run_line(const line_job *job, int32_t stride)
{
    const int32_t outputs = (1 - job->back) / LANES;
    const int32_t words = (stride == 1) ? outputs / 2 + 1 : outputs + 1;
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
                    acc += mcuq_dsp_3x3_half(word[line], at & 1) * mcuq_dsp_3x3_half(taps, tap > 0);
                }
            }
            out[LANES * i] = mcuq_requant(acc, (int)r[7] - KIND, -128, 127);
        }
        out++;
    }
}

static void run_line_1(const line_job *job)
{
    run_line(job, 1);
}

static void run_line_2(const line_job *job)
{
    run_line(job, 2);
}
#endif

/* The records of `count` channels for the three places that the oldest line may have (so many
 * channels apart), scaled to a shift of 8 or 16.
 * 48 instructions a channel. Registers: 6 taps, bias, kind, 4 pointers, scale, 1 free. */
#if MCUQ_DSP_ASM
MCUQ_NAKED static void unpack(MCUQ_NAKED_ARGUMENT uint32_t *to, MCUQ_NAKED_ARGUMENT const int8_t *w,
                              MCUQ_NAKED_ARGUMENT const int32_t *bias,
                              MCUQ_NAKED_ARGUMENT const int8_t *shift,
                              MCUQ_NAKED_ARGUMENT int32_t count)
{
    __asm volatile("push {r4-r11, lr}\n"
                   "1:\n"
                   " ldrsb r12, [r3], #1\n"
                   " ldr r10, [r2], #4\n"
                   " mov r11, #8\n"
                   " cmp r12, #8\n"
                   " it gt\n"
                   " movgt r11, #16\n"
                   " sub r12, r11, r12\n"
                   " lsl r10, r12\n"
                   " add r11, #8\n" MCUQ_DSP_3X3_TAPS("r4", "r5") MCUQ_DSP_3X3_TAPS("r6", "r7")
                       MCUQ_DSP_3X3_TAPS("r8", "r9") " stmia r0, {r4-r11}\n"
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
        const int32_t total = (shift[c] <= 8) ? 8 : 16;
        const int32_t scale = 1 << (total - shift[c]);
        for (int32_t i = 0; i < TURNS * LINES; i++) {
            uint32_t *at = to + LANES * RECORD * (i % TURNS);
            uint32_t *pair = at + 2 * ((i / TURNS + i % TURNS) % LINES);
            mcuq_dsp_3x3_taps(pair, w + 3 * (i / TURNS), scale);
            at[6] = (uint32_t)(bias[c] * scale);
            at[7] = (uint32_t)(total + KIND);
        }
    }
}
#endif

/* Padding in `count` * 12 words. */
static void fill_all(uint32_t *x, uint32_t word, int32_t count)
{
    for (; count > 0; count--, x += 12) {
#if MCUQ_DSP_ASM
        uint32_t *to = x;
        __asm volatile("mov r4, %[word]\n mov r5, %[word]\n mov r6, %[word]\n"
                       " stmia %[to]!, {r4-r6}\n stmia %[to]!, {r4-r6}\n"
                       " stmia %[to]!, {r4-r6}\n stmia %[to]!, {r4-r6}\n"
                       : [to] "+&r"(to)
                       : [word] "r"(word)
                       : "r4", "r5", "r6", "memory");
#else
        for (int32_t i = 0; i < 12; i++) {
            x[i] = word;
        }
#endif
    }
}

/* base + (v >> shift) for every output of one lane. */
static void shift_late(int8_t *at, int32_t steps, int32_t shift, int32_t base)
{
    for (; steps > 0; steps--, at += LANES) {
        *at = (int8_t)mcuq_clamp(base + (*at >> shift), -128, 127);
    }
}

/* Up to LANES channels. in: of lane 0; out: of the first channel, which is lane `skip`.
 * late .. late_end: the entries of p->late for these channels. */
typedef struct {
    const int8_t *in;
    int8_t *out;
    int32_t channel, skip, count, late, late_end;
} group;

static void run_late(const mcuq_depthwise_lines_params *p, const group *g, int8_t *bytes)
{
    for (int32_t i = g->late; i < g->late_end; i++) {
        const int16_t *late = p->late + 3 * i;
        shift_late(bytes + g->skip + late[0] - g->channel, p->out_steps, late[1], late[2]);
    }
}

/* All lines of a group; job: its first line of outputs. */
static void run_group(const mcuq_depthwise_lines_params *p, const mcuq_dsp_filler *f,
                      const group *g, line_job *job, uint32_t *x)
{
    int8_t *bytes = job->out - g->skip;
    int8_t *out = g->out;
    const uint32_t *records = job->records;
    const uint32_t *end = job->records_end;
    int32_t next = -p->pad_lines;
    int32_t end_line = LINES - p->pad_lines;
    int32_t slot = 0;
    for (int32_t line = p->out_lines; line > 0; line--) {
        for (; next < end_line; next++) {
            mcuq_dsp_fill_line(p, g->in, f, next, x + slot);
            slot = (slot == LINES - 1) ? 0 : slot + 1;
        }
        end_line += p->stride_lines;
        /* The oldest line is in the slot that comes next. */
        job->records = records + slot * LANES * RECORD;
        job->records_end = end + slot * LANES * RECORD;
        if (p->stride_steps == 1) {
            run_line_1(job);
        } else {
            run_line_2(job);
        }
        run_late(p, g, bytes);
        mcuq_dsp_store_line(out, bytes, p->out_steps, p->out_step_pitch, g->skip, g->count);
        out += p->out_line_pitch;
    }
}

/* The group of channels from c on, after another one. */
static group next_group(const mcuq_depthwise_lines_params *p, const int8_t *in, int8_t *out,
                        int32_t c, int32_t late)
{
    const int32_t count = (p->channels - c < LANES) ? p->channels - c : LANES;
    const int32_t skip = (c > 0) ? LANES - count : 0;
    group g = {in + c - skip, out + c, c, skip, count, late, late};
    while (g.late_end < p->late_count && p->late[3 * g.late_end] < c + LANES) {
        g.late_end++;
    }
    return g;
}

void mcuq_depthwise_conv2d_s8_dsp_3x3(const mcuq_depthwise_lines_params *p, const int8_t *in,
                                      int8_t *out, void *scratch)
{
    uint32_t *records = scratch;
    uint32_t *x = records + TURNS * LANES * RECORD;
    const int32_t single = p->stride_steps - 1;
    const int32_t units = single ? p->out_steps : (p->out_steps + 1) >> 1; /* of code */
    const int32_t outputs = single ? units : 2 * units;
    const int32_t turn = single ? TURN_SINGLES : TURN_PAIRS;
    const int32_t first = ((units - 1) % turn + 1) * (single ? SINGLE_BYTES : PAIR_BYTES);
    mcuq_dsp_filler f = mcuq_dsp_make_filler(p, units + 1, 4 * LINES * (units + 1));
    int8_t *bytes = (int8_t *)(void *)(x + LANES * LINES * f.words);
    int32_t late = 0;
    if (p->channels < LANES) {
        f.copy = bytes + LANES * outputs;
        f.pitch = LANES;
    }
    fill_all(x, mcuq_dsp_even(f.pad), f.words);
    for (int32_t c = 0; c < p->channels; c += LANES) {
        const group g = next_group(p, in, out, c, late);
        uint32_t *own = records + g.skip * RECORD;
        line_job job = {x + g.skip * LINES * f.words,
                        bytes + g.skip,
                        own + g.count * RECORD,
                        bytes + LANES * outputs,
                        1 - LANES * outputs,
                        first,
                        own};
        unpack(own, p->weights + LINES * 3 * c, p->bias + c, p->shift + c, g.count);
        run_group(p, &f, &g, &job, x);
        late = g.late_end;
    }
    mcuq_dsp_clamp(out, p->out_lines * p->out_steps * p->channels, p->out_min, p->out_max);
}
