/* Depthwise 3x3 of short lines: neighbours along the walk in one word, many lines at a time.
 *
 * Four channels are brought to scratch as words of two neighbours, padding included: word t of a
 * line is (step 2t, step 2t + 1), as int16. A line has a fixed place for its words, so that three
 * loads with immediate offsets bring a word of each of the three lines, and the walk goes on from
 * line to line with the taps of a channel in registers.
 */
#include "mcuq_depthwise_planes_dsp.h"
#include "mcuq_dsp.h"
#include "mcuq_dsp_3x3.h"

#define LINE "112"
#define TWO_LINES "224"
enum { LANES = 4, LINE_WORDS = 28, TAPS = 3, RECORD = 8 };
/* A kind is the place in the frame of the code for shift 8 or 16. */
enum { KIND_8 = 28, KIND_16 = 32 };
enum { TURN_PAIRS = 6, TURN_SINGLES = 3, PAIR_BYTES = 76, SINGLE_BYTES = 44 };

/* Lines of outputs of some channels; the assembly knows this layout. records: of each channel the
 * taps (w0, w1), (w1, w2) of three lines; bias; its kind. out: [line][step][LANES], at the first
 * channel, up to out_end. line_bytes: of outputs. x_skip: from the end of a line in x to the start
 * of the next. x_next: from there, behind the last line, to the next channel; out_next: the same.
 * first: bytes of code of the first turn. x: [channel][line][LINE_WORDS]. */
typedef struct {
    const uint32_t *records, *records_end;
    const int8_t *out_end;
    int32_t line_bytes, x_skip, x_next, out_next, first;
    const uint32_t *x;
    int8_t *out;
} planes_job;

#if MCUQ_DSP_ASM
/* Frame: records, records_end, out_end, line_bytes, x_skip, x_next, out_next, 28 code for shift 8,
 * 32 code for shift 16, 36 the end of this line of outputs, 40 code for this channel.
 * r0 x, r1 out, r2-r7 taps, r8 bias, r9-r11 words, r12 and lr accumulators: all 14 registers. 23
 * cycles a line. */
#define ENTER                                                                                      \
    "push {r4-r11, lr}\n sub sp, #44\n ldmia r0!, {r2-r9}\n ldrd r0, r1, [r0]\n"                   \
    " adr.w r10, 5f\n sub r10, r9\n orr r10, #1\n adr.w r11, 3f\n sub r11, r9\n orr r11, #1\n"     \
    " mov r9, r10\n mov r10, r11\n stmia.w sp, {r2-r10}\n"                                         \
    "1:\n ldr r12, [sp]\n ldmia r12!, {r2-r8, lr}\n str r12, [sp]\n"                               \
    " ldr lr, [sp, lr]\n ldr r9, [sp, #12]\n str lr, [sp, #40]\n add r9, r1\n str r9, [sp, "       \
    "#36]\n" WORDS " ldr pc, [sp, #40]\n"
#define WORDS " ldr r10, [r0, #" LINE "]\n ldr r11, [r0, #" TWO_LINES "]\n ldr r9, [r0], #4\n"
#define NEXT(turn)                                                                                 \
    " ldr r12, [sp, #36]\n cmp r1, r12\n bcc.w " turn "\n ldr r9, [sp, #8]\n ldr r10, [sp, #12]\n" \
    " ldr r11, [sp, #16]\n add r12, r10\n add r0, r11\n cmp r1, r9\n str r12, [sp, #36]\n"         \
    " bcs.w 6f\n" WORDS " ldr pc, [sp, #40]\n"
#define LEAVE                                                                                      \
    "6:\n ldrd r9, r10, [sp, #20]\n add r0, r9\n add r1, r10\n ldrd r12, lr, [sp]\n"               \
    " cmp r12, lr\n bne.w 1b\n add sp, #44\n pop {r4-r11, pc}\n"
