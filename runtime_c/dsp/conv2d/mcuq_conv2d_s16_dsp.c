#include "mcuq_int16_dsp.h"

enum { PIXELS = 4, CHANNELS = 2 };

/* All channels of four pixels; the assembly knows this layout. x: [words][4 pixels] words. out: of
 * each pixel, of the first one its end. */
typedef struct {
    const uint32_t *weights, *x, *x_end;
    int16_t *end, *out[PIXELS];
} quad_job;

/* Block: 4 pixels x 2 channels, 8 accumulators, 2 + 2 operands, 2 pointers: all 14 registers. 13
 * instructions (18 cycles) for 16 MAC, 3 more for each 64; 45 for the 8 outputs. Saturation:
 * SIGNED to int16, or POSITIVE to 0..32767, which does ReLU.
 * r0 x, r1 weights, r2-r9 sums (pixel 0 channel 0, channel 1, pixel 1 ...), r10, r11 two pixels,
 * r12, lr two channels. Frame: 0 x, 4 its end, 8 the end of the first output, 12 the outputs. */
#if MCUQ_DSP_ASM
#define STEP                                                                                       \
    " ldr r12, [r1], #4\n ldrd r10, r11, [r0], #8\n sxtb16 lr, r12, ror #8\n sxtb16 r12, r12\n"    \
    " smlad r2, r10, r12, r2\n smlad r3, r10, lr, r3\n"                                            \
    " smlad r4, r11, r12, r4\n smlad r5, r11, lr, r5\n"                                            \
    " ldrd r10, r11, [r0], #8\n"                                                                   \
    " smlad r6, r10, r12, r6\n smlad r7, r10, lr, r7\n"                                            \
    " smlad r8, r11, r12, r8\n smlad r9, r11, lr, r9\n"
#define SIGNED(r) " ssat " r ", #16, " r "\n"
#define POSITIVE(r) " usat " r ", #15, " r "\n"
#define OUTPUT(low, high, saturate)                                                                \
    saturate(low) saturate(high) " pkhbt " low ", " low ", " high ", lsl #16\n"
#define PACKED(saturate)                                                                           \
    OUTPUT("r2", "r3", saturate)                                                                   \
    OUTPUT("r4", "r5", saturate)                                                                   \
    OUTPUT("r6", "r7", saturate)                                                                   \
    OUTPUT("r8", "r9", saturate)
#define QUAD(saturate)                                                                             \
    "push {r4-r11, lr}\n"                                                                          \
    " sub sp, #28\n"                                                                               \
    " ldmia r0, {r1-r8}\n"                                                                         \
    " mov r0, r2\n"                                                                                \
    " stmia sp, {r2-r8}\n"                                                                         \
    "1:\n"                                                                                         \
    " ldmia r1!, {r2, r3}\n"                                                                       \
    " mov r4, r2\n mov r5, r3\n mov r6, r2\n mov r7, r3\n mov r8, r2\n mov r9, r3\n"               \
    "2:\n" STEP STEP STEP STEP " ldr r10, [sp, #4]\n"                                              \
    " cmp r0, r10\n"                                                                               \
    " bne.w 2b\n"                                                                                  \
    " ldr r12, [r1], #4\n"                                                                         \
    " ldr r0, [sp]\n"                                                                              \
    " asr r2, r2, r12\n asr r4, r4, r12\n asr r6, r6, r12\n asr r8, r8, r12\n"                     \
    " lsr r12, r12, #8\n"                                                                          \
    " asr r3, r3, r12\n asr r5, r5, r12\n asr r7, r7, r12\n asr r9, r9, r12\n" PACKED(             \
        saturate) " ldrd r10, r11, [sp, #12]\n ldrd r12, lr, [sp, #20]\n ldr r3, [sp, #8]\n"       \
                  " str r2, [r10], #4\n str r4, [r11], #4\n str r6, [r12], #4\n str r8, "          \
                  "[lr], #4\n"                                                                     \
                  " strd r10, r11, [sp, #12]\n strd r12, lr, [sp, #20]\n"                          \
                  " cmp r10, r3\n"                                                                 \
                  " bne.w 1b\n"                                                                    \
                  " add sp, #28\n"                                                                 \
                  " pop {r4-r11, pc}\n"
MCUQ_NAKED static void run_signed(MCUQ_NAKED_ARGUMENT const quad_job *job)
{
    __asm volatile(QUAD(SIGNED));
}

MCUQ_NAKED static void run_positive(MCUQ_NAKED_ARGUMENT const quad_job *job)
{
    __asm volatile(QUAD(POSITIVE));
}
#else
static void run_quad(const quad_job *job, int32_t low)
{
    const int32_t words = (int32_t)(job->x_end - job->x) / PIXELS;
    const uint32_t *weights = job->weights;

    for (int32_t o = 0; o < job->end - job->out[0]; o += CHANNELS) {
        const uint32_t *w = weights + CHANNELS, *shifts = w + words;
        for (int32_t pixel = 0; pixel < PIXELS; pixel++) {
            int32_t first = (int32_t)weights[0], second = (int32_t)weights[1];
            for (int32_t word = 0; word < words; word++) {
                const uint32_t x = job->x[PIXELS * word + pixel];
                first = mcuq_dsp_smlad(x, mcuq_dsp_even(w[word]), first);
                second = mcuq_dsp_smlad(x, mcuq_dsp_odd(w[word]), second);
            }
            int16_t *to = job->out[pixel] + o;
            to[0] = mcuq_requant_int16(first, (int)(*shifts & 31u), low, 32767);
            to[1] = mcuq_requant_int16(second, (int)((*shifts >> 8) & 31u), low, 32767);
        }
        weights = shifts + 1;
    }
}

