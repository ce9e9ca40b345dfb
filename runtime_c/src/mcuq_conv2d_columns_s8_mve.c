#include "mcuq_conv2d_columns_mve.h"
#include "mcuq_mve.h"

/** What blocks of four pixels are made from; the assembly knows this order. */
typedef struct {
    const int8_t *minus_shift;
    int8_t *out;
    int32_t out_step[3]; /* bytes from an output pixel to the next */
    int32_t rest;        /* channels % 4 */
    const int32_t *bias;
    const int8_t *weights;
    int32_t *acc; /* [channel][4 pixels] */
    int32_t out_min, out_max;
    int32_t fours; /* channels / 4 */
    int32_t pitch; /* bytes from a pixel to the next */
    const int8_t *x_end;
    int32_t *acc_end;
    int32_t code; /* bytes of the steps that are run, without the last one */
    int32_t steps;
} job;

#if defined(__ARM_FEATURE_MVE)

/* clang-format off */
#define LOAD_WEIGHTS "vldrb.u8 q1, [r9], #16\n vldrb.u8 q2, [r9], #16\n"
/** One pixel's products with both channels. */
#define PIXEL(x, at, a, b) "vldrb.u8 q0, [" x ", #" at "]\n" \
    "vmladava.s8 " a ", q0, q1\n vmladava.s8 " b ", q0, q2\n"
#define THREE_PIXELS(at) LOAD_WEIGHTS PIXEL("r1", at, "r0", "r8") PIXEL("r3", at, "r2", "r10") \
    PIXEL("r5", at, "r4", "r12")
/** 16 k of 4 pixels x 2 channels: 14 instructions (56 bytes) for 128 MACs. */
#define STEP(at) THREE_PIXELS(at) PIXEL("r7", at, "r6", "lr")
/** As STEP for the step before the last, whose fourth pixel stays in q3. */
#define STEP_15 THREE_PIXELS("104") "vmladava.s8 r6, q3, q1\n vmladava.s8 lr, q3, q2\n"
/** As STEP for the last step, whose pixels stay in q4-q7; it comes first and starts the sums. */
#define STEP_16 LOAD_WEIGHTS \
    "vmladav.s8 r0, q4, q1\n vmladav.s8 r8, q4, q2\n vmladav.s8 r2, q5, q1\n" \
    "vmladav.s8 r10, q5, q2\n vmladav.s8 r4, q6, q1\n vmladav.s8 r12, q6, q2\n" \
    "vmladav.s8 r6, q7, q1\n vmladav.s8 lr, q7, q2\n"
#define STEPS_1_TO_14 STEP("-120") STEP("-104") STEP("-88") STEP("-72") STEP("-56") STEP("-40") \
    STEP("-24") STEP("-8") STEP("8") STEP("24") STEP("40") STEP("56") STEP("72") STEP("88")
/** 4 channels of 4 pixels: 26 instructions for 16 outputs; pixels are stored last to first, so that
 *  where pointers of missing pixels repeat the last one, its own value wins. */
#define FOUR_OUTPUTS \
    "vldrw.u32 q7, [r8], #16\n vldrb.s32 q4, [r2], #4\n" \
    "vld40.32 {q0, q1, q2, q3}, [r10]\n vld41.32 {q0, q1, q2, q3}, [r10]\n" \
    "vld42.32 {q0, q1, q2, q3}, [r10]\n vld43.32 {q0, q1, q2, q3}, [r10]!\n" \
    "vadd.i32 q3, q3, q7\n vshl.s32 q3, q3, q4\n vmax.s32 q3, q3, q5\n vmin.s32 q3, q3, q6\n" \
    "vadd.i32 q2, q2, q7\n vshl.s32 q2, q2, q4\n vmax.s32 q2, q2, q5\n vmin.s32 q2, q2, q6\n" \
    "vadd.i32 q1, q1, q7\n vshl.s32 q1, q1, q4\n vmax.s32 q1, q1, q5\n vmin.s32 q1, q1, q6\n" \
    "vadd.i32 q0, q0, q7\n vshl.s32 q0, q0, q4\n vmax.s32 q0, q0, q5\n vmin.s32 q0, q0, q6\n"
