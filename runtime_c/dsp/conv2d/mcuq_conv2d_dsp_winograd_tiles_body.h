/* mcuq_conv2d_dsp_winograd_tiles_body.h: the products of a convolution by F(2, 3), 2 tiles x 2
 * channels per block of registers; a part of mcuq_conv2d_s8_dsp_winograd.c and of what makes its
 * weights anew.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_CODED_BITS: 4 or 2; left undefined: weights are bytes
 */
#ifndef MCUQ_CONV2D_DSP_WINOGRAD_TILES_BODY_H
#define MCUQ_CONV2D_DSP_WINOGRAD_TILES_BODY_H

#include "mcuq_conv2d_winograd_dsp.h"
#include "mcuq_dsp.h"

/* The weights are bytes, or codes of MCUQ_CODED_BITS, whose table of pairs (mcuq_coded_dsp_body.h)
 * lies right before the stream. Codes per unit [2 channels][3 columns][0, 2, 1, 3]. */
#if defined(MCUQ_CODED_BITS)
#include "mcuq_coded_dsp_body.h"
enum { UNIT_BYTES = 3 * MCUQ_CODED_BITS };
#else
enum { UNIT_BYTES = 24 };
#endif

enum { PRODUCTS_4 = 4, TURN = 12, UNIT = 8, STATE_WORDS = 8 };

/* How the inputs of a tile lie, in bytes: from column to column, from the end of a row to the
 * next; and from one of the four sums in scratch to the next. The assembly knows this layout. */
typedef struct {
    int32_t column, skip, rows, sum;
} tile_shape;

/* The four sums of a tile's inputs, in int16 order, for all rows and channels: tile a or b of a
 * pair at to, the other one 8 bytes apart. 32 instructions for 16 inputs (4 columns).
 * r0 to, r1 from, r2 column, r3 3 columns, r4-r11 data, r12 sum, lr 3 sums. Frame: end of row,
 * rows, skip. from: any alignment. */
#if MCUQ_DSP_ASM
#define SUMS(lanes, next)                                                                          \
    " sxtb16 r8, r4" lanes "\n sxtb16 r9, r5" lanes "\n sxtb16 r10, r6" lanes                      \
    "\n sxtb16 r11, r7" lanes "\n ssub16 r8, r8, r10\n ssub16 r11, r11, r9\n"                      \
    " str r8, [r0, r12, lsl #1]\n str r11, [r0, lr]\n"                                             \
    " sadd16 r8, r9, r10\n ssub16 r10, r10, r9\n"                                                  \
    " str r10, [r0, r12]\n str r8, [r0], #" next "\n"
MCUQ_NAKED static void transform(MCUQ_NAKED_ARGUMENT int16_t *to,
                                 MCUQ_NAKED_ARGUMENT const int8_t *from,
                                 MCUQ_NAKED_ARGUMENT const tile_shape *shape)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " sub sp, #12\n"
                   " ldmia r2, {r2-r4, r12}\n"
                   " strd r4, r3, [sp, #4]\n"
                   " add r3, r2, r2, lsl #1\n"
                   " add lr, r12, r12, lsl #1\n"
                   "1:\n"
                   " add r4, r1, r2\n"
                   " str r4, [sp]\n"
                   "2:\n"
                   " ldr r7, [r1, r3]\n"
                   " ldr r5, [r1, r2]\n"
                   " ldr r6, [r1, r2, lsl #1]\n"
                   " ldr r4, [r1], #4\n" SUMS("", "4")
                       SUMS(", ror #8", "12") " ldr r4, [sp]\n"
                                              " cmp r1, r4\n"
                                              " bne 2b\n"
                                              " ldrd r4, r5, [sp, #4]\n"
                                              " add r1, r5\n"
                                              " subs r4, #1\n"
                                              " str r4, [sp, #4]\n"
                                              " bne 1b\n"
                                              " add sp, #12\n"
                                              " pop {r4-r11, pc}\n");
}
#else
static void transform(int16_t *to, const int8_t *from, const tile_shape *shape)
{
    static const int8_t order[4] = {0, 2, 1, 3};
    const int32_t sum = shape->sum / 2;
    const int32_t column = shape->column;
    for (int32_t i = 0; i < shape->rows * column; i++) {
        const int8_t *d = from + i + i / column * shape->skip;
        int16_t *m = to + UNIT * (i / 4) + order[i & 3];
        m[0] = (int16_t)(d[column] + d[2 * column]);
        m[sum] = (int16_t)(d[2 * column] - d[column]);
        m[2 * sum] = (int16_t)(d[0] - d[2 * column]);
        m[3 * sum] = (int16_t)(d[3 * column] - d[column]);
    }
}
#endif

