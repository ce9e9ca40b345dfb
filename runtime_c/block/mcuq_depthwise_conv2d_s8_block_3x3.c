#include "mcuq_band.h"
#include "mcuq_pair.h"
#include "mcuq_requant.h"

/* One channel of a band, its outputs two at a time along the rows. The assembly knows the members
 * by their places: all are words there. */
typedef struct {
    int32_t weights[9];
    int32_t bias, shift;
    int8_t *out;
    const int8_t *end;   /* of the outputs of this row */
    int32_t row_bytes;   /* output bytes that a row's pairs span */
    int32_t out_skip;    /* output bytes between the pairs of two rows */
    int32_t in_skip;     /* input bytes from the last pair of a row to the first of the next */
    int32_t rows;        /* to do */
    int32_t pixel;       /* in_c */
    int32_t pair;        /* input bytes from one pair of outputs to the next */
    const int8_t *in[3]; /* where the kernel rows of the next pair begin */
} sweep;

#if defined(__thumb__) && !defined(__thumb2__)

/* Armv6-M, stride 1: 85 instructions for a pair, 18 products; stride 2: 91. The first 17 words of
 * the sweep lie on the stack, where a weight takes one instruction. r0 input row, then output;
 * r1-r3 1, 2, 3 pixels, r4 0 or 4; r5, r6 inputs; r7 weight (saved: it may be the frame pointer);
 * r8-r10 kernel rows; r11, r12 sums of the two outputs; lr bytes to the next pair. */
/* clang-format off */
#define LOAD(x, offset) "ldrsb " x ", [r0, " offset "]\n\t"
#define WEIGHT(place) "ldr r7, [sp, #" place "]\n\t"
#define FIRST(x) "muls " x ", r7\n\tadd r11, " x "\n\t"
#define SECOND(x) "muls r7, " x "\n\tadd r12, r7\n\t"
#define SATURATE(x, label)                                                                         \
    "sxtb r0, " x "\n\tcmp r0, " x "\n\tbeq " label "f\n\t"                                        \
    "asrs " x ", " x ", #31\n\tmovs r0, #127\n\teors " x ", r0\n" label ":\t"

#define ROW_STRIDE_1(row, w0, w1, w2)                                                              \
    "mov r0, " row "\n\t"                                                                          \
    LOAD("r5", "r4") LOAD("r6", "r1")                                                              \
    WEIGHT(w0) FIRST("r5") SECOND("r6")                                                            \
    LOAD("r5", "r2")                                                                               \
    WEIGHT(w1) FIRST("r6") SECOND("r5")                                                            \
    LOAD("r6", "r3")                                                                               \
    WEIGHT(w2) FIRST("r5") SECOND("r6")

#define ROW_STRIDE_2(row, w0, w1, w2)                                                              \
    "mov r0, " row "\n\t"                                                                          \
    "ldrb r5, [r0]\n\t"                                                                            \
    "sxtb r5, r5\n\t"                                                                              \
    LOAD("r6", "r2")                                                                               \
    WEIGHT(w0) FIRST("r5") SECOND("r6")                                                            \
    LOAD("r5", "r1")                                                                               \
    WEIGHT(w1) FIRST("r5") LOAD("r5", "r3") SECOND("r5")                                           \
    WEIGHT(w2) FIRST("r6") LOAD("r6", "r4") SECOND("r6")

/* Pixel and pair (words 17, 18) and the kernel rows to registers, words 0-16 to the stack. */
#define SWEEP_BEGIN                                                                                \
    ".syntax unified\n\t"                                                                          \
    "push {r7}\n\t"                                                                                \
    "adds r0, #68\n\t"                                                                             \
    "ldmia r0!, {r1, r2, r3, r4, r5}\n\t"                                                          \
    "mov lr, r2\n\tmov r8, r3\n\tmov r9, r4\n\tmov r10, r5\n\t"                                    \
    "subs r0, #44\n\tldmia r0!, {r2, r3, r4, r5, r6, r7}\n\tpush {r2, r3, r4, r5, r6, r7}\n\t"     \
    "subs r0, #44\n\tldmia r0!, {r3, r4, r5, r6, r7}\n\tpush {r3, r4, r5, r6, r7}\n\t"             \
    "subs r0, #44\n\tldmia r0!, {r2, r3, r4, r5, r6, r7}\n\tpush {r2, r3, r4, r5, r6, r7}\n\t"     \
    "lsls r2, r1, #1\n\t"                                                                          \
    "adds r3, r2, r1\n\t"