/* clang-format on */

/** All output channels of `blocks` blocks from pixel x on. A pair of channels takes 14 instructions
 *  a step, less 5 for vectors that stay, and 5; four channels 27; a block 24 besides.
 *  r0 job; r1 r3 r5 r7 pixels, biased so that offsets reach all 16 steps; r9 weights; r11 acc; even
 *  registers are sums. On the stack: job, where the second step starts, end of acc, r7. */
static void run_blocks(job *j, const int8_t *x, int32_t pitch, int32_t blocks)
{
    register job *at __asm("r0") = j;
    register const int8_t *from __asm("r1") = x + 16 * j->steps - 136;
    register int32_t step __asm("r3") = pitch;
    j->pitch = pitch;
    j->x_end = from + 4 * pitch * blocks;
    __asm volatile("adr.w r2, 3f\n ldrd r4, r5, [r0, #56]\n subs r2, r2, r5\n orr r2, r2, #1\n"
                   "push {r0, r2, r4, r7}\n"
                   "1: ldrd r9, r11, [r0, #28]\n"
                   "add r5, r1, r3, lsl #1\n add r7, r5, r3\n add r3, r1\n"
                   "vldrb.u8 q4, [r1, #120]\n vldrb.u8 q5, [r3, #120]\n vldrb.u8 q6, [r5, #120]\n"
                   "vldrb.u8 q7, [r7, #120]\n vldrb.u8 q3, [r7, #104]\n"
                   "2:\n" STEP_16 "ldr pc, [sp, #4]\n" STEPS_1_TO_14 STEP_15
                   "3: stmia r11!, " MCUQ_MVE_ACC "\n ldr r0, [sp, #8]\n cmp r11, r0\n bne.w 2b\n"
                   "ldr r0, [sp]\n ldm r0, {r2-r12, lr}\n add r4, r3\n add r5, r4\n add r6, r5\n"
                   "vdup.32 q5, r11\n vdup.32 q6, r12\n wls lr, lr, 5f\n"
                   "4:\n" FOUR_OUTPUTS "vstrb.32 q3, [r6], #4\n vstrb.32 q2, [r5], #4\n"
                   "vstrb.32 q1, [r4], #4\n vstrb.32 q0, [r3], #4\n le lr, 4b\n"
                   "5: cbz r7, 6f\n vctp.32 r7\n" FOUR_OUTPUTS
                   "vpstttt\n vstrbt.32 q3, [r6]\n vstrbt.32 q2, [r5]\n"
                   "vstrbt.32 q1, [r4]\n vstrbt.32 q0, [r3]\n"
                   "6: add r6, r7\n str r6, [r0, #4]\n ldrd r3, r4, [r0, #48]\n"
                   "add r1, r1, r3, lsl #2\n cmp r1, r4\n bne.w 1b\n"
                   "pop {r0, r2, r4, r7}\n"
                   : "+r"(at), "+r"(from), "+r"(step)
                   :
                   : "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "r2", "r4", "r5", "r6", "r8",
                     "r9", "r10", "r11", "r12", "lr", "cc", "memory");
}

/** Vectors of 16 bytes, `from_step` apart, to their places: byte k to to[offsets[k]], the next ones
 *  `to_step` on; `bytes` in all, the last vector need not be full. */
static inline void spread(int8_t *to, int32_t to_step, const int8_t *from, int32_t from_step,
                          const uint8_t *offsets, int32_t bytes)
{
    __asm volatile("vldrb.u8 q1, [%[offsets]]\n dlstp.8 lr, %[bytes]\n"
                   "1: vldrb.u8 q0, [%[from]]\n vstrb.8 q0, [%[to], q1]\n"
                   "add %[from], %[from_step]\n add %[to], %[to_step]\n letp lr, 1b\n"
                   : [to] "+r"(to), [from] "+r"(from)
                   : [to_step] "r"(to_step), [from_step] "r"(from_step), [offsets] "r"(offsets),
                     [bytes] "r"(bytes)
                   : "q0", "q1", "lr", "cc", "memory");
}