static void run_signed(const quad_job *job)
{
    run_quad(job, -32768);
}

static void run_positive(const quad_job *job)
{
    run_quad(job, 0);
}
#endif

/** Writes element index of a pixel's window; x: its first word, the next one is PIXELS further. */
static void put(uint32_t *x, int32_t index, int16_t value)
{
    memcpy((int16_t *)(void *)(x + PIXELS * (index >> 1)) + (index & 1), &value, sizeof value);
}

/** count elements from index on, as they lie at from. 1.4 instructions for each of many. An odd
 * last one goes first: gcc 12 for Cortex-M55 drops a test of what its low-overhead loops leave
 * over. */
static void put_run(uint32_t *x, int32_t index, const int16_t *from, int32_t count)
{
    const int32_t odd = index & 1;
    const int32_t words = (count - odd) >> 1;
    if ((index + count) & 1) {
        put(x, index + count - 1, from[count - 1]);
    }
    if (odd) {
        put(x, index++, *from++);
    }
    uint32_t *to = x + PIXELS / 2 * index;
    for (int32_t fours = words >> 2; fours > 0; fours--, from += 8, to += 4 * PIXELS) {
        memcpy(to, from, 4);
        memcpy(to + PIXELS, from + 2, 4);
        memcpy(to + 2 * PIXELS, from + 4, 4);
        memcpy(to + 3 * PIXELS, from + 6, 4);
    }
    for (int32_t left = words & 3; left > 0; left--, from += 2, to += PIXELS) {
        memcpy(to, from, 4);
    }
}

/** The taps of one row of a window, from index on, each looked at alone; row: NULL outside. */
static void put_taps(const mcuq_conv2d_s16_dsp_params *p, const int16_t *row, int32_t column,
                     uint32_t *x, int32_t index)
{
    for (int32_t kx = 0; kx < p->kernel_w; kx++, column += p->dilation_w, index += p->in_c) {
        if (row != NULL && column >= 0 && column < p->in_w) {
            put_run(x, index, row + column * p->in_c, p->in_c);
            continue;
        }
        for (int32_t i = 0; i < p->in_c; i++) {
            put(x, index + i, p->pad_value);
        }
    }
}

/** The window of one output pixel. */
static void gather(const mcuq_conv2d_s16_dsp_params *p, const int16_t *in, int32_t oy, int32_t ox,
                   uint32_t *x)
{
    const int32_t left = ox * p->stride_w - p->pad_left, run = p->kernel_w * p->in_c;
    const int joined = p->dilation_w == 1 && left >= 0 && left + p->kernel_w <= p->in_w;
    int32_t row = oy * p->stride_h - p->pad_top;

    for (int32_t index = 0, ky = 0; ky < p->kernel_h; ky++, row += p->dilation_h, index += run) {
        const int inside = row >= 0 && row < p->in_h;
        const int16_t *from = inside ? in + row * p->in_w * p->in_c : NULL;
        if (inside && joined) {
            put_run(x, index, from + left * p->in_c, run);
        } else {
            put_taps(p, from, left, x, index);
        }
    }
}

/** Window i of the four is that of the last pixel again. */
static void repeat(uint32_t *x, int32_t words, int32_t i)
{
    for (x += i; words > 0; words--, x += PIXELS) {
        x[0] = x[-1];
    }
}

void mcuq_conv2d_s16_dsp(const mcuq_conv2d_s16_dsp_params *p, const void *in, void *out,
                         void *scratch)
{
    const int32_t pixels = p->out_h * p->out_w;
    const int positive = p->out_min == 0;
    uint32_t *x = scratch;
    int16_t *to = out;
    int32_t oy = 0, ox = 0;

    memset(x, 0, (size_t)p->words * 4u * PIXELS);
    for (int32_t left = pixels; left > 0; left -= PIXELS) {
        quad_job job = {p->weights, x, x + PIXELS * p->words, to + p->out_c, {to, to, to, to}};
        for (int32_t i = 0; i < PIXELS; i++) {
            if (i >= left) {
                repeat(x, p->words, i);
                job.out[i] = job.out[i - 1];
                continue;
            }
            gather(p, in, oy, ox, x + i);
            job.out[i] = to;
            to += p->out_c;
            if (++ox == p->out_w) {
                ox = 0;
                oy++;
            }
        }
        if (positive) {
            run_positive(&job);
        } else {
            run_signed(&job);
        }
    }
    mcuq_dsp_clamp16(out, pixels * p->out_c, positive ? -32768 : p->out_min, p->out_max);
}