/* All channels of a block of tiles; the assembly knows this layout. x: per pair of tiles `size`
 * bytes: four sums of `units` units (tile a: 4, tile b: 4). An odd last tile (tail) is its own
 * partner. stream: 2 + 4 * (4 * units + links) + STATE_WORDS words. */
typedef struct {
    const int32_t *weights;
    int32_t *stream;
    const int16_t *x;
    int8_t *out;
    int32_t channel_pairs, tail, pitch;
    const int16_t *x_end;
    int32_t size, units;
} block_job;

/* Per pair of channels the four weights are made in `stream`, 2.1 instructions a weight, 2.4 from
 * codes of 4 bits, 2.8 of 2; then
 * 2 tiles x 2 channels per turn: 10 instructions for 24 MAC (0.42), and 58 per 8 outputs.
 * In the stream a link, which is the address to go on at, follows the weights of at most TURN
 * units: that of the loop, or that of what comes after a sum (20 to 23).
 * Frame: 0 where the loop is entered, 4 its begin, 8 block_job, 48 bytes of a sum in the stream,
 * 52 the state, 56 four sums, 72 whole turns, 76 units of the first turn, 80 info, 84 turns left.
 * State behind the stream: shift_0, shift_1, out, from tile to tile, from channel to channel,
 * their sum, stream, x_end. */
#if MCUQ_DSP_ASM
#define PRODUCTS                                                                                   \
    " ldmia r0!, {r6-r9}\n ldmia r1!, {r10-r12, lr}\n"                                             \
    " smlad r2, r6, r10, r2\n smlad r3, r6, r12, r3\n"                                             \
    " smlad r4, r8, r10, r4\n smlad r5, r8, r12, r5\n"                                             \
    " smlad r2, r7, r11, r2\n smlad r3, r7, lr, r3\n"                                              \
    " smlad r4, r9, r11, r4\n smlad r5, r9, lr, r5\n"
#define PRODUCTS_3 PRODUCTS PRODUCTS PRODUCTS
/* g0, g1, g2 of four inputs of a channel as int16: in r4 and r5, r6 and r7, r8 and r9. */
#if !defined(MCUQ_CODED_BITS)
#define LOAD_CHANNEL(g0, g1, g2)                                                                   \
    " ldr r4, [r1, #" g0 "]\n ldr r6, [r1, #" g1 "]\n ldr r8, [r1, #" g2 "]\n"                     \
    " sxtb16 r5, r4, ror #8\n sxtb16 r4, r4\n sxtb16 r7, r6, ror #8\n sxtb16 r6, r6\n"             \
    " sxtb16 r9, r8, ror #8\n sxtb16 r8, r8\n"
