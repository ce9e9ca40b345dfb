#include "mcuq_depthwise_conv2d_block.h"
#include "mcuq_pair.h"
#include "mcuq_requant.h"

/* One channel, its outputs two at a time: those of rows y and y + band meet the same weights, so
 * their inputs share a pair word (mcuq_pair.h). A kernel row is a group, or where its weights sum
 * to more than 255, two: of two taps and of one. The assembly knows the members by their places:
 * all are words there. */
typedef struct {
    int32_t weights[9];
    uint32_t both; /* bias * (1 + 2^16) */
    int32_t bias, shift;
    int32_t high;      /* where the output of the high half lies from that of the low half */
    const int8_t *end; /* of the outputs of this row */
    int32_t row_bytes; /* from the end of a row to that of the next */
    int32_t in_skip;   /* bytes from the pair words behind a row to those of the next */
    int32_t rows;      /* to do, not 0 */
    int32_t pixel;     /* in_c */
    int8_t *out;       /* of the low half */
    const uint32_t *in[3];
} sweep;

#if defined(__thumb2__)

/* Armv7-M and up: 49 instructions and 63 cycles for two outputs, 18 products; 58 and 69 with rows
 * in two groups. r5 the sweep; r0-r2 pair words by kernel row; r3 out, r4 in_c; r8, r9 R and H;
 * r10-r12 pair words, then the groups' sums; r6, r7 (saved: it may be the frame pointer), lr
 * weights. */
/* clang-format off */
#define GROUP_END(a)                                                                               \
    "add r8, r8, " a "\n\tadd " a ", " a ", #0x8000\n\tadd r9, r9, " a ", asr #16\n\t"

/* next, second, third: to the next output's words; from there to the second and the third word. */
#define LOAD(row, w0, w1, w2, next, second, third)                                                 \
    "ldr r10, [" row "], #" next "\n\tldr r11, [" row ", #" second "]\n\t"                         \
    "ldr r12, [" row ", #" third "]\n\tldr r6, [r5, #" w0 "]\n\tldr r7, [r5, #" w1 "]\n\t"         \
    "ldr lr, [r5, #" w2 "]\n\tmul r10, r10, r6\n\tmla r10, r11, r7, r10\n\t"
#define LOAD_STRIDE_1(row, w0, w1, w2) LOAD(row, w0, w1, w2, "4", "0", "4")
#define LOAD_STRIDE_2(row, w0, w1, w2) LOAD(row, w0, w1, w2, "8", "-4", "0")

#define WHOLE "mla r10, r12, lr, r10\n\t" GROUP_END("r10")
#define SPLIT GROUP_END("r10") "mul r12, r12, lr\n\t" GROUP_END("r12")

#define SWEEP(LOAD_ROW, ROW)                                                                       \
    "push {r7}\n\t"                                                                                \
    "add r0, r5, #68\n\t"                                                                          \
    "ldmia r0, {r4, r6, r7, r8, r9}\n\t"                                                           \
    "mov r3, r6\n\tmov r0, r7\n\tmov r1, r8\n\tmov r2, r9\n"                                       \
    "1:\tldr r8, [r5, #36]\n\tldr r9, [r5, #40]\n\t"                                               \
    LOAD_ROW("r0", "0", "4", "8") ROW                                                              \
    LOAD_ROW("r1", "12", "16", "20") ROW                                                           \
    LOAD_ROW("r2", "24", "28", "32") ROW                                                           \
    "ldr r6, [r5, #44]\n\tldr r7, [r5, #48]\n\tldr r10, [r5, #52]\n\t"                             \
    "sub r8, r8, r9, lsl #16\n\t"                                                                  \
    "asr r9, r9, r6\n\tssat r9, #8, r9\n\tstrb r9, [r3, r7]\n\t"                                   \
    "asr r8, r8, r6\n\tssat r8, #8, r8\n\tstrb r8, [r3]\n\t"                                       \
    "add r3, r3, r4\n\tcmp r3, r10\n\tbne 1b\n\t"                                                  \
    "ldr r6, [r5, #56]\n\tldr r7, [r5, #60]\n\tldr r11, [r5, #64]\n\t"                             \
    "add r10, r10, r6\n\tstr r10, [r5, #52]\n\t"                                                   \
    "add r0, r0, r7\n\tadd r1, r1, r7\n\tadd r2, r2, r7\n\t"                                       \
    "subs r11, r11, #1\n\tstr r11, [r5, #64]\n\tbne 1b\n\t"                                        \
    "pop {r7}"
/* clang-format on */

#define RUN(sweep_pointer, LOAD_ROW, ROW)                                                          \
    do {                                                                                           \
        register sweep *r5 __asm__("r5") = (sweep_pointer);                                        \
        __asm__ volatile(SWEEP(LOAD_ROW, ROW)                                                      \
                         : "+&r"(r5)                                                               \
                         :                                                                         \
                         : "r0", "r1", "r2", "r3", "r4", "r6", "r8", "r9", "r10", "r11", "r12",    \
                           "lr", "cc", "memory");                                                  \
    } while (0)