#define PLANES(turn_16, turn_8, bytes)                                                             \
    ENTER ".balign 4\n2:\n" turn_16 "3:\n" MCUQ_CODE_BYTES("2", "3", bytes)                        \
        NEXT("2b") ".balign 4\n"                                                                   \
                   "4:\n" turn_8 "5:\n" MCUQ_CODE_BYTES("4", "5", bytes) NEXT("4b") LEAVE
#define PAIR(shift) MCUQ_DSP_3X3_PAIR(shift, WORDS)     /* 19 instructions, 20 cycles for 18 MAC */
#define SINGLE(shift) MCUQ_DSP_3X3_SINGLE(shift, WORDS) /* 11 instructions, 12 cycles for 9 MAC */
#define PAIRS(s) PAIR(s) PAIR(s) PAIR(s) PAIR(s) PAIR(s) PAIR(s)
#define SINGLES(s) SINGLE(s) SINGLE(s) SINGLE(s)

MCUQ_NAKED static void run_planes_1(MCUQ_NAKED_ARGUMENT const planes_job *job)
{
    __asm volatile(PLANES(PAIRS("16"), PAIRS("8"), "6 * 76"));
}

MCUQ_NAKED static void run_planes_2(MCUQ_NAKED_ARGUMENT const planes_job *job)
{
    __asm volatile(PLANES(SINGLES("16"), SINGLES("8"), "3 * 44"));
}
#else
static void run_planes(const planes_job *job, int32_t stride)
{
    const int32_t outputs = job->line_bytes / LANES;
    const int32_t words = (stride == 1) ? outputs / 2 + 1 : outputs + 1;
    const uint32_t *x = job->x;
    int8_t *out = job->out;
    for (const uint32_t *r = job->records; r != job->records_end; r += RECORD) {
        for (; out < job->out_end; x += words + job->x_skip / 4) {
            for (int32_t i = 0; i < outputs; i++, out += LANES) {
                int32_t acc = (int32_t)r[6];
                for (int32_t tap = 0; tap < TAPS * TAPS; tap++) {
                    const int32_t at = i * stride + tap % TAPS;
                    const uint32_t word = x[LINE_WORDS * (tap / TAPS) + (at >> 1)];
                    const uint32_t taps = r[2 * (tap / TAPS) + (tap % TAPS > 1)];
                    acc +=
                        mcuq_dsp_3x3_half(word, at & 1) * mcuq_dsp_3x3_half(taps, tap % TAPS > 0);
                }
                out[0] = mcuq_requant(acc, (r[7] == KIND_8) ? 8 : 16, -128, 127);
            }
        }
        x += job->x_next / 4;
        out += job->out_next;
    }
}

static void run_planes_1(const planes_job *job)
{
    run_planes(job, 1);
}

static void run_planes_2(const planes_job *job)
{
    run_planes(job, 2);
}
#endif

/* The records of `count` channels, scaled to a shift of 8 or 16. 50 cycles a channel. */
#if MCUQ_DSP_ASM
MCUQ_NAKED static void unpack(MCUQ_NAKED_ARGUMENT uint32_t *to, MCUQ_NAKED_ARGUMENT const int8_t *w,
                              MCUQ_NAKED_ARGUMENT const int32_t *bias,
                              MCUQ_NAKED_ARGUMENT const int8_t *shift,
                              MCUQ_NAKED_ARGUMENT const uint32_t *end)
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
                   " lsr r11, #1\n"
                   " add r11, #24\n" MCUQ_DSP_3X3_TAPS("r4", "r5") MCUQ_DSP_3X3_TAPS("r6", "r7")
                       MCUQ_DSP_3X3_TAPS("r8", "r9") " stmia r0!, {r4-r11}\n"
                                                     " ldr lr, [sp, #36]\n"
                                                     " cmp r0, lr\n"
                                                     " bne 1b\n"
                                                     " pop {r4-r11, pc}\n");
}
#else
static void unpack(uint32_t *to, const int8_t *w, const int32_t *bias, const int8_t *shift,
                   const uint32_t *end)
{
    for (; to != end; to += RECORD, bias++, shift++) {
        const int32_t scale = 1 << (((*shift <= 8) ? 8 : 16) - *shift);
        for (int32_t line = 0; line < TAPS; line++, w += TAPS) {
            mcuq_dsp_3x3_taps(to + 2 * line, w, scale);
        }
        to[6] = (uint32_t)(*bias * scale);
        to[7] = (*shift <= 8) ? KIND_8 : KIND_16;
    }
}
#endif

