/* mcuq_conv2d_columns_mve_blocks_body.h: blocks of four pixels that are read in place, and the
 * moves that build their window, with Helium (MVE); a part of mcuq_conv2d_s8_mve_columns.
 *
 * Parameters: none.
 */
#ifndef MCUQ_CONV2D_COLUMNS_MVE_BLOCKS_BODY_H
#define MCUQ_CONV2D_COLUMNS_MVE_BLOCKS_BODY_H

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
    const int8_t *const first = x + 16 * j->steps - 136;
    j->pitch = pitch;
    j->x_end = first + 4 * pitch * blocks;
    register job *at __asm("r0") = j;
    register const int8_t *from __asm("r1") = first;
    register int32_t step __asm("r3") = pitch;
    __asm volatile(
        ".balign 4\n adr.w r2, 3f\n ldrd r4, r5, [r0, #56]\n subs r2, r2, r5\n orr r2, r2, #1\n"
        "push {r0, r2, r4, r7}\n"
        "1: ldrd r9, r11, [r0, #28]\n"
        "add r5, r1, r3, lsl #1\n add r7, r5, r3\n add r3, r1\n"
        "vldrb.u8 q4, [r1, #120]\n vldrb.u8 q5, [r3, #120]\n vldrb.u8 q6, [r5, #120]\n"
        "vldrb.u8 q7, [r7, #120]\n vldrb.u8 q3, [r7, #104]\n"
        "2:\n" STEP_16 "ldr pc, [sp, #4]\n7:\n" STEPS_1_TO_14 STEP_15 "3:\n" MCUQ_CODE_BYTES(
            "7", "3", "14 * 56 + 52") "stmia r11!, " MCUQ_MVE_ACC
                                      "\n ldr r0, [sp, #8]\n cmp r11, r0\n bne.w 2b\n"
                                      "ldr r0, [sp]\n ldm r0, {r2-r12, lr}\n add r4, r3\n add r5, "
                                      "r4\n add r6, r5\n"
                                      "vdup.32 q5, r11\n vdup.32 q6, r12\n wls lr, lr, 5f\n"
                                      "4:\n" FOUR_OUTPUTS
                                      "vstrb.32 q3, [r6], #4\n vstrb.32 q2, [r5], #4\n"
                                      "vstrb.32 q1, [r4], #4\n vstrb.32 q0, [r3], #4\n le lr, 4b\n"
                                      "5: cbz r7, 6f\n vctp.32 r7\n" FOUR_OUTPUTS
                                      "vpstttt\n vstrbt.32 q3, [r6]\n vstrbt.32 q2, [r5]\n"
                                      "vstrbt.32 q1, [r4]\n vstrbt.32 q0, [r3]\n"
                                      "6: add r6, r7\n str r6, [r0, #4]\n ldrd r3, r4, [r0, #48]\n"
                                      "add r1, r1, r3, lsl #2\n cmp r1, r4\n bne.w 1b\n"
                                      "pop {r0, r2, r4, r7}\n"
        : "+&r"(at), "+&r"(from), "+&r"(step)
        :
        : "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "r2", "r4", "r5", "r6", "r8", "r9", "r10",
          "r11", "r12", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

/** Sums of one pixel, [channel]: 6 instructions a step and 7 a pair of channels. */
static inline void dot_pixel(const job *j, const int8_t *x)
{
    const int8_t *weights = j->weights;
    int32_t *acc = j->acc;
    const int8_t *k;
    register int32_t a __asm("r2");
    register int32_t b __asm("r4");
    __asm volatile("vldrb.u8 q3, [%[last]]\n"
                   "1: vldrb.u8 q1, [%[w]], #16\n vmladav.s8 %[a], q3, q1\n"
                   "vldrb.u8 q2, [%[w]], #16\n vmladav.s8 %[b], q3, q2\n"
                   "mov %[k], %[x]\n wls lr, %[count], 3f\n"
                   "2: vldrb.u8 q0, [%[k]], #16\n"
                   "vldrb.u8 q1, [%[w]], #16\n vmladava.s8 %[a], q0, q1\n"
                   "vldrb.u8 q2, [%[w]], #16\n vmladava.s8 %[b], q0, q2\n le lr, 2b\n"
                   "3: strd %[a], %[b], [%[acc]], #8\n cmp %[acc], %[end]\n bne 1b\n"
                   : [w] "+&r"(weights), [acc] "+&r"(acc), [a] "=&r"(a), [b] "=&r"(b), [k] "=&r"(k)
                   : [x] "r"(x), [last] "r"(x + 16 * (j->steps - 1)), [count] "r"(j->steps - 1),
                     [end] "r"(acc + (j->acc_end - acc) / 4)
                   : "q0", "q1", "q2", "q3", "lr", "cc", "memory");
}

/** All output channels of one pixel: 9 instructions for 4. */
static inline void run_pixel(const job *j, const int8_t *x, int8_t *out)
{
    const int32_t *acc = j->acc;
    const int32_t *bias = j->bias;
    const int8_t *shift = j->minus_shift;
    dot_pixel(j, x);
    __asm volatile(
        "vdup.32 q2, %[least]\n vdup.32 q3, %[greatest]\n dlstp.32 lr, %[count]\n"
        "1: vldrw.u32 q0, [%[acc]], #16\n vldrw.u32 q1, [%[bias]], #16\n"
        "vadd.i32 q0, q0, q1\n vldrb.s32 q1, [%[shift]], #4\n vshl.s32 q0, q0, q1\n"
        "vmax.s32 q0, q0, q2\n vmin.s32 q0, q0, q3\n vstrb.32 q0, [%[out]], #4\n"
        "letp lr, 1b\n"
        : [acc] "+&r"(acc), [bias] "+&r"(bias), [shift] "+&l"(shift), [out] "+&l"(out)
        : [least] "r"(j->out_min), [greatest] "r"(j->out_max), [count] "r"(4 * j->fours + j->rest)
        : "q0", "q1", "q2", "q3", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

/** Vectors of 16 bytes, `from_step` apart, to their places: byte k to to[offsets[k]], the next ones
 *  `to_step` on; `bytes` in all, the last vector need not be full. */
static inline void spread(int8_t *to, int32_t to_step, const int8_t *from, int32_t from_step,
                          const uint8_t *offsets, int32_t bytes)
{
    __asm volatile("vldrb.u8 q1, [%[offsets]]\n dlstp.8 lr, %[bytes]\n"
                   "1: vldrb.u8 q0, [%[from]]\n vstrb.8 q0, [%[to], q1]\n"
                   "add %[from], %[from_step]\n add %[to], %[to_step]\n letp lr, 1b\n"
                   : [to] "+&r"(to), [from] "+&r"(from)
                   : [to_step] "r"(to_step), [from_step] "r"(from_step), [offsets] "r"(offsets),
                     [bytes] "r"(bytes)
                   : "q0", "q1", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

/** The first `bytes` of 16 at `count` places. */
static inline void fill(int8_t *to, int32_t to_step, int32_t value, int32_t bytes, int32_t count)
{
    __asm volatile(
        "vdup.8 q0, %[value]\n vctp.8 %[bytes]\n dls lr, %[count]\n"
        "1: vpst\n vstrbt.8 q0, [%[to]]\n add %[to], %[to_step]\n le lr, 1b\n"
        : [to] "+&r"(to)
        : [to_step] "r"(to_step), [value] "r"(value), [bytes] "r"(bytes), [count] "r"(count)
        : "q0", "lr", MCUQ_MVE_VPR, "cc", "memory");
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

static inline void run_pixel(const job *j, const int8_t *x, int8_t *out)
{
    for (int32_t c = 0; c < 4 * j->fours + j->rest; c++) {
        const int32_t sum = j->bias[c] + dot(j, x, c);
        out[c] = mcuq_requant(sum, -j->minus_shift[c], j->out_min, j->out_max);
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

#endif