/* bias; three rows; shift, saturate, out; end. */
#define PAIR(ROW)                                                                                  \
    "1:\tldr r7, [sp, #36]\n\t"                                                                    \
    "mov r11, r7\n\t"                                                                              \
    "mov r12, r7\n\t"                                                                              \
    ROW("r8", "0", "4", "8")                                                                       \
    ROW("r9", "12", "16", "20")                                                                    \
    ROW("r10", "24", "28", "32")                                                                   \
    "ldr r7, [sp, #40]\n\t"                                                                        \
    "mov r5, r11\n\tasrs r5, r7\n\t"                                                              \
    "mov r6, r12\n\tasrs r6, r7\n\t"                                                              \
    SATURATE("r5", "2")                                                                            \
    SATURATE("r6", "3")                                                                            \
    "ldr r0, [sp, #44]\n\t"                                                                        \
    "strb r5, [r0]\n\tstrb r6, [r0, r1]\n\t"                                                      \
    "adds r0, r0, r2\n\tstr r0, [sp, #44]\n\t"                                                    \
    "add r8, lr\n\tadd r9, lr\n\tadd r10, lr\n\t"                                                 \
    "ldr r7, [sp, #48]\n\tcmp r0, r7\n\tbne 1b\n\t"

/* out_skip, row_bytes, in_skip, rows. */
#define SWEEP_END                                                                                  \
    "ldr r5, [sp, #56]\n\tadds r0, r0, r5\n\tstr r0, [sp, #44]\n\t"                                \
    "ldr r5, [sp, #52]\n\tadds r0, r0, r5\n\tstr r0, [sp, #48]\n\t"                                \
    "ldr r5, [sp, #60]\n\tadd r8, r5\n\tadd r9, r5\n\tadd r10, r5\n\t"                            \
    "ldr r5, [sp, #64]\n\tsubs r5, #1\n\tstr r5, [sp, #64]\n\tbne 1b\n\t"                         \
    "add sp, #68\n\tpop {r7}"
/* clang-format on */

#define SWEEP_CLOBBERS                                                                             \
    "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory"

static void sweep_stride_1(sweep *s)
{
    register sweep *r0 __asm__("r0") = s;
    __asm__ volatile(SWEEP_BEGIN "movs r4, #0\n" PAIR(ROW_STRIDE_1) SWEEP_END
                     : "+&r"(r0)
                     :
                     : SWEEP_CLOBBERS);
}

static void sweep_stride_2(sweep *s)
{
    register sweep *r0 __asm__("r0") = s;
    __asm__ volatile(SWEEP_BEGIN "lsls r4, r1, #2\n" PAIR(ROW_STRIDE_2) SWEEP_END
                     : "+&r"(r0)
                     :
                     : SWEEP_CLOBBERS);
}

#elif defined(__thumb2__)

/* Armv7-M and up, stride 1: 53 instructions for a pair, 18 products; stride 2: 56. r0 the sweep;
 * r1-r3 kernel rows; r4, r5 1 and 3 pixels; r6, r8 sums of the two outputs; r9, r10 weights;
 * r11, r12, lr inputs. */
/* clang-format off */
#define LOAD(x, offset) "ldrsb " x ", [" offset "]\n\t"
#define BOTH(x, y, weight) "mla r6, " x ", " weight ", r6\n\tmla r8, " y ", " weight ", r8\n\t"
#define WEIGHTS(place) "ldrd r9, r10, [r0, #" place "]\n\t"
#define LAST_WEIGHT "ldr r9, [r0, #32]\n\t"

/* next1, next2: load weights before the second and before the third tap. */
#define ROW_STRIDE_1(row, w0, next1, w1, next2, w2)                                                \
    LOAD("r11", row) LOAD("r12", row ", r4") LOAD("lr", row ", r4, lsl #1")                        \
    BOTH("r11", "r12", w0)                                                                         \
    LOAD("r11", row ", r5")                                                                        \
    next1 BOTH("r12", "lr", w1)                                                                    \
    next2 BOTH("lr", "r11", w2)

#define ROW_STRIDE_2(row, w0, next1, w1, next2, w2)                                                \
    LOAD("r11", row) LOAD("lr", row ", r4, lsl #1")                                                \
    BOTH("r11", "lr", w0)                                                                          \
    LOAD("r11", row ", r4") LOAD("r12", row ", r5")                                                \
    next1 BOTH("r11", "r12", w1)                                                                   \
    LOAD("r11", row ", r4, lsl #2")                                                                \
    next2 BOTH("lr", "r11", w2)