/* How lines are brought to scratch; the assembly knows this layout. pairs: words of two steps.
 * last: whether the last is a step and padding; first: whether the first word is padding and a
 * step. lane: bytes from a channel to the next. skips: from the end of a line to the next one. */
typedef struct {
    int32_t pairs;
    uint32_t pad;
    int32_t last, lane, first, lines, from_skip, to_skip;
} lines_job;

/* `lines` lines of four channels from `from` on, as words of two neighbours. 14 cycles a word of
 * each of the four channels, 25 a line.
 * Registers: r0, r10-r12 places of the channels, r1 from, r2 pitch, r3 count, r4-r7 data, r8 pad,
 * r9 last, lr first. Frame: pairs, lines, from_skip, to_skip. */
#if MCUQ_DSP_ASM
#define PUT                                                                                        \
    " pkhbt r6, r4, r5, lsl #16\n pkhtb r7, r5, r4, asr #16\n"                                     \
    " sxtb16 r4, r6\n sxtb16 r5, r6, ror #8\n sxtb16 r6, r7\n sxtb16 r7, r7, ror #8\n"             \
    " str r4, [r0], #4\n str r5, [r10], #4\n str r6, [r11], #4\n str r7, [r12], #4\n"
#define LOAD " ldr r4, [r1]\n ldr r5, [r1, r2]\n add.w r1, r1, r2, lsl #1\n"
MCUQ_NAKED static void fill_lines(MCUQ_NAKED_ARGUMENT uint32_t *to,
                                  MCUQ_NAKED_ARGUMENT const int8_t *from,
                                  MCUQ_NAKED_ARGUMENT int32_t pitch,
                                  MCUQ_NAKED_ARGUMENT const lines_job *job)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " sub sp, #16\n"
                   " ldmia r3, {r3-r10}\n"
                   " mov lr, r7\n"
                   " strd r3, r8, [sp]\n"
                   " strd r9, r10, [sp, #8]\n"
                   " add r10, r0, r6\n"
                   " add r11, r10, r6\n"
                   " add r12, r11, r6\n"
                   " mov r8, r4\n"
                   " mov r9, r5\n"
                   "0:\n"
                   " cmp lr, #0\n"
                   " beq 1f\n"
                   " mov r4, r8\n"
                   " ldr r5, [r1]\n"
                   " add r1, r2\n" PUT "1:\n"
                   " ldr r3, [sp]\n"
                   " lsrs r3, r3, #1\n"
                   " bcc 2f\n" LOAD PUT "2:\n"
                   " beq 4f\n"
                   "3:\n" LOAD PUT LOAD PUT " subs r3, #1\n"
                   " bne 3b\n"
                   "4:\n"
                   " cmp r9, #0\n"
                   " beq 5f\n"
                   " ldr r4, [r1]\n"
                   " add r1, r2\n"
                   " mov r5, r8\n" PUT "5:\n"
                   " ldrd r4, r5, [sp, #8]\n"
                   " ldr r3, [sp, #4]\n"
                   " add r1, r4\n"
                   " add r0, r5\n"
                   " add r10, r5\n"
                   " add r11, r5\n"
                   " add r12, r5\n"
                   " subs r3, #1\n"
                   " str r3, [sp, #4]\n"
                   " bne 0b\n"
                   " add sp, #16\n"
                   " pop {r4-r11, pc}\n");
}
#else
static void fill_lines(uint32_t *to, const int8_t *from, int32_t pitch, const lines_job *job)
{
    const int32_t lane = job->lane / 4;
    for (int32_t line = 0; line < job->lines; line++) {
        for (int32_t i = -job->first; i < job->pairs + job->last; i++, to++) {
            const uint32_t a = (i < 0) ? job->pad : mcuq_dsp_load4(from);
            from += (i < 0) ? 0 : pitch;
            const uint32_t b = (i == job->pairs) ? job->pad : mcuq_dsp_load4(from);
            from += (i == job->pairs) ? 0 : pitch;
            const uint32_t low = mcuq_dsp_low(a, b);
            const uint32_t high = mcuq_dsp_high(a, b);
            to[0] = mcuq_dsp_even(low);
            to[lane] = mcuq_dsp_odd(low);
            to[2 * lane] = mcuq_dsp_even(high);
            to[3 * lane] = mcuq_dsp_odd(high);
        }
        from += job->from_skip;
        to += job->to_skip / 4;
    }
}
#endif

