/* Convolution as a matrix product: 4 pixels x 2 channels per block of registers, weights in bytes.
 *
 * Bytes w0 w1 w2 w3 of a channel hold 256 * w1 + w0 and 256 * w3 + w2, so a word of weights is
 * used twice: as it is, against (x1, x3), and with SXTB16, as (w0, w2), against
 * (256 * x0 - x1, 256 * x2 - x3). The sum is 256 times the convolution, and nothing but this
 * SXTB16 unpacks weights. 256 * x0 - x1 + 127 always fits 16 bits; the bias takes the 127 back.
 * 256 * w1 + w0 does not if w1 is -128 and w0 negative: then w1 is -127 and the rest is made good.
 *
 * A block of pixels is brought to scratch in this form, once for all channels.
 */
#include "mcuq_conv2d_dsp.h"
#include "mcuq_dsp.h"
#include "mcuq_dsp_image_body.h"

enum { QUAD = 4, UNIT_WORDS = 2 * QUAD, TURN = 8, HEAD = 3 };
/* Weights of a pair of channels that are more than small caches in front of flash hold are brought
 * to scratch first, if they serve a block of some pixels. */
enum { NEAR_UNITS = 30, NEAR_BLOCK = 16 };
enum { UNIT_CODE = 92, TWO_UNITS_CODE = 192 };
/* The word before the biases of a pair of channels, from bit 0 on: both shifts (5 bits each),
 * whether something has to be made good, the step from channel 0 of the pair before to this one
 * (11 bits, signed), the distance from channel 0 to channel 1 (10 bits, signed). What is to be made
 * good follows the weights: where inputs are, in bytes from the end of their quad, and what they
 * are multiplied by for channels 0 and 1; a zero ends it. */
enum { MORE_BIT = 10, MORE = 3, STEP_BIT = 11, DISTANCE_BIT = 22 };

/* How `quads` times four patches lie, `second` bytes apart: `runs` runs of `words` fours, `skip`
 * bytes after each, `next` more to the next quad. to_skip: bytes between the quads where they go.
 * The assembly knows this layout. */
typedef struct {
    int32_t words, runs, skip, quads, next, to_skip;
} quad_shape;

/* Per four inputs x0 x1 x2 x3 of the four patches at `from`: (x1, x3) of each, then
 * (256 * x0 - x1 + 127, 256 * x2 - x3 + 127) of each. 30 cycles per 16 inputs, 12 a run, 20 a
 * quad. from: any alignment.
 * r0 to, r1 and r3 patches 0 and 2, r2 second, r4 words, r6-r12 and lr data. Frame: runs
 * left, skip, words, runs, quads, next, to_skip. */
#if MCUQ_DSP_ASM
/* 256 * x0 + 127 - x1 is a half whose bytes are 127 - x1, which is x1 ^ 0x7f, and x0. */
#define SPLIT(x) " rev16.w " x ", " x "\n eor " x ", " x ", #0x007f007f\n"
MCUQ_NAKED static void widen_quads(MCUQ_NAKED_ARGUMENT uint32_t *to,
                                   MCUQ_NAKED_ARGUMENT const int8_t *from,
                                   MCUQ_NAKED_ARGUMENT int32_t second,
                                   MCUQ_NAKED_ARGUMENT const quad_shape *shape)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " sub sp, #28\n"
                   " ldmia r3, {r4-r9}\n"
                   " strd r5, r6, [sp]\n"
                   " strd r4, r5, [sp, #8]\n"
                   " strd r7, r8, [sp, #16]\n"
                   " str r9, [sp, #24]\n"
                   " add r3, r1, r2, lsl #1\n"
                   "1:\n"
                   " ldr r4, [sp, #8]\n"
                   "2:\n"
                   " ldr r11, [r1, r2]\n"
                   " ldr lr, [r3, r2]\n"
                   " ldr r10, [r1], #4\n"
                   " ldr r12, [r3], #4\n"
                   " sxtb16 r6, r10, ror #8\n"
                   " sxtb16 r7, r11, ror #8\n"
                   " sxtb16 r8, r12, ror #8\n"
                   " sxtb16 r9, lr, ror #8\n" SPLIT("r10") SPLIT("r11") SPLIT("r12")
                       SPLIT("lr") " stmia r0!, {r6-r12, lr}\n"
                                   " subs r4, #1\n"
                                   " bne 2b\n"
                                   " ldrd r6, r7, [sp]\n"
                                   " add r1, r7\n"
                                   " add r3, r7\n"
                                   " subs r6, #1\n"
                                   " str r6, [sp]\n"
                                   " bne 1b\n"
                                   " ldrd r6, r7, [sp, #12]\n"
                                   " ldrd r8, r9, [sp, #20]\n"
                                   " str r6, [sp]\n"
                                   " add r1, r8\n"
                                   " add r3, r8\n"
                                   " add r0, r9\n"
                                   " subs r7, #1\n"
                                   " str r7, [sp, #16]\n"
                                   " bne 1b\n"
                                   " add sp, #28\n"
                                   " pop {r4-r11, pc}\n");
}
#else
static void widen_quads(uint32_t *to, const int8_t *from, int32_t second, const quad_shape *shape)
{
    for (int32_t run = 0; run < shape->quads * shape->runs; run++, from += shape->skip) {
        if (run > 0 && run % shape->runs == 0) {
            from += shape->next;
            to += shape->to_skip / 4;
        }
        for (int32_t i = 0; i < shape->words; i++, from += 4, to += UNIT_WORDS) {
            for (int32_t pixel = 0; pixel < QUAD; pixel++) {
                const int8_t *x = from + pixel * second;
                to[pixel] = mcuq_dsp_low((uint32_t)x[1], (uint32_t)x[3]);
                to[QUAD + pixel] = mcuq_dsp_low((uint32_t)(256 * x[0] - x[1] + 127),
                                                (uint32_t)(256 * x[2] - x[3] + 127));
            }
        }
    }
}
#endif