#define CHANNEL_0 LOAD_CHANNEL("0", "8", "16")
#define CHANNEL_1 LOAD_CHANNEL("4", "12", "20")
#define NEXT_UNIT " add r1, #24\n"
#define NEXT_PAIR
#else
#define LOOKUP_6                                                                                   \
    " ldr r10, [sp, #12]\n" MCUQ_CODED_TABLE("r10", "r10", "0") MCUQ_CODED_LOOKUP("r4", "r10")     \
        MCUQ_CODED_LOOKUP("r5", "r10") MCUQ_CODED_LOOKUP("r6", "r10")                              \
            MCUQ_CODED_LOOKUP("r7", "r10") MCUQ_CODED_LOOKUP("r8", "r10")                          \
                MCUQ_CODED_LOOKUP("r9", "r10")
#if MCUQ_CODED_BITS == 4
#define CHANNEL_0                                                                                  \
    " ldrb r4, [r1]\n ldrb r5, [r1, #1]\n ldrb r6, [r1, #2]\n ldrb r7, [r1, #3]\n"                 \
    " ldrb r8, [r1, #4]\n ldrb r9, [r1, #5]\n adds r1, #6\n" LOOKUP_6
#define NEXT_PAIR
#else
#define CHANNEL_0                                                                                  \
    " ldrb r5, [r1]\n ldrb r7, [r1, #1]\n ldrb r9, [r1, #2]\n adds r1, #3\n and r4, r5, #15\n"     \
    " lsr r5, r5, #4\n and r6, r7, #15\n lsr r7, r7, #4\n and r8, r9, #15\n lsr r9, r9, "          \
    "#4\n" LOOKUP_6
#define NEXT_PAIR " adds r1, #3\n bic r1, r1, #3\n"
#endif
#define CHANNEL_1 CHANNEL_0
#define NEXT_UNIT
#endif
/* Of these to the four places in the stream. */
#define WEIGHTS                                                                                    \
    " sadd16 r10, r4, r4\n sadd16 r11, r5, r5\n strd r10, r11, [r3], #8\n"                         \
    " sadd16 r10, r8, r8\n sadd16 r11, r9, r9\n strd r10, r11, [r12], #8\n"                        \
    " sadd16 r4, r4, r8\n sadd16 r5, r5, r9\n"                                                     \
    " sadd16 r10, r4, r6\n sadd16 r11, r5, r7\n strd r10, r11, [r0], #8\n"                         \
    " ssub16 r10, r4, r6\n ssub16 r11, r5, r7\n strd r10, r11, [r2], #8\n"
#define STORE                                                                                      \
    " asrs r2, r6\n asrs r4, r6\n asrs r3, r7\n asrs r5, r7\n"                                     \
    " ssat r2, #8, r2\n ssat r3, #8, r3\n ssat r4, #8, r4\n ssat r5, #8, r5\n"                     \
    " strb r2, [r8]\n strb r3, [r8, r10]\n strb r4, [r8, r9]\n strb r5, [r8, r11]\n"