/* Where outputs go; the assembly knows this layout. skips: from the end of a line to the next. */
typedef struct {
    int32_t pitch, steps, lines, out_skip, from_skip;
} store_job;

/* Outputs of four channels to out. 19 cycles per 4 pixels, 17 a line and 9 if the rest is not 0.
 * r0 out, r1 from, r2 pitch, r3 steps, r4-r7 data, r8-r10 lines and skips, r11 count. */
#if MCUQ_DSP_ASM
MCUQ_NAKED static void store_lines(MCUQ_NAKED_ARGUMENT int8_t *out,
                                   MCUQ_NAKED_ARGUMENT const int8_t *from,
                                   MCUQ_NAKED_ARGUMENT const store_job *job)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " ldmia r2, {r2, r3, r8-r10}\n"
                   "1:\n"
                   " lsrs r11, r3, #2\n"
                   " beq 3f\n"
                   "2:\n"
                   " ldmia r1!, {r4-r7}\n"
                   " str r4, [r0]\n"
                   " str r5, [r0, r2]\n"
                   " add r0, r0, r2, lsl #1\n"
                   " str r6, [r0]\n"
                   " str r7, [r0, r2]\n"
                   " add r0, r0, r2, lsl #1\n"
                   " subs r11, #1\n"
                   " bne 2b\n"
                   "3:\n"
                   " tst r3, #2\n"
                   " beq 4f\n"
                   " ldmia r1!, {r4, r5}\n"
                   " str r4, [r0]\n"
                   " str r5, [r0, r2]\n"
                   " add r0, r0, r2, lsl #1\n"
                   "4:\n"
                   " tst r3, #1\n"
                   " beq 5f\n"
                   " ldr r4, [r1], #4\n"
                   " str r4, [r0]\n"
                   " add r0, r2\n"
                   "5:\n"
                   " add r0, r9\n"
                   " add r1, r10\n"
                   " subs r8, #1\n"
                   " bne 1b\n"
                   " pop {r4-r11, pc}\n");
}
#else
static void store_lines(int8_t *out, const int8_t *from, const store_job *job)
{
    for (int32_t line = 0; line < job->lines; line++) {
        for (int32_t i = 0; i < job->steps; i++, out += job->pitch, from += LANES) {
            memcpy(out, from, LANES);
        }
        out += job->out_skip;
        from += job->from_skip;
    }
}
#endif

/* Outputs of the last `count` of four channels to out. */
static void store_some(int8_t *out, const int8_t *from, const store_job *job, int32_t count)
{
    for (int32_t line = 0; line < job->lines; line++) {
        for (int32_t i = 0; i < job->steps; i++, out += job->pitch, from += LANES) {
            for (int32_t lane = 0; lane < count; lane++) {
                out[lane] = from[LANES - count + lane];
            }
        }
        out += job->out_skip;
        from += job->from_skip;
    }
}