/* Four pixels after four, and two channels; the assembly knows this layout.
 * x, x_end: the inputs as above. weights: both biases, then units of 8 bytes (channel 0: 4,
 * channel 1: 4), up to weights_end; what has to be made good may follow. out: pixel 0, channel 0.
 * back: bytes of code from the unit where the loop is entered to its end. many: whether there are
 * several turns. code: bytes from the code for any two shifts to the one that makes the outputs. */
typedef struct {
    const uint32_t *x;
    const int32_t *weights;
    int8_t *out;
    int32_t pitch, distance;
    const uint32_t *x_end;
    const int32_t *weights_end;
    int32_t back, many, code, shift_0, shift_1;
} pair_job;

enum { MORE_CODE = -68, ANY_CODE = 136, SHIFT_CODE = 100, FIRST_SHIFT = 3, SHIFTS = 7 };

#if MCUQ_DSP_ASM
/* 4 pixels x 2 channels per unit of 4 inputs: 8 accumulators (r6-r9, r2-r5), 2 + 2 operands, 2
 * pointers: all 14 registers. Cost: 24 instructions and 32.5 cycles per 32 MAC, 25 and 43 per 8
 * outputs (33 and 53 if the shifts differ or are not 3 to 9), 4 and 10 for each 32 inputs beyond
 * the first 36.
 * Frame: weights, out, pitch, distance, x_end, weights_end, 24 where the loop is entered, 28 what
 * follows it, 32 what makes the outputs, shift_0, shift_1. */
#define OF_TWO_PIXELS(a0, a1, b0, b1)                                                              \
    " smlad " a0 ", r12, r10, " a0 "\n smlad " a1 ", r12, r11, " a1 "\n smlad " b0                 \
    ", lr, r10, " b0 "\n smlad " b1 ", lr, r11, " b1 "\n"
#define PIXELS_0_1 OF_TWO_PIXELS("r6", "r7", "r8", "r9")
#define PIXELS_2_3 " ldmia r0!, {r12, lr}\n" OF_TWO_PIXELS("r2", "r3", "r4", "r5")
#define FOUR_PIXELS " ldmia r0!, {r12, lr}\n" PIXELS_0_1 PIXELS_2_3
#define EVEN_WEIGHTS " sxtb16 r10, r10\n sxtb16 r11, r11\n"
#define PRODUCTS_SHORT " ldmia r1!, {r10, r11}\n" FOUR_PIXELS EVEN_WEIGHTS FOUR_PIXELS
/* A cycle less for two instructions more: neighbouring loads share what the first one waits. */
#define PRODUCTS_FAST                                                                              \
    " ldr r11, [r1, #4]\n ldr lr, [r0, #4]\n ldr r10, [r1], #8\n ldr r12, [r0], #8\n" PIXELS_0_1   \
        PIXELS_2_3 EVEN_WEIGHTS FOUR_PIXELS