#define LINK(label, to) " adr.w r5, " label "\n orr r5, #1\n str r5, [" to "]\n"
MCUQ_NAKED static void run_channels(MCUQ_NAKED_ARGUMENT const block_job *job)
{
    __asm volatile(
        "push {r4-r11, lr}\n"
        " sub sp, #88\n"
        " ldmia r0, {r1-r10}\n"
        " add r11, sp, #8\n"
        " stmia r11, {r1-r10}\n"
        " mov r4, #12\n"
        " udiv r5, r10, r4\n"
        " mls r6, r5, r4, r10\n"
        " str r5, [sp, #72]\n"
        " str r6, [sp, #76]\n"
        " lsl r11, r10, #4\n"
        " add r11, r11, r5, lsl #2\n"
        " adr.w r7, 2f\n"
        " orr r7, #1\n"
        " mov r8, r7\n"
        " cbz r6, 1f\n"
        " add r11, #4\n"
        " adr.w r8, 3f\n"
        " orr r8, #1\n"
        " mov r9, #40\n"
        " mls r8, r6, r9, r8\n"
        "1:\n"
        " strd r8, r7, [sp]\n"
        " add r2, #8\n"
        " add r2, r2, r11, lsl #2\n"
        " strd r11, r2, [sp, #48]\n"
        /* a pair of channels: its stream */
        "10:\n"
        " ldrd r1, r0, [sp, #8]\n"
        " ldmia r1!, {r4-r6}\n"
        " stmia r0!, {r4, r5}\n"
        " str r6, [sp, #80]\n"
        " ldr r12, [sp, #48]\n"
        " add r2, r0, r12\n"
        " add r3, r2, r12\n"
        " add r12, r3, r12\n"
        " ldrd r4, lr, [sp, #72]\n"
        " cmp lr, #0\n"
        " itt eq\n"
        " moveq lr, #12\n"
        " subeq r4, #1\n"
        " str r4, [sp, #84]\n"
        "11:\n" CHANNEL_0 WEIGHTS CHANNEL_1 WEIGHTS NEXT_UNIT " subs lr, #1\n"
        " bne.w 11b\n"
        " ldr r4, [sp, #84]\n"
        " cbz r4, 12f\n"
        " ldr r5, [sp, #4]\n"
        " str r5, [r0], #4\n"
        " str r5, [r2], #4\n"
        " str r5, [r3], #4\n"
        " str r5, [r12], #4\n"
        " subs r4, #1\n"
        " str r4, [sp, #84]\n"
        " mov lr, #12\n"
        " b.w 11b\n"
        "12:\n" NEXT_PAIR LINK("20f", "r0") LINK("21f", "r2") LINK("22f", "r3") LINK("23f", "r12")
        /* the state */
        " str r1, [sp, #8]\n"
        " ldr r0, [sp, #80]\n"
        " uxtb r6, r0\n"
        " ubfx r7, r0, #8, #8\n"
        " lsr r10, r0, #16\n"
        " ldrd r0, r8, [sp, #16]\n"
        " ldrd r9, lr, [sp, #32]\n"
        " lsl r9, r9, #1\n"
        " add r11, r9, r10\n"
        " ldr r12, [sp, #12]\n"
        " ldr r1, [sp, #52]\n"
        " stmia r1, {r6-r12, lr}\n"
        " add r2, r8, #2\n"
        " str r2, [sp, #20]\n"
        " mov r1, r12\n"
        " cmp r0, lr\n"
        " beq.w 6f\n"
        /* a pair of tiles */
        "7:\n"
        " ldmia r1!, {r2, r3}\n"
        " mov r4, r2\n"
        " mov r5, r3\n"
        " ldr pc, [sp]\n"
        ".balign 4\n"
        "2:\n" PRODUCTS_3 PRODUCTS_3 PRODUCTS_3 PRODUCTS_3 "3:\n" MCUQ_CODE_BYTES(
            "2", "3", "12 * 40") " ldr pc, [r1], #4\n"
                                 /* m2 and bias: keep them, and add m3 */
                                 ".balign 4\n"
                                 "20:\n"
                                 " add r6, sp, #56\n"
                                 " stmia r6, {r2-r5}\n"
                                 " ldr pc, [sp]\n"
                                 /* m2 + m3: keep m2 - m3, and add m1 */
                                 ".balign 4\n"
                                 "21:\n"
                                 " add r10, sp, #56\n"
                                 " ldmia r10, {r6-r9}\n"
                                 " rsb r6, r2, r6, lsl #1\n"
                                 " rsb r7, r3, r7, lsl #1\n"
                                 " rsb r8, r4, r8, lsl #1\n"
                                 " rsb r9, r5, r9, lsl #1\n"
                                 " stmia r10, {r6-r9}\n"
                                 " ldr pc, [sp]\n"
                                 /* the first outputs; then m2 - m3, and add m4 */
                                 ".balign 4\n"
                                 "22:\n"
                                 " ldr lr, [sp, #52]\n"
                                 " ldmia lr, {r6-r11}\n" STORE " ldr r12, [sp, #32]\n"
                                 " add r8, r12\n"
                                 " str r8, [lr, #8]\n"
                                 " add r12, sp, #56\n"
                                 " ldmia r12, {r2-r5}\n"
                                 " ldr pc, [sp]\n"
                                 /* the second outputs */
                                 ".balign 4\n"
                                 "23:\n"
                                 " ldmia r1, {r6-r12, lr}\n" STORE " ldr r2, [sp, #32]\n"
                                 " add r2, r2, r2, lsl #1\n"
                                 " add r8, r2\n"
                                 " str r8, [r1, #8]\n"
                                 " mov r1, r12\n"
                                 " cmp r0, lr\n"
                                 " bne.w 7b\n"
                                 /* whole pairs done: an odd tile once more, with a pitch of 0 */
                                 "6:\n"
                                 " cmp r9, #0\n"
                                 " beq 8f\n"
                                 " ldr r2, [sp, #28]\n"
                                 " cmp r2, #0\n"
                                 " beq 8f\n"
                                 " mov r9, #0\n"
                                 " mov r11, r10\n"
                                 " ldr r2, [sp, #40]\n"
                                 " add lr, r0, r2\n"
                                 " ldr r3, [sp, #52]\n"
                                 " stmia r3, {r6-r12, lr}\n"
                                 " b.w 7b\n"
                                 "8:\n"
                                 " ldr r2, [sp, #24]\n"
                                 " subs r2, #1\n"
                                 " str r2, [sp, #24]\n"
                                 " bne.w 10b\n"
                                 " add sp, #88\n"
                                 " pop {r4-r11, pc}\n");
}
#else
/* The weight of a column for input i of a channel; weights: those of the pair. */
static int32_t column_weight(const block_job *job, const int32_t *weights, int32_t channel,
                             int32_t i, int32_t column)
{
#if defined(MCUQ_CODED_BITS)
    const int32_t pair = 12 * (i / 4) + 6 * channel + 2 * column + (i & 1);
    return mcuq_coded_of_pair(weights, pair, i >> 1 & 1, job->stream);
#else
    (void)job;
    return ((const int8_t *)(const void *)weights)[24 * (i / 4) + 8 * column + 4 * channel + i % 4];
#endif
}