/* What all groups of channels share. x: words of LANES channels of `lines` lines. before: words of
 * padding before those that fill_lines writes. outputs: of a line, those made for nothing too. */
typedef struct {
    const mcuq_depthwise_planes_params *p;
    uint32_t *x;
    int8_t *bytes;
    int32_t before, outputs, lines;
    lines_job fill;
    store_job store;
    planes_job run;
} planes;

/* `count` words at x, a multiple of 4. */
static __attribute__((noinline)) void fill_words(uint32_t *x, uint32_t word, int32_t count)
{
    for (const uint32_t *end = x + count; x != end; x += 4) {
        x[0] = word;
        x[1] = word;
        x[2] = word;
        x[3] = word;
    }
}

/* `count` input lines from `line` on, padding included, to the lines of x from `slot` on. */
static inline void fill_slots(planes *s, const int8_t *in, int32_t line, int32_t slot,
                              int32_t count)
{
    const mcuq_depthwise_planes_params *p = s->p;
    const int32_t first = mcuq_clamp(-line, 0, count);
    const int32_t end = mcuq_clamp(p->in_lines - line, first, count);
    uint32_t *to = s->x + LINE_WORDS * slot;
    s->fill.lines = end - first;
    if (end > first) {
        fill_lines(to + LINE_WORDS * first + s->before, in + (line + first) * p->in_line_pitch,
                   p->in_step_pitch, &s->fill);
    }
    if (p->chunk == p->out_lines) { /* padding always lies in the same place */
        return;
    }
    for (int32_t lane = 0; lane < LANES; lane++, to += LINE_WORDS * s->lines) {
        const uint32_t pad = mcuq_dsp_even(s->fill.pad);
        fill_words(to, pad, LINE_WORDS * first);
        fill_words(to + LINE_WORDS * end, pad, LINE_WORDS * (count - end));
    }
}

/* The lines of x from `from` on that are needed again to its begin. */
static inline void keep_lines(const planes *s, int32_t from, int32_t count)
{
    uint32_t *to = s->x;
    for (int32_t lane = 0; lane < LANES; lane++, to += LINE_WORDS * s->lines) {
        for (int32_t i = 0; i < LINE_WORDS * count; i++) {
            to[i] = to[LINE_WORDS * from + i];
        }
    }
}

/* The outputs v of a late channel become base + (v >> more). */
static void run_late(int8_t *at, int32_t outputs, const int16_t *late)
{
    for (; outputs > 0; outputs--, at += LANES) {
        *at = (int8_t)mcuq_clamp(late[2] + (*at >> late[1]), -128, 127);
    }
}

/* All lines of `count` channels from c on, the last of four. late: the next entry of p->late;
 * returns the one after those of these channels. */
static int32_t run_group(planes *s, const int8_t *in, int8_t *out, int32_t c, int32_t count,
                         int32_t late)
{
    const mcuq_depthwise_planes_params *p = s->p;
    int32_t next = late;
    const int32_t kept = (p->stride_lines < TAPS) ? TAPS - p->stride_lines : 0;
    const int32_t skip = LANES - count;
    int32_t slot = 0;
    int32_t made = p->chunk;
    in += c - skip;
    out += c;
    for (int32_t line = 0; line < p->out_lines; line += made) {
        if (made > p->out_lines - line) {
            made = p->out_lines - line;
        }
        const int32_t outputs = s->outputs * made;
        const int32_t end = (made - 1) * p->stride_lines + TAPS;
        fill_slots(s, in, line * p->stride_lines - p->pad_lines + slot, slot, end - slot);
        s->run.out_end = s->bytes + LANES * outputs;
        s->run.out_next = 1 - LANES * outputs;
        s->run.x_next = 4 * LINE_WORDS * (s->lines - made * p->stride_lines);
        if (p->stride_steps == 1) {
            run_planes_1(&s->run);
        } else {
            run_planes_2(&s->run);
        }
        for (next = late; next < p->late_count && p->late[3 * next] < c + count; next++) {
            run_late(s->bytes + skip + p->late[3 * next] - c, outputs, p->late + 3 * next);
        }
        s->store.lines = made;
        if (count == LANES) {
            store_lines(out, s->bytes, &s->store);
        } else {
            store_some(out, s->bytes, &s->store, count);
        }
        out += made * p->out_line_pitch;
        slot = kept;
        if (line + made < p->out_lines) {
            keep_lines(s, made * p->stride_lines, kept);
        }
    }
    return next;
}