#define PRODUCTS_4 PRODUCTS_FAST PRODUCTS_SHORT PRODUCTS_FAST PRODUCTS_SHORT
#define MORE_OF(at, a0, a1)                                                                        \
    " ldr.w lr, [r10, #" at "]\n smlad " a0 ", lr, r11, " a0 "\n smlad " a1 ", lr, r12, " a1 "\n"
#define SATURATE_2(a, b, shift) " ssat " a ", #8, " a shift "\n ssat " b ", #8, " b shift "\n"
#define STORE_2(a, b) " strb.w " a ", [r10]\n strb.w " b ", [r10, r12]\n add.w r10, r10, r11\n"
#define OUTPUTS(shift)                                                                             \
    " ldmia.w sp, {r1, r10-r12, lr}\n" SATURATE_2("r6", "r7", shift) SATURATE_2("r8", "r9", shift) \
        SATURATE_2("r2", "r3", shift) SATURATE_2("r4", "r5", shift) STORE_2("r6", "r7")            \
            STORE_2("r8", "r9") STORE_2("r2", "r3")                                                \
                STORE_2("r4", "r5") " str.w r10, [sp, #4]\n cmp.w r0, lr\n bne.w 1b\n b.w 6f\n"
#define OUTPUTS_OF(shift) OUTPUTS(", asr #" shift)
MCUQ_NAKED static void run_quads(MCUQ_NAKED_ARGUMENT const pair_job *job)
{
    __asm volatile(
        "push {r4-r11, lr}\n"
        " sub sp, #44\n"
        " ldmia r0!, {r1-r10}\n"
        " ldrd r11, r12, [r0]\n"
        " strd r11, r12, [sp, #36]\n"
        " stmia.w sp, {r2-r7}\n"
        " adr.w r3, 3f\n"
        " sub r3, r8\n"
        " orr r3, #1\n"
        " adr.w r5, 5f\n"
        " add r5, r10\n"
        " orr r5, #1\n"
        " adr.w r4, 4f\n"
        " orr r4, #1\n"
        " cmp r9, #0\n"
        " it eq\n"
        " moveq r4, r5\n"
        " strd r3, r4, [sp, #24]\n"
        " str r5, [sp, #32]\n"
        " mov r0, r1\n"
        " mov r1, r2\n"
        "1:\n"
        " ldmia r1!, {r2, r3, r10, r11}\n"
        " ldmia r0!, {r12, lr}\n"
        " smlad r6, r12, r10, r2\n"
        " smlad r7, r12, r11, r3\n"
        " smlad r8, lr, r10, r2\n"
        " smlad r9, lr, r11, r3\n"
        " ldmia r0!, {r12, lr}\n"
        " smlad r4, lr, r10, r2\n"
        " smlad r5, lr, r11, r3\n"
        " smlad r2, r12, r10, r2\n"
        " smlad r3, r12, r11, r3\n" EVEN_WEIGHTS FOUR_PIXELS " ldr pc, [sp, #24]\n"
        ".balign 4\n"
        "2:\n" PRODUCTS_4 PRODUCTS_4 "3:\n" MCUQ_CODE_BYTES(
            "2", "3",
            "4 * 192") " ldr pc, [sp, #28]\n"
                       ".balign 4\n"
                       "4:\n"
                       " ldr r10, [sp, #20]\n"
                       " cmp r1, r10\n"
                       " bne.w 2b\n"
                       " ldr pc, [sp, #32]\n"
                       ".balign 4\n"
                       "8:\n"
                       " ldmia.w r1!, {r10-r12}\n"
                       " cmp.w r10, #0\n"
                       " beq.w 5f\n"
                       " add.w r10, r10, r0\n" MORE_OF("0", "r6", "r7") MORE_OF("4", "r8", "r9")
                           MORE_OF("8", "r2", "r3") MORE_OF(
                               "12", "r4",
                               "r5") " b.w 8b\n"
                                     "5:\n" MCUQ_CODE_BYTES(
                                         "8", "5",
                                         "68") " ldrd r10, r11, [sp, #36]\n"
                                               " asr.w r2, r2, r10\n"
                                               " asr.w r3, r3, r11\n"
                                               " asr.w r4, r4, r10\n"
                                               " asr.w r5, r5, r11\n"
                                               " asr.w r6, r6, r10\n"
                                               " asr.w r7, r7, r11\n"
                                               " asr.w r8, r8, r10\n"
                                               " asr.w r9, r9, r11\n" OUTPUTS(
                                                   "") "50:\n" MCUQ_CODE_BYTES("5", "50", "136")
                                                   OUTPUTS_OF("11") "51:\n" MCUQ_CODE_BYTES(
                                                       "50", "51", "100") OUTPUTS_OF("12")
                                                       OUTPUTS_OF("13") OUTPUTS_OF("14") OUTPUTS_OF(
                                                           "15") OUTPUTS_OF("16")
                                                           OUTPUTS_OF("17") "6:\n"
                                                                            " add sp, #44\n"
                                                                            " pop {r4-r11, pc}\n");
}
#endif