/* bias; three rows; shift, saturate, out; end. */
#define PAIR(ROW, advance)                                                                         \
    "1:\tldr r6, [r0, #36]\n\t"                                                                    \
    "mov r8, r6\n\t"                                                                               \
    WEIGHTS("0") ROW("r1", "r9", "", "r10", WEIGHTS("8"), "r9")                                    \
    ROW("r2", "r10", WEIGHTS("16"), "r9", "", "r10")                                               \
    WEIGHTS("24") ROW("r3", "r9", "", "r10", LAST_WEIGHT, "r9")                                    \
    "ldrd r9, r10, [r0, #40]\n\t"                                                                  \
    "asr r6, r6, r9\n\tssat r6, #8, r6\n\tstrb r6, [r10]\n\t"                                     \
    "asr r8, r8, r9\n\tssat r8, #8, r8\n\tstrb r8, [r10, r4]\n\t"                                 \
    "add r10, r10, r4, lsl #1\n\tstr r10, [r0, #44]\n\t"                                          \
    "add r1, r1, r4, lsl #" advance "\n\t"                                                         \
    "add r2, r2, r4, lsl #" advance "\n\t"                                                         \
    "add r3, r3, r4, lsl #" advance "\n\t"                                                         \
    "ldr r9, [r0, #48]\n\tcmp r10, r9\n\tbne 1b\n\t"

#define SWEEP_BEGIN                                                                                \
    "ldr r4, [r0, #68]\n\t"                                                                        \
    "add r5, r4, r4, lsl #1\n\t"                                                                   \
    "add r3, r0, #76\n\t"                                                                          \
    "ldmia r3, {r1, r2, r3}\n"

/* row_bytes and out_skip; in_skip and rows. */
#define SWEEP_END                                                                                  \
    "ldrd r9, r11, [r0, #52]\n\t"                                                                  \
    "add r10, r10, r11\n\tadd r9, r9, r10\n\tstrd r10, r9, [r0, #44]\n\t"                         \
    "ldrd r9, r11, [r0, #60]\n\t"                                                                  \
    "add r1, r1, r9\n\tadd r2, r2, r9\n\tadd r3, r3, r9\n\t"                                      \
    "subs r11, r11, #1\n\tstr r11, [r0, #64]\n\tbne 1b"
/* clang-format on */

#define SWEEP_CLOBBERS                                                                             \
    "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory"

static void sweep_stride_1(sweep *s)
{
    register sweep *r0 __asm__("r0") = s;
    __asm__ volatile(SWEEP_BEGIN PAIR(ROW_STRIDE_1, "1") SWEEP_END : "+&r"(r0) : : SWEEP_CLOBBERS);
}

static void sweep_stride_2(sweep *s)
{
    register sweep *r0 __asm__("r0") = s;
    __asm__ volatile(SWEEP_BEGIN PAIR(ROW_STRIDE_2, "2") SWEEP_END : "+&r"(r0) : : SWEEP_CLOBBERS);
}

#else

/* Adds one kernel row to the sums of two outputs whose kernels start 1 or 2 pixels from one
 * another. */
static inline void add_row(const int8_t *x, int32_t pixel, int32_t apart, const int32_t weights[3],
                           int32_t sums[2])
{
    const int32_t in0 = x[0];
    const int32_t in1 = *(x += pixel);
    const int32_t in2 = *(x += pixel);
    const int32_t in3 = *(x += pixel);
    const int32_t in4 = (apart == 2) ? x[pixel] : 0;
    sums[0] += weights[0] * in0 + weights[1] * in1 + weights[2] * in2;
    if (apart == 1) {
        sums[1] += weights[0] * in1 + weights[1] * in2 + weights[2] * in3;
    } else {
        sums[1] += weights[0] * in2 + weights[1] * in3 + weights[2] * in4;
    }
}