/* How lines of `words` words are brought to scratch. */
static void prepare_fill(planes *s, int32_t words)
{
    const mcuq_depthwise_planes_params *p = s->p;
    const int32_t odd = p->pad_steps & 1;
    int32_t left = words - (p->pad_steps >> 1);
    s->before = p->pad_steps >> 1;
    if (left < 0) {
        s->before = words;
        left = 0;
    }
    s->fill.pad = 0x01010101u * (uint8_t)p->pad_value;
    s->fill.lane = 4 * LINE_WORDS * s->lines;
    s->fill.first = (left > 0) ? odd : 0;
    left -= s->fill.first;
    const int32_t steps = p->in_steps - s->fill.first;
    s->fill.pairs = (steps >> 1 < left) ? steps >> 1 : left;
    s->fill.last = (left > s->fill.pairs) ? steps & 1 : 0;
    const int32_t put = s->fill.first + s->fill.pairs + s->fill.last;
    s->fill.from_skip = p->in_line_pitch - (put + s->fill.pairs) * p->in_step_pitch;
    s->fill.to_skip = 4 * (LINE_WORDS - put);
}

void mcuq_depthwise_conv2d_s8_dsp_3x3_planes(const mcuq_depthwise_planes_params *p,
                                             const int8_t *in, int8_t *out, void *scratch)
{
    const int32_t single = p->stride_steps - 1;
    const int32_t units = single ? p->out_steps : (p->out_steps + 1) >> 1; /* of code */
    const int32_t outputs = single ? units : 2 * units;
    const int32_t lines = (p->chunk - 1) * p->stride_lines + TAPS;
    uint32_t *records = scratch;
    uint32_t *x = records + LANES * RECORD;
    int32_t late = 0;
    planes s;
    s.p = p;
    s.x = x;
    s.bytes = (int8_t *)(void *)(x + LANES * LINE_WORDS * lines);
    s.outputs = outputs;
    s.lines = lines;
    s.store.pitch = p->out_step_pitch;
    s.store.steps = p->out_steps;
    s.store.out_skip = p->out_line_pitch - p->out_steps * p->out_step_pitch;
    s.store.from_skip = LANES * (outputs - p->out_steps);
    s.run.records_end = x;
    s.run.line_bytes = LANES * outputs;
    s.run.x_skip = 4 * (LINE_WORDS * p->stride_lines - (units + 1));
    s.run.first = single ? ((units - 1) % TURN_SINGLES + 1) * SINGLE_BYTES
                         : ((units - 1) % TURN_PAIRS + 1) * PAIR_BYTES;
    prepare_fill(&s, units + 1);
    fill_words(x, mcuq_dsp_even(s.fill.pad), LANES * LINE_WORDS * lines);
    for (int32_t c = 0; c < p->channels; c += LANES) {
        const int32_t count = (p->channels - c < LANES) ? p->channels - c : LANES;
        const int32_t skip = LANES - count;
        s.run.records = records + RECORD * skip;
        s.run.x = x + LINE_WORDS * lines * skip;
        s.run.out = s.bytes + skip;
        unpack(records + RECORD * skip, p->weights + TAPS * TAPS * c, p->bias + c, p->shift + c, x);
        late = run_group(&s, in, out, c, count, late);
    }
    mcuq_dsp_clamp(out, p->out_lines * p->out_steps * p->channels, p->out_min, p->out_max);
}