/** The first `bytes` of 16 at `count` places. */
static inline void fill(int8_t *to, int32_t to_step, int32_t value, int32_t bytes, int32_t count)
{
    __asm volatile(
        "vdup.8 q0, %[value]\n vctp.8 %[bytes]\n dls lr, %[count]\n"
        "1: vpst\n vstrbt.8 q0, [%[to]]\n add %[to], %[to_step]\n le lr, 1b\n"
        : [to] "+r"(to)
        : [to_step] "r"(to_step), [value] "r"(value), [bytes] "r"(bytes), [count] "r"(count)
        : "q0", "lr", "cc", "memory");
}

#else

static int32_t dot(const job *j, const int8_t *x, int32_t channel)
{
    const int8_t *const row = j->weights + channel / 2 * j->steps * 32 + channel % 2 * 16;
    int32_t sum = 0;
    for (int32_t k = 0; k < 16 * j->steps; k++) {
        sum += row[(k / 16 + 1) % j->steps * 32 + k % 16] * x[k];
    }
    return sum;
}

static void run_blocks(job *j, const int8_t *x, int32_t pitch, int32_t blocks)
{
    const int32_t channels = 4 * j->fours + j->rest;
    for (; blocks > 0; blocks--, x += 4 * pitch) {
        int8_t *out = j->out + j->out_step[0] + j->out_step[1] + j->out_step[2];
        int8_t *const next = out + channels;
        for (int32_t i = 0; i < 4 * channels; i++) {
            j->acc[i] = j->bias[i / 4] + dot(j, x + i % 4 * pitch, i / 4);
        }
        for (int32_t pixel = 3; pixel >= 0; pixel--) {
            for (int32_t c = 0; c < channels; c++) {
                const int32_t sum = j->acc[4 * c + pixel];
                out[c] = mcuq_requant(sum, -j->minus_shift[c], j->out_min, j->out_max);
            }
            out -= (pixel > 0) ? j->out_step[pixel - 1] : 0;
        }
        j->out = next;
    }
}

static inline void spread(int8_t *to, int32_t to_step, const int8_t *from, int32_t from_step,
                          const uint8_t *offsets, int32_t bytes)
{
    for (int32_t k = 0; k < bytes; k++) {
        to[k / 16 * to_step + offsets[k % 16]] = from[k / 16 * from_step + k % 16];
    }
}

static inline void fill(int8_t *to, int32_t to_step, int32_t value, int32_t bytes, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        memset(to + i * to_step, value, (size_t)((bytes < 16) ? bytes : 16));
    }
}

#endif

typedef struct {
    job blocks;
    int8_t *side; /* [4][16 * steps] pixels that wait for their block */
    int8_t *window;
    int32_t ready;  /* pixels in side */
    int32_t pitch;  /* bytes from a pixel to the next */
    int32_t column; /* bytes of a column of the window */
} state;

static void split(const mcuq_conv2d_columns_mve_params *p, int32_t *scratch, int8_t *out, state *s)
{
    const int32_t step = p->out_c;
    job *const j = &s->blocks;
    j->minus_shift = p->minus_shift;
    j->out = out;
    j->out_step[0] = j->out_step[1] = j->out_step[2] = step;
    j->rest = step & 3;
    j->bias = p->bias;
    j->weights = p->weights;
    j->acc = scratch;
    j->out_min = p->out_range[0];
    j->out_max = p->out_range[1];
    j->fours = step >> 2;
    j->acc_end = scratch + 4 * ((step + 1) & ~1);
    j->code = (p->steps > 1) ? 56 * p->steps - 60 : 0; /* the 15th step is 4 bytes shorter */
    j->steps = p->steps;
    s->side = (int8_t *)(scratch + 4 * ((step + 3) & ~3));
    s->window = s->side + ((p->last_w % 4 != 0 || p->last_w < p->out_w) ? 64 * p->steps : 16);
    s->ready = 0;
    s->column = p->kernel_h * p->in_c;
    s->pitch = p->stride_w * ((p->window_w > 0) ? s->column : p->in_c);
}