static void run(sweep *s, int32_t stride, int32_t split)
{
    if (stride == 1) {
        if (split) {
            RUN(s, LOAD_STRIDE_1, SPLIT);
        } else {
            RUN(s, LOAD_STRIDE_1, WHOLE);
        }
    } else if (split) {
        RUN(s, LOAD_STRIDE_2, SPLIT);
    } else {
        RUN(s, LOAD_STRIDE_2, WHOLE);
    }
}

#else

static void run(sweep *s, int32_t stride, int32_t split)
{
    for (; s->rows > 0; s->rows--) {
        for (; s->out != s->end; s->out += s->pixel) {
            uint32_t all = s->both;
            uint32_t high = (uint32_t)s->bias;
            for (int32_t k = 0; k < 3; k++) {
                const int32_t *const w = s->weights + 3 * k;
                const uint32_t *const x = s->in[k];
                uint32_t group = x[0] * (uint32_t)w[0] + x[1] * (uint32_t)w[1];
                const uint32_t third = x[2] * (uint32_t)w[2];
                if (split) {
                    all += group;
                    high += mcuq_pair_high(group);
                    group = 0;
                }
                group += third;
                all += group;
                high += mcuq_pair_high(group);
                s->in[k] += stride;
            }
            s->out[s->high] = mcuq_requant_s8((int32_t)high, s->shift);
            s->out[0] = mcuq_requant_s8((int32_t)(all - (high << 16)), s->shift);
        }
        s->end += s->row_bytes;
        for (int32_t k = 0; k < 3; k++) {
            s->in[k] += s->in_skip / 4;
        }
    }
}

#endif

/* The rows of a channel's plane of pair words whose two input rows lie in the image: first to
 * last - 1. Their words are those of the input's columns: `columns`, behind pad_left pads. */
typedef struct {
    int32_t first, last, columns, apart; /* apart: from the low input row to the high one */
} inside;

static int32_t least(int32_t a, int32_t b)
{
    return (a < b) ? a : b;
}

/* Input row y of a channel, or a row of pads: where it lies, and its step. */
static const int8_t *input_row(const mcuq_depthwise_conv2d_block_params *p, const int8_t *in,
                               int32_t y, int32_t *step)
{
    const int32_t found = y >= 0 && y < p->in_h;
    *step = found ? p->in_c : 0;
    return found ? in + y * p->in_w * p->in_c : &p->pad_value;
}

/* The input rows of some words of the plane, and how far their pixels lie apart: 0 of pads. */
typedef struct {
    const int8_t *low, *high;
    int32_t low_step, high_step;
} source;

#if defined(__thumb2__)

/* x[0..columns) = pair words, columns > 0; `from` moves behind the pixels read. Two words a turn,
 * 11 instructions; an odd one first. */
static inline uint32_t *merge(source *from, int32_t columns, uint32_t *x)
{
    const int8_t *low = from->low;
    const int8_t *high = from->high;
    int32_t low_0;
    int32_t low_1;
    int32_t high_0;
    int32_t high_1;
    __asm__ volatile("lsrs %[n], %[n], #1\n\t"
                     "bcc 2f\n\t"
                     "ldrsb %[l0], [%[l]]\n\t"
                     "ldrsb %[h0], [%[h]]\n\t"
                     "add %[l], %[l], %[ls]\n\t"
                     "add %[h], %[h], %[hs]\n\t"
                     "add %[l0], %[l0], %[h0], lsl #16\n\t"
                     "str %[l0], [%[x]], #4\n\t"
                     "cmp %[n], #0\n\t"
                     "beq 3f\n"
                     "2:\tldrsb %[l0], [%[l]]\n\t"
                     "ldrsb %[l1], [%[l], %[ls]]\n\t"
                     "ldrsb %[h0], [%[h]]\n\t"
                     "ldrsb %[h1], [%[h], %[hs]]\n\t"
                     "add %[l], %[l], %[ls], lsl #1\n\t"
                     "add %[h], %[h], %[hs], lsl #1\n\t"
                     "add %[l0], %[l0], %[h0], lsl #16\n\t"
                     "add %[l1], %[l1], %[h1], lsl #16\n\t"
                     "str %[l0], [%[x]], #8\n\t"
                     "str %[l1], [%[x], #-4]\n\t"
                     "subs %[n], %[n], #1\n\t"
                     "bne 2b\n"
                     "3:"
                     : [l] "+&r"(low), [h] "+&r"(high), [x] "+&r"(x), [n] "+&r"(columns),
                       [l0] "=&r"(low_0), [l1] "=&r"(low_1), [h0] "=&r"(high_0), [h1] "=&r"(high_1)
                     : [ls] "r"(from->low_step), [hs] "r"(from->high_step)
                     : "cc", "memory");
    from->low = low;
    from->high = high;
    return x;
}

#else

static inline uint32_t *merge(source *from, int32_t columns, uint32_t *x)
{
    for (; columns > 0; columns--) {
        *x++ = mcuq_pair(*from->low, *from->high);
        from->low += from->low_step;
        from->high += from->high_step;
    }
    return x;
}

#endif