#if MCUQ_DSP_ASM
#define ONE_UNIT                                                                                   \
    " ldr %[even], [%[x], #16]\n ldr %[w_1], [%[w], #4]\n"                                         \
    " ldr %[odd], [%[x]], #32\n ldr %[w_0], [%[w]], #8\n"                                          \
    " smlad %[sum_1], %[odd], %[w_1], %[sum_1]\n smlad %[sum_0], %[odd], %[w_0], %[sum_0]\n"       \
    " sxtb16 %[w_1], %[w_1]\n sxtb16 %[w_0], %[w_0]\n"                                             \
    " smlad %[sum_1], %[even], %[w_1], %[sum_1]\n smlad %[sum_0], %[even], %[w_0], %[sum_0]\n"
#endif
/* sums += products of one pixel, whose words are at x, for two channels; returns the end of x. 13
 * cycles per 8 MAC. */
static inline const uint32_t *add_products(const uint32_t *x, const int32_t *w, const int32_t *end,
                                           int32_t sums[2])
{
    int32_t sum_0 = sums[0];
    int32_t sum_1 = sums[1];
#if MCUQ_DSP_ASM
    uint32_t odd, even, w_0, w_1;
    __asm volatile("tst %[count], #8\n"
                   " beq 2f\n"
                   "1:\n" ONE_UNIT "2:\n"
                   " cmp %[w], %[end]\n"
                   " beq 3f\n" ONE_UNIT " b 1b\n"
                   "3:\n"
                   : [x] "+&r"(x), [w] "+&r"(w), [sum_0] "+&r"(sum_0), [sum_1] "+&r"(sum_1),
                     [odd] "=&r"(odd), [even] "=&r"(even), [w_0] "=&r"(w_0), [w_1] "=&r"(w_1)
                   : [end] "r"(end), [count] "r"((end - w) * 4)
                   : "cc", "memory");
#else
    for (; w != end; w += 2, x += UNIT_WORDS) {
        const uint32_t w_0 = (uint32_t)w[0];
        const uint32_t w_1 = (uint32_t)w[1];
        sum_0 = mcuq_dsp_smlad(x[0], w_0, sum_0);
        sum_1 = mcuq_dsp_smlad(x[0], w_1, sum_1);
        sum_0 = mcuq_dsp_smlad(x[QUAD], mcuq_dsp_even(w_0), sum_0);
        sum_1 = mcuq_dsp_smlad(x[QUAD], mcuq_dsp_even(w_1), sum_1);
    }
#endif
    sums[0] = sum_0;
    sums[1] = sum_1;
    return x;
}

/* One pixel, whose words are at x, and two channels. more: something has to be made good. */
static void run_pixel(const pair_job *job, const uint32_t *x, int8_t *out, int32_t more)
{
    int32_t sums[2] = {job->weights[0], job->weights[1]};
    const int32_t *w = job->weights_end;
    x = add_products(x, job->weights + 2, w, sums);
    for (; more && w[0] != 0; w += MORE) {
        const uint32_t at = x[w[0] / 4];
        sums[0] = mcuq_dsp_smlad(at, (uint32_t)w[1], sums[0]);
        sums[1] = mcuq_dsp_smlad(at, (uint32_t)w[2], sums[1]);
    }
    out[0] = mcuq_requant(sums[0], job->shift_0, -128, 127);
    out[job->distance] = mcuq_requant(sums[1], job->shift_1, -128, 127);
}