/** `count` columns of padding in a row of the window. */
static void pad_row(const mcuq_conv2d_columns_mve_params *p, int8_t *to, int32_t column,
                    int32_t count)
{
    for (int32_t c = 0; c < p->in_c && count > 0; c += 16) {
        fill(to + c, column, p->pad_value, p->in_c - c, count);
    }
}

/** Padded row `row` to its place. */
static void load_row(const mcuq_conv2d_columns_mve_params *p, const state *s, const int8_t *in,
                     int32_t row)
{
    const int32_t y = row - p->pad_top;
    int8_t *to = s->window + row * p->in_c;
    if (y < 0 || y >= p->in_h) {
        pad_row(p, to, s->column, p->window_w);
        return;
    }
    pad_row(p, to, s->column, p->pad_left);
    to += p->pad_left * s->column;
    const int8_t *from = in + y * p->in_w * p->in_c;
    for (int32_t c = 0; c < p->in_c; c += 16) {
        const int32_t bytes = (p->in_c - c > 16) ? 16 * p->copy_w : p->last_bytes;
        spread(to + c, p->together * s->column, from + c, p->together * p->in_c, p->offsets + c,
               bytes);
    }
    pad_row(p, to + p->copy_w * s->column, s->column, p->window_w - p->pad_left - p->copy_w);
}

/** Copies `count` pixels aside, and runs their block when there are four. */
static void run_aside(const mcuq_conv2d_columns_mve_params *p, state *s, const int8_t *from,
                      int32_t count)
{
    const int32_t depth = p->kernel_w * ((p->window_w > 0) ? s->column : p->in_c);
    for (; count > 0; count--, from += s->pitch) {
        mcuq_mve_copy(s->side + 16 * p->steps * s->ready, from, depth);
        if (++s->ready == 4) {
            run_blocks(&s->blocks, s->side, 16 * p->steps, 1);
            s->ready = 0;
        }
    }
}

/** One output row, whose first pixel's inputs start at x: the first pixels complete a block that
 *  the row before began; the pixels up to `in_place` may be read where they are. */
static void run_row(const mcuq_conv2d_columns_mve_params *p, state *s, const int8_t *x,
                    int32_t in_place)
{
    int32_t done = 0;
    if (s->ready != 0) {
        done = (4 - s->ready < p->out_w) ? 4 - s->ready : p->out_w;
        run_aside(p, s, x, done);
        x += done * s->pitch;
    }
    const int32_t blocks = (in_place - done) >> 2;
    if (blocks > 0) {
        run_blocks(&s->blocks, x, s->pitch, blocks);
        done += 4 * blocks;
        x += 4 * blocks * s->pitch;
    }
    if (done < p->out_w) {
        run_aside(p, s, x, p->out_w - done);
    }
}

/** The pixels that are left: fewer than four. */
static void run_last(const mcuq_conv2d_columns_mve_params *p, state *s)
{
    int32_t *const step = s->blocks.out_step;
    step[0] = (s->ready > 1) ? p->out_c : 0;
    step[1] = (s->ready > 2) ? p->out_c : 0;
    step[2] = 0;
    if (s->ready > 0) {
        run_blocks(&s->blocks, s->side, 16 * p->steps, 1);
    }
}

void mcuq_conv2d_columns_s8_mve(const mcuq_conv2d_columns_mve_params *p, const int8_t *in,
                                int8_t *out, void *scratch)
{
    state s;
    int32_t loaded = 0; /* padded rows so far */
    split(p, scratch, out, &s);
    for (int32_t y = 0, top = 0; y < p->out_h; y++, top += p->stride_h) {
        const int32_t in_place = (y == p->out_h - 1) ? p->last_w : p->out_w;
        if (p->window_w == 0) {
            run_row(p, &s, in + top * p->in_w * p->in_c, in_place);
            continue;
        }
        for (loaded = (loaded < top) ? top : loaded; loaded < top + p->kernel_h; loaded++) {
            load_row(p, &s, in, loaded);
        }
        run_row(p, &s, s.window + top * p->in_c, in_place);
    }
    run_last(p, &s);
}