/* Row i of the plane, at least one of whose input rows may be pads. */
static void fill_row(const mcuq_depthwise_conv2d_block_params *p, const int8_t *in,
                     const inside *whole, int32_t i, uint32_t *x)
{
    source from;
    from.low = input_row(p, in, i - p->pad_top, &from.low_step);
    from.high = input_row(p, in, i - p->pad_top + whole->apart, &from.high_step);
    merge(&from, whole->columns, x);
}

/* The rows of the plane that need no pads above or below; x and low at the first of them. */
static void fill_inside(const mcuq_depthwise_conv2d_block_params *p, const int8_t *low,
                        const inside *whole, uint32_t *x)
{
    const int32_t pixel = p->in_c;
    const int32_t columns = whole->columns;
    const int32_t in_skip = (p->in_w - columns) * pixel;
    const int32_t x_skip = p->wide - columns;
    source from = {low, low + whole->apart * p->in_w * pixel, pixel, pixel};
    for (int32_t rows = whole->last - whole->first; rows > 0; rows--) {
        x = merge(&from, columns, x) + x_skip;
        from.low += in_skip;
        from.high += in_skip;
    }
}

static void fill(const mcuq_depthwise_conv2d_block_params *p, const int8_t *in, const inside *whole,
                 uint32_t *x)
{
    uint32_t *const first = x + p->pad_left;
    if (whole->columns <= 0) {
        return;
    }
    for (int32_t i = 0; i < whole->first; i++) {
        fill_row(p, in, whole, i, first + i * p->wide);
    }
    fill_inside(p, in + (whole->first - p->pad_top) * p->in_w * p->in_c, whole,
                first + whole->first * p->wide);
    for (int32_t i = whole->last; i < p->lines; i++) {
        fill_row(p, in, whole, i, first + i * p->wide);
    }
}

/* Where no input row is paired with another, all rows are as good as padded. */
static inside find_inside(const mcuq_depthwise_conv2d_block_params *p)
{
    inside whole;
    whole.apart = p->band * p->stride_h;
    whole.columns = least(p->in_w, p->wide - p->pad_left);
    whole.first = least(p->pad_top, p->lines);
    whole.last = least(p->pad_top + p->in_h - whole.apart, p->lines);
    if (whole.last < whole.first) {
        whole.last = whole.first;
    }
    return whole;
}

/* `rows` pairs of rows of a channel, from row `first` on; the outputs of the high half lie `high`
 * bytes on, or, written first, are overwritten by those of the low half. */
static void run_rows(const mcuq_depthwise_conv2d_block_params *p, sweep *s, int32_t first,
                     int32_t rows, int32_t high, const uint32_t *x, int8_t *out, int32_t split)
{
    if (rows == 0) {
        return;
    }
    x += first * p->stride_h * p->wide;
    for (int32_t k = 0; k < 3; k++) {
        s->in[k] = x;
        x += p->dilation_h * p->wide;
    }
    s->out = out + first * s->row_bytes;
    s->end = s->out + s->row_bytes;
    s->rows = rows;
    s->high = high;
    run(s, p->stride_w, split);
}

/* The outputs of channel c; the last row of an odd number has no other half. */
static void run_channel(const mcuq_depthwise_conv2d_block_params *p, int32_t c, const uint32_t *x,
                        int8_t *out)
{
    const int32_t odd = p->out_h & 1;
    const int32_t split = p->shift[c] & 32;
    const uint32_t bias = (uint32_t)p->bias[c];
    sweep s;
    for (int32_t i = 0; i < 9; i += 3) {
        const int32_t w0 = p->weights[9 * c + i];
        const int32_t w1 = p->weights[9 * c + i + 1];
        const int32_t w2 = p->weights[9 * c + i + 2];
        s.weights[i] = w0;
        s.weights[i + 1] = w1;
        s.weights[i + 2] = w2;
    }
    s.both = bias + (bias << 16);
    s.bias = p->bias[c];
    s.shift = p->shift[c] & 31;
    s.row_bytes = p->out_w * p->in_c;
    s.in_skip = 4 * (p->stride_h * p->wide - p->out_w * p->stride_w);
    s.pixel = p->in_c;
    run_rows(p, &s, 0, p->band - odd, p->band * s.row_bytes, x, out + c, split);
    run_rows(p, &s, p->band - odd, odd, 0, x, out + c, split);
}

void mcuq_depthwise_conv2d_s8_block_3x3_pair(const mcuq_depthwise_conv2d_block_params *p,
                                             const int8_t *in, int8_t *out, void *scratch)
{
    uint32_t *const x = scratch;
    const inside whole = find_inside(p);
    for (int32_t i = 0; i < p->lines * p->wide; i++) {
        x[i] = mcuq_pair(p->pad_value, p->pad_value);
    }
    for (int32_t c = 0; c < p->in_c; c++) {
        fill(p, in + c, &whole, x);
        run_channel(p, c, x, out);
    }
    if (p->narrow) {
        for (int32_t i = 0; i < p->out_h * p->out_w * p->in_c; i++) {
            out[i] = (int8_t)mcuq_clamp(out[i], p->out_min, p->out_max);
        }
    }
}