static inline void sweep_pairs(sweep *s, int32_t apart)
{
    const int32_t pixel = s->pixel;
    const int32_t pair = s->pair;
    const int32_t bias = s->bias;
    const int32_t shift = s->shift;
    const int8_t *x0 = s->in[0];
    const int8_t *x1 = s->in[1];
    const int8_t *x2 = s->in[2];
    const int32_t w[9] = {s->weights[0], s->weights[1], s->weights[2], s->weights[3], s->weights[4],
                          s->weights[5], s->weights[6], s->weights[7], s->weights[8]};
    int8_t *out = s->out;
    for (int32_t rows = s->rows; rows > 0; rows--) {
        const int8_t *const end = out + s->row_bytes;
        for (; out != end; out += 2 * pixel) {
            int32_t sums[2] = {bias, bias};
            add_row(x0, pixel, apart, w, sums);
            add_row(x1, pixel, apart, w + 3, sums);
            add_row(x2, pixel, apart, w + 6, sums);
            out[0] = mcuq_requant_s8(sums[0], shift);
            out[pixel] = mcuq_requant_s8(sums[1], shift);
            x0 += pair;
            x1 += pair;
            x2 += pair;
        }
        out += s->out_skip;
        x0 += s->in_skip;
        x1 += s->in_skip;
        x2 += s->in_skip;
    }
}

static void sweep_stride_1(sweep *s)
{
    sweep_pairs(s, 1);
}

static void sweep_stride_2(sweep *s)
{
    sweep_pairs(s, 2);
}

#endif

static inline int32_t row_sum(const int8_t *x, int32_t pixel, const int32_t weights[3])
{
    return weights[0] * x[0] + weights[1] * x[pixel] + weights[2] * x[2 * pixel];
}

/* The first column of a channel, where the width is odd. */
static void run_column(const sweep *s, int32_t down, int32_t out_down)
{
    const int32_t pixel = s->pixel;
    const int32_t *const w = s->weights;
    int32_t offset = 0;
    int8_t *out = s->out;
    for (int32_t rows = s->rows; rows > 0; rows--) {
        int32_t acc = s->bias;
        acc += row_sum(s->in[0] + offset, pixel, w);
        acc += row_sum(s->in[1] + offset, pixel, w + 3);
        acc += row_sum(s->in[2] + offset, pixel, w + 6);
        *out = mcuq_requant_s8(acc, s->shift);
        out += out_down;
        offset += down;
    }
}

/* Channel c of `count` output rows. */
static void run_channel(const mcuq_depthwise_conv2d_block_params *p, int32_t c, int32_t count,
                        const int8_t *rows, int8_t *out)
{
    const int32_t pitch = p->wide * p->in_c;
    const int32_t odd = p->out_w & 1;
    const int32_t down = p->stride_h * pitch;
    sweep s;
    for (int32_t i = 0; i < 9; i++) {
        s.weights[i] = p->weights[9 * c + i];
    }
    for (int32_t k = 0; k < 3; k++) {
        s.in[k] = rows + c + k * p->dilation_h * pitch;
    }
    s.bias = p->bias[c];
    s.shift = p->shift[c];
    s.out = out + c;
    s.rows = count;
    s.pixel = p->in_c;
    if (odd) {
        run_column(&s, down, p->out_w * p->in_c);
        s.out += p->in_c;
        for (int32_t k = 0; k < 3; k++) {
            s.in[k] += p->stride_w * p->in_c;
        }
    }
    const int32_t pairs = p->out_w >> 1;
    if (pairs == 0) {
        return;
    }
    s.pair = 2 * p->stride_w * p->in_c;
    s.row_bytes = 2 * pairs * p->in_c;
    s.end = s.out + s.row_bytes;
    s.out_skip = odd * p->in_c;
    s.in_skip = down - pairs * s.pair;
    if (p->stride_w == 1) {
        sweep_stride_1(&s);
    } else {
        sweep_stride_2(&s);
    }
}

static void clamp_all(const mcuq_depthwise_conv2d_block_params *p, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        out[i] = (int8_t)mcuq_clamp(out[i], p->out_min, p->out_max);
    }
}

void mcuq_depthwise_conv2d_s8_block_3x3(const mcuq_depthwise_conv2d_block_params *p,
                                        const int8_t *in, int8_t *out, void *scratch)
{
    int8_t *const rows = scratch;
    const int32_t row_bytes = p->out_w * p->in_c;
    for (int32_t first = 0; first < p->out_h; first += p->band) {
        const int32_t left = p->out_h - first;
        const int32_t count = (left < p->band) ? left : p->band;
        mcuq_band_fill(p, in, first, rows);
        for (int32_t c = 0; c < p->in_c; c++) {
            run_channel(p, c, count, rows, out);
        }
        if (p->narrow) {
            clamp_all(p, out, count * row_bytes);
        }
        out += count * row_bytes;
    }
}