/* Two channels of `count` pixels. */
static void run_pair(pair_job *job, int32_t count, int32_t more)
{
    int32_t done = 0;
#if MCUQ_DSP_ASM
    if (count >= QUAD) {
        run_quads(job);
        done = count & ~(QUAD - 1);
    }
#endif
    for (; done < count; done++) {
        const int32_t units = (int32_t)(job->weights_end - job->weights - 2) / 2;
        const uint32_t *quad = job->x + (done >> 2) * UNIT_WORDS * units;
        run_pixel(job, quad + (done & (QUAD - 1)), job->out + done * job->pitch, more);
    }
}

/* `words`, an even number: two, then fours. 2 cycles a word and 3 a turn. */
static const int32_t *bring(int32_t *to, const int32_t *from, int32_t words)
{
    const int32_t *begin = to;
    to[0] = from[0];
    to[1] = from[1];
    words -= 2;
    if (words & 2) {
        to[2] = from[2];
        to[3] = from[3];
    }
    to += 2 + (words & 2);
    from += 2 + (words & 2);
#if MCUQ_DSP_ASM
    int32_t turns = words >> 2;
    __asm volatile("1:\n"
                   " ldmia %[from]!, {r4-r6, r8}\n"
                   " stmia %[to]!, {r4-r6, r8}\n"
                   " subs %[turns], #1\n"
                   " bne 1b\n"
                   : [to] "+&r"(to), [from] "+&r"(from), [turns] "+&r"(turns)
                   :
                   : "r4", "r5", "r6", "r8", "cc", "memory");
#else
    for (int32_t i = 0; i < (words & ~3); i++) {
        to[i] = from[i];
    }
#endif
    return begin;
}

/* All channels of the `count` pixels at x. near: for the weights of a pair; or NULL. */
static void run_channels(const mcuq_conv2d_dsp_params *p, const uint32_t *x, int8_t *out,
                         int32_t count, int32_t *near)
{
    const int32_t units = p->units;
    const int32_t *head = p->weights;
    pair_job job;
    job.x = x;
    job.x_end = x + (count >> 2) * UNIT_WORDS * units;
    job.out = out;
    job.pitch = p->out_c;
    job.back = ((units - 1) & (TURN - 1)) / 2 * TWO_UNITS_CODE + ((units - 1) & 1) * UNIT_CODE;
    job.many = units > TURN;
    for (int32_t pairs = (p->out_c + 1) >> 1; pairs > 0; pairs--) {
        const int32_t info = head[0];
        const int32_t shift_0 = info & 31;
        const int32_t shift_1 = (info >> 5) & 31;
        const uint32_t kind = (uint32_t)(shift_0 - FIRST_SHIFT);
        job.shift_0 = shift_0 + 8;
        job.shift_1 = shift_1 + 8;
        const int32_t more = (info >> MORE_BIT) & 1;
        job.code = more ? MORE_CODE : 0;
        if (!more && shift_0 == shift_1 && kind < SHIFTS) {
            job.code = ANY_CODE + SHIFT_CODE * (int32_t)kind;
        }
        job.distance = info >> DISTANCE_BIT;
        job.out +=
            (int32_t)((uint32_t)info << (32 - DISTANCE_BIT)) >> (32 - DISTANCE_BIT + STEP_BIT);
        job.weights = head + 1;
        if (near != NULL && !more) { /* what is to be made good would have to follow */
            job.weights = bring(near, head + 1, 2 + 2 * units);
        }
        job.weights_end = job.weights + 2 + 2 * units;
        run_pair(&job, count, more);
        head += HEAD + 2 * units;
        if (more) {
            while (*head != 0) {
                head += MORE;
            }
            head += MORE;
        }
    }
}

/* The bytes left of all runs of four patches, the first of each run first, to four rests of `size`
 * bytes. from: the first byte left. */
static inline void gather_rests(const mcuq_conv2d_dsp_params *p, const int8_t *from, int32_t second,
                                int32_t pitch, int8_t *rest, int32_t size)
{
    for (int32_t left = p->run & 3; left > 0; left--, from++) {
        const int8_t *at = from;
        const int8_t *third = from + 2 * second;
        for (int32_t run = p->runs; run > 0; run--, at += pitch, third += pitch, rest++) {
            const int8_t byte_0 = at[0];
            const int8_t byte_1 = at[second];
            const int8_t byte_2 = third[0];
            const int8_t byte_3 = third[second];
            rest[0] = byte_0;
            rest[size] = byte_1;
            rest[2 * size] = byte_2;
            rest[3 * size] = byte_3;
        }
    }
}