/* The weight of one of the four sums. */
static int32_t weight(const block_job *job, const int32_t *weights, int32_t channel, int32_t i,
                      int32_t sum)
{
    const int32_t g0 = column_weight(job, weights, channel, i, 0);
    const int32_t g1 = column_weight(job, weights, channel, i, 1);
    const int32_t g2 = column_weight(job, weights, channel, i, 2);
    const int32_t all[4] = {g0 + g1 + g2, g0 - g1 + g2, 2 * g0, 2 * g2};
    return all[sum];
}

static void run_tile(const block_job *job, const int32_t *weights, const int16_t *x,
                     int32_t channel, int8_t *out)
{
    static const int8_t order[4] = {0, 2, 1, 3};
    const int shift = (weights[2] >> (8 * channel)) & 31;
    int32_t m[4] = {0, 0, 0, 0};
    for (int32_t sum = 0; sum < 4; sum++) {
        for (int32_t i = 0; i < 4 * job->units; i++) {
            const int32_t at = sum * UNIT * job->units + UNIT * (i / 4) + order[i & 3];
            m[sum] += x[at] * weight(job, weights + 3, channel, i, sum);
        }
    }
    out[0] = mcuq_requant(weights[channel] + m[0] + m[1] + m[2], shift, -128, 127);
    out[job->pitch] = mcuq_requant(weights[channel] + m[0] - m[1] + m[3], shift, -128, 127);
}