/* `quads` times four patches `second` bytes apart, whose runs are `pitch` bytes apart: the fours of
 * every run, then the bytes left of all runs. rest: for what is left of all of them. */
static void widen_patches(const mcuq_conv2d_dsp_params *p, uint32_t *to, const int8_t *from,
                          int32_t second, int32_t pitch, int32_t quads, int8_t *rest)
{
    const int32_t words = p->run >> 2;
    const int32_t left = p->units - words * p->runs;
    const int32_t size = 4 * left;
    const int32_t unit = 4 * UNIT_WORDS;
    const quad_shape fours = {
        words, p->runs, pitch - 4 * words, quads, QUAD * second - p->runs * pitch, unit * left};
    const quad_shape rests = {left, 1, 0, quads, 3 * size, unit * words * p->runs};
    if (words > 0) {
        widen_quads(to, from, second, &fours);
    }
    if (left > 0) {
        from += 4 * words;
        for (int32_t i = 0; i < quads; i++, from += QUAD * second) {
            gather_rests(p, from, second, pitch, rest + QUAD * size * i, size);
        }
        widen_quads(to + UNIT_WORDS * words * p->runs, rest, size, &rests);
    }
}

/* The next `count` pixels at x. patches: four of 4 * units bytes, and what is left of a row. */
static void widen_block(const mcuq_conv2d_dsp_params *p, const int8_t *in, cursor *at,
                        int32_t count, uint32_t *x, int8_t *patches)
{
    const int32_t size = 4 * p->units;
    int8_t *rest = patches + QUAD * size;
    while (count > 0) {
        const int32_t quads = whole_pixels(p, at, count) >> 2;
        int32_t done = QUAD * quads;
        if (quads > 0) {
            const int8_t *from = in + (at->y * p->in_w + at->x) * p->in_c;
            widen_patches(p, x, from, p->stride_w * p->in_c, p->row_pitch, quads, rest);
            advance(p, at, done);
        } else {
            for (; done < QUAD && done < count; done++) {
                gather(p, in, at->y, at->x, patches + done * size);
                advance(p, at, 1);
            }
            widen_patches(p, x, patches, size, p->run, 1, rest);
        }
        x += UNIT_WORDS * p->units * ((done + QUAD - 1) >> 2);
        count -= done;
    }
}

/* The same where the patches are the input's pixels themselves, one after the other. */
static void widen_pixels(const mcuq_conv2d_dsp_params *p, const int8_t *in, int32_t count,
                         uint32_t *x, int8_t *patches)
{
    const int32_t size = p->in_c;
    const int32_t quads = count >> 2;
    const int32_t left = count & (QUAD - 1);
    const quad_shape all = {p->units, 1, 0, quads, (QUAD - 1) * size, 0};
    const quad_shape last = {p->units, 1, 0, 1, 0, 0};
    if (quads > 0) {
        widen_quads(x, in, size, &all);
    }
    if (left > 0) {
        copy(patches, in + QUAD * quads * size, left * size);
        widen_quads(x + UNIT_WORDS * p->units * quads, patches, size, &last);
    }
}

void mcuq_conv2d_s8_dsp_quad(const mcuq_conv2d_dsp_params *p, const int8_t *in, int8_t *out,
                             void *scratch)
{
    int32_t *near = scratch;
    const int32_t is_near = p->units > NEAR_UNITS && p->block >= NEAR_BLOCK;
    uint32_t *x = (uint32_t *)scratch + (is_near ? 2 + 2 * p->units : 0);
    int8_t *patches = (int8_t *)(void *)(x + 2 * p->units * p->block);
    cursor at = {0, -p->pad_top, -p->pad_left};
    int32_t pixels = p->out_h * p->out_w;
    if (p->copy_h > 0) {
        const int32_t left = p->units - (p->run >> 2) * p->runs;
        in = pad_image(p, in, patches + 16 * p->units + 16 * left * ((p->out_w >> 2) + 1));
    }
    while (pixels > 0) {
        const int32_t count = (pixels < p->block) ? pixels : p->block;
        if (p->pixels_as_they_lie) {
            widen_pixels(p, in, count, x, patches);
            in += count * p->in_c;
        } else {
            widen_block(p, in, &at, count, x, patches);
        }
        run_channels(p, x, out, count, is_near ? near : NULL);
        mcuq_dsp_clamp(out, count * p->out_c, p->out_min, p->out_max);
        out += count * p->out_c;
        pixels -= count;
    }
}