static void run_channels(const block_job *job)
{
    const int32_t *weights = job->weights;
    for (int32_t c = 0; c < job->channel_pairs; c++) {
        const int16_t *x = job->x;
        const int32_t distance = weights[2] >> 16;
        int8_t *out = job->out + 2 * c;
        for (; x != job->x_end; x += job->size / 2, out += 4 * job->pitch) {
            for (int32_t i = 0; i < 4; i++) {
                run_tile(job, weights, x + 4 * (i >> 1), i & 1,
                         out + 2 * (i >> 1) * job->pitch + (i & 1) * distance);
            }
        }
        if (job->tail) {
            run_tile(job, weights, x, 0, out);
            run_tile(job, weights, x, 1, out + distance);
        }
        weights += 3 + (UNIT_BYTES * job->units + 3) / 4;
    }
}
#endif

/* The inputs of a tile that lies partly outside: rows of four columns. */
static __attribute__((noinline)) void gather(const mcuq_conv2d_winograd_params *p, const int8_t *in,
                                             int32_t y, int32_t x, int8_t *patch)
{
    for (int32_t row = y; row < y + p->kernel_h; row++) {
        for (int32_t column = x; column < x + 4; column++, patch += p->in_c) {
            if (row >= 0 && row < p->in_h && column >= 0 && column < p->in_w) {
                memcpy(patch, in + (row * p->in_w + column) * p->in_c, (size_t)p->in_c);
            } else {
                memset(patch, p->pad_value, (size_t)p->in_c);
            }
        }
    }
}

/* The tile whose first output is pixel `pixel`, at x. */
static void widen_tile(const mcuq_conv2d_winograd_params *p, const int8_t *in, int32_t pixel,
                       int16_t *to, int8_t *patch)
{
    const int32_t line = pixel / p->out_w;
    const int32_t y = line * p->stride_h - p->pad_top;
    const int32_t x = pixel - line * p->out_w - p->pad_left;
    const int32_t units = p->kernel_h * p->in_c / 4;
    tile_shape shape = {p->in_c, (p->in_w - 1) * p->in_c, p->kernel_h, 2 * UNIT * units};
    const int8_t *from = in + (y * p->in_w + x) * p->in_c;
    if (y < 0 || y + p->kernel_h > p->in_h || x < 0 || x + 4 > p->in_w) {
        gather(p, in, y, x, patch);
        from = patch;
        shape.skip = 3 * p->in_c;
    }
    transform(to, from, &shape);
}

/* Block after block of pixels; stream and all behind it: scratch of mcuq_conv2d_s8_dsp_winograd. */
static inline void run_blocks(const mcuq_conv2d_winograd_params *p, const int8_t *in, int8_t *out,
                              int32_t *stream)
{
    const int32_t units = p->kernel_h * p->in_c / 4;
    const int32_t size = PRODUCTS_4 * UNIT * units;
    int16_t *x = (int16_t *)(void *)(stream + 2 + STATE_WORDS +
                                     PRODUCTS_4 * (4 * units + (units + TURN - 1) / TURN));
    int8_t *patch = (int8_t *)(void *)(x + size / 4 * p->block);
    const int32_t pixels = p->out_h * p->out_w;
    block_job job = {p->weights, stream,   x, NULL,     (p->out_c + 1) >> 1,
                     0,          p->out_c, x, 2 * size, units};
    for (int32_t pixel = 0; pixel < pixels; pixel += p->block) {
        const int32_t count = (pixels - pixel < p->block) ? pixels - pixel : p->block;
        const int32_t tiles = count >> 1;
        for (int32_t tile = 0; tile < tiles + (tiles & 1); tile++) {
            const int32_t own = (tile < tiles) ? tile : tile - 1;
            int16_t *to = x + (tile >> 1) * size + 4 * (tile & 1);
            widen_tile(p, in, pixel + 2 * own, to, patch);
        }
        job.out = out + pixel * p->out_c;
        job.tail = tiles & 1;
        job.x_end = x + (tiles >> 1) * size;
        run_channels(&job);
        mcuq_dsp_clamp(job.out, count * p->out_c, p->out_min, p->out_max);
    }
}

#endif
