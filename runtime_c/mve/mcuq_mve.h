/* mcuq_mve.h: building blocks of the Helium (MVE) kernels, and below
 * their twins in C, which say the same more plainly and run on every other machine.
 *
 * Convolution works on blocks of four output pixels. The inputs of a block are copied into x,
 * laid out [step][4 pixels][16], where a step is 16 products of a pixel; weights are packed
 * [channel pair][step][2 channels][16]; sums start from init, which is [channel][4 pixels], and
 * end in acc of the same layout.
 */
#ifndef MCUQ_MVE_H
#define MCUQ_MVE_H

#include <stdint.h>
#include <string.h>

#include "mcuq_conv2d_mve.h"
#include "mcuq_requant.h"

#define MCUQ_MVE_CHUNK 64 /* channels whose sums are kept at a time */

/** What the sums of a block are made from. One LDM loads it: in the order of r0 r1 r3 r5 r9 r11. */
typedef struct {
    int32_t *acc_end;
    const void *x, *x_end; /* inputs of four pixels, [step][4][16] */
    const int32_t *init;
    const int8_t *weights;
    int32_t *acc;
} mcuq_mve_job;

#if defined(__ARM_FEATURE_MVE)

/** The eight accumulators: even registers, as VMLADAVA asks; STM keeps their order. */
#define MCUQ_MVE_ACC "{r0, r2, r4, r6, r8, r10, r12, lr}"
/** r0 holds the job; r7 may be the frame pointer and is saved by hand. */
#define MCUQ_MVE_CLOBBERS                                                                          \
    "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory"
#define MCUQ_MVE_LOAD_JOB "ldm r0, {r0, r1, r3, r5, r9, r11}\n"

/** 16 k of 4 pixels x 2 channels: 6 loads and 8 VMLADAVA for 128 MACs (0.109 per MAC). */
#define MCUQ_MVE_STEP                                                                              \
    "vldrb.u8 q4, [r9], #16\n vldrb.u8 q5, [r9], #16\n"                                            \
    "vldrb.u8 q0, [r1], #16\n vmladava.s8 r0, q0, q4\n vmladava.s8 r8, q0, q5\n"                   \
    "vldrb.u8 q1, [r1], #16\n vmladava.s8 r2, q1, q4\n vmladava.s8 r10, q1, q5\n"                  \
    "vldrb.u8 q2, [r1], #16\n vmladava.s8 r4, q2, q4\n vmladava.s8 r12, q2, q5\n"                  \
    "vldrb.u8 q3, [r1], #16\n vmladava.s8 r6, q3, q4\n vmladava.s8 lr, q3, q5\n"

/** A loop over channel pairs whose inner loop takes `steps` a turn.
 *  r1 x, r3 its end, r5 init, r7 end of acc, r9 weights, r11 acc; per pair 5 instructions and
 *  2 a turn beside the steps. */
#define MCUQ_MVE_DOT_LOOP(steps)                                                                   \
    __asm volatile(MCUQ_MVE_LOAD_JOB "vmov s29, r7\n mov r7, r0\n vmov s28, r1\n"                  \
                                     "1: ldmia r5!, " MCUQ_MVE_ACC "\n vmov r1, s28\n"             \
                                     "2:\n" steps " cmp r1, r3\n bne 2b\n"                         \
                                     " stmia r11!, " MCUQ_MVE_ACC                                  \
                                     "\n cmp r11, r7\n bne 1b\n vmov r7, s29\n"                    \
                   : "+&r"(at)                                                                     \
                   :                                                                               \
                   : "q0", "q1", "q2", "q3", "q4", "q5", "q7", MCUQ_MVE_CLOBBERS)

/** One step: the four pixels stay in q0-q3; 14 instructions a pair of channels. */
#define MCUQ_MVE_DOT_ONE                                                                           \
    __asm volatile(MCUQ_MVE_LOAD_JOB                                                               \
                   "vmov s29, r7\n mov r7, r0\n"                                                   \
                   "vldrb.u8 q0, [r1]\n vldrb.u8 q1, [r1, #16]\n"                                  \
                   "vldrb.u8 q2, [r1, #32]\n vldrb.u8 q3, [r1, #48]\n"                             \
                   "1: ldmia r5!, " MCUQ_MVE_ACC "\n"                                              \
                   "vldrb.u8 q4, [r9], #16\n vmladava.s8 r0, q0, q4\n vmladava.s8 r2, q1, q4\n"    \
                   "vmladava.s8 r4, q2, q4\n vmladava.s8 r6, q3, q4\n"                             \
                   "vldrb.u8 q5, [r9], #16\n vmladava.s8 r8, q0, q5\n vmladava.s8 r10, q1, q5\n"   \
                   "vmladava.s8 r12, q2, q5\n vmladava.s8 lr, q3, q5\n"                            \
                   " stmia r11!, " MCUQ_MVE_ACC "\n cmp r11, r7\n bne 1b\n vmov r7, s29\n"         \
                   : "+&r"(at)                                                                     \
                   :                                                                               \
                   : "q0", "q1", "q2", "q3", "q4", "q5", "q7", MCUQ_MVE_CLOBBERS)

/** Two steps: six of the eight x vectors stay in q0-q5; 27 instructions a pair of channels. */
#define MCUQ_MVE_DOT_TWO                                                                           \
    __asm volatile(MCUQ_MVE_LOAD_JOB                                                               \
                   "push {r7}\n mov r7, r0\n"                                                      \
                   "vldrb.u8 q0, [r1]\n vldrb.u8 q1, [r1, #16]\n vldrb.u8 q2, [r1, #32]\n"         \
                   "vldrb.u8 q3, [r1, #48]\n vldrb.u8 q4, [r1, #64]\n vldrb.u8 q5, [r1, #80]\n"    \
                   "1: ldmia r5!, " MCUQ_MVE_ACC "\n"                                              \
                   "vldrb.u8 q6, [r9], #16\n vmladava.s8 r0, q0, q6\n vmladava.s8 r2, q1, q6\n"    \
                   "vmladava.s8 r4, q2, q6\n vmladava.s8 r6, q3, q6\n"                             \
                   "vldrb.u8 q7, [r9], #16\n vmladava.s8 r8, q0, q7\n vmladava.s8 r10, q1, q7\n"   \
                   "vmladava.s8 r12, q2, q7\n vmladava.s8 lr, q3, q7\n"                            \
                   "vldrb.u8 q6, [r9], #16\n vmladava.s8 r0, q4, q6\n vmladava.s8 r2, q5, q6\n"    \
                   "vldrb.u8 q7, [r1, #96]\n vmladava.s8 r4, q7, q6\n"                             \
                   "vldrb.u8 q7, [r1, #112]\n vmladava.s8 r6, q7, q6\n"                            \
                   "vldrb.u8 q6, [r9], #16\n vmladava.s8 r8, q4, q6\n vmladava.s8 r10, q5, q6\n"   \
                   "vmladava.s8 lr, q7, q6\n"                                                      \
                   "vldrb.u8 q7, [r1, #96]\n vmladava.s8 r12, q7, q6\n"                            \
                   " stmia r11!, " MCUQ_MVE_ACC "\n cmp r11, r7\n bne 1b\n pop {r7}\n"             \
                   : "+&r"(at)                                                                     \
                   :                                                                               \
                   : "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", MCUQ_MVE_CLOBBERS)

/** acc = init + weights . x for four pixels and an even number of channels, `steps` steps deep. */
static inline void mcuq_mve_dot(const mcuq_mve_job *job, int32_t steps)
{
    register const mcuq_mve_job *at __asm("r0") = job;
    if (steps == 1) {
        MCUQ_MVE_DOT_ONE;
    } else if (steps == 2) {
        MCUQ_MVE_DOT_TWO;
    } else if (steps % 4 == 0) {
        MCUQ_MVE_DOT_LOOP(MCUQ_MVE_STEP MCUQ_MVE_STEP MCUQ_MVE_STEP MCUQ_MVE_STEP);
    } else if (steps % 3 == 0) {
        MCUQ_MVE_DOT_LOOP(MCUQ_MVE_STEP MCUQ_MVE_STEP MCUQ_MVE_STEP);
    } else {
        MCUQ_MVE_DOT_LOOP(MCUQ_MVE_STEP);
    }
}

/** As mcuq_mve_dot for the first pixel alone: 6 instructions a step and 8 a pair of channels. */
static inline void mcuq_mve_dot_pixel(const mcuq_mve_job *job)
{
    register const mcuq_mve_job *at __asm("r0") = job;
    __asm volatile(MCUQ_MVE_LOAD_JOB
                   "sub r8, r3, r1\n lsr r8, r8, #6\n mov r6, r1\n"
                   "1: ldr r2, [r5], #16\n ldr r4, [r5], #16\n mov r1, r6\n dls lr, r8\n"
                   "2: vldrb.u8 q0, [r1], #64\n"
                   "vldrb.u8 q1, [r9], #16\n vmladava.s8 r2, q0, q1\n"
                   "vldrb.u8 q2, [r9], #16\n vmladava.s8 r4, q0, q2\n le lr, 2b\n"
                   "str r2, [r11], #16\n str r4, [r11], #16\n cmp r11, r0\n bne 1b\n"
                   : "+&r"(at)
                   :
                   : "q0", "q1", "q2", MCUQ_MVE_CLOBBERS);
}

/** The requantization of 4 channels of 4 pixels: 21 instructions for 16 outputs. VLD4 turns
 *  [channel][pixel] into one vector a pixel; the pixels are stored last to first, so that where
 *  pointers of missing pixels repeat the last one, its own value wins. */
#define MCUQ_MVE_STORE_LOAD                                                                        \
    "vldrb.s32 q4, [%[shift]], #4\n"                                                               \
    "vld40.32 {q0, q1, q2, q3}, [%[acc]]\n vld41.32 {q0, q1, q2, q3}, [%[acc]]\n"                  \
    "vld42.32 {q0, q1, q2, q3}, [%[acc]]\n vld43.32 {q0, q1, q2, q3}, [%[acc]]!\n"                 \
    "vshl.s32 q3, q3, q4\n vmax.s32 q3, q3, q5\n vmin.s32 q3, q3, q6\n"                            \
    "vshl.s32 q2, q2, q4\n vmax.s32 q2, q2, q5\n vmin.s32 q2, q2, q6\n"                            \
    "vshl.s32 q1, q1, q4\n vmax.s32 q1, q1, q5\n vmin.s32 q1, q1, q6\n"                            \
    "vshl.s32 q0, q0, q4\n vmax.s32 q0, q0, q5\n vmin.s32 q0, q0, q6\n"

/** out[p][c] = clamp(acc[c][p] >> shift[c]); `minus_shift` holds the negated shifts,
 *  `range` the least and the greatest output. */
static inline void mcuq_mve_store(const int32_t *acc, const int8_t *minus_shift, int8_t *out0,
                                  int8_t *out1, int8_t *out2, int8_t *out3, int32_t channels,
                                  const int8_t *range)
{
    __asm volatile("ldrsb lr, [%[range]]\n vdup.32 q5, lr\n"
                   "ldrsb lr, [%[range], #1]\n vdup.32 q6, lr\n"
                   "lsrs lr, %[count], #2\n beq 2f\n dls lr, lr\n"
                   "1:\n" MCUQ_MVE_STORE_LOAD
                   "vstrb.32 q3, [%[o3]], #4\n vstrb.32 q2, [%[o2]], #4\n"
                   "vstrb.32 q1, [%[o1]], #4\n vstrb.32 q0, [%[o0]], #4\n le lr, 1b\n"
                   "2: ands lr, %[count], #3\n beq 3f\n vctp.32 lr\n" MCUQ_MVE_STORE_LOAD
                   "vpstttt\n vstrbt.32 q3, [%[o3]]\n vstrbt.32 q2, [%[o2]]\n"
                   "vstrbt.32 q1, [%[o1]]\n vstrbt.32 q0, [%[o0]]\n"
                   "3:\n"
                   : [acc] "+&h"(acc), [shift] "+&l"(minus_shift), [o0] "+&l"(out0),
                     [o1] "+&l"(out1), [o2] "+&l"(out2), [o3] "+&l"(out3)
                   : [count] "h"(channels), [range] "h"(range)
                   : "q0", "q1", "q2", "q3", "q4", "q5", "q6", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

/** init[c][0..3] = bias[c]; an odd last channel is followed by one that is zero. */
static inline void mcuq_mve_init(const int32_t *bias, int32_t out_c, int32_t *init)
{
    for (int32_t c = 0; c < out_c; c++) {
        const int32_t value = bias[c];
        __asm volatile("vdup.32 q0, %[value]\n vstrw.32 q0, [%[at]], #16\n"
                       : [at] "+&r"(init)
                       : [value] "r"(value)
                       : "q0", "memory");
    }
    if ((out_c & 1) != 0) {
        init[0] = init[1] = init[2] = init[3] = 0;
    }
}

/** `count` copies of a byte. */
static inline void mcuq_mve_fill(int8_t *to, int32_t value, int32_t count)
{
    __asm volatile("vdup.8 q0, %[value]\n lsrs lr, %[count], #4\n beq 2f\n dls lr, lr\n"
                   "1: vstrb.8 q0, [%[to]], #16\n le lr, 1b\n"
                   "2: ands lr, %[count], #15\n beq 3f\n vctp.8 lr\n"
                   "vpst\n vstrbt.8 q0, [%[to]]\n 3:\n"
                   : [to] "+&r"(to)
                   : [value] "r"(value), [count] "r"(count)
                   : "q0", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

/** memcpy in vectors. */
static inline void mcuq_mve_copy(int8_t *to, const int8_t *from, int32_t count)
{
    __asm volatile("lsrs lr, %[count], #4\n beq 2f\n dls lr, lr\n"
                   "1: vldrb.u8 q0, [%[from]], #16\n vstrb.8 q0, [%[to]], #16\n le lr, 1b\n"
                   "2: ands lr, %[count], #15\n beq 3f\n vctp.8 lr\n"
                   "vpstt\n vldrbt.u8 q0, [%[from]]\n vstrbt.8 q0, [%[to]]\n 3:\n"
                   : [to] "+&r"(to), [from] "+&r"(from)
                   : [count] "r"(count)
                   : "q0", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

/** `count` vectors that lie `pitch` bytes apart, to consecutive places. */
static inline void mcuq_mve_copy_vectors(int8_t *to, const int8_t *from, int32_t pitch,
                                         int32_t count)
{
    __asm volatile("dls lr, %[count]\n"
                   "1: vldrb.u8 q0, [%[from]]\n add %[from], %[pitch]\n"
                   "vstrb.8 q0, [%[to]], #16\n le lr, 1b\n"
                   : [to] "+&r"(to), [from] "+&r"(from)
                   : [pitch] "r"(pitch), [count] "r"(count)
                   : "q0", "lr", "memory");
}

/** x = `in_c` bytes of each of four pixels; their last step is filled with zeros. */
static inline void mcuq_mve_load_four(const int8_t *a, const int8_t *b, const int8_t *c,
                                      const int8_t *d, int32_t in_c, int8_t *x)
{
    __asm volatile("lsrs lr, %[count], #4\n beq 2f\n dls lr, lr\n"
                   "1: vldrb.u8 q0, [%[a]], #16\n vldrb.u8 q1, [%[b]], #16\n"
                   "vldrb.u8 q2, [%[c]], #16\n vldrb.u8 q3, [%[d]], #16\n"
                   "vstrb.8 q0, [%[x]], #16\n vstrb.8 q1, [%[x]], #16\n"
                   "vstrb.8 q2, [%[x]], #16\n vstrb.8 q3, [%[x]], #16\n le lr, 1b\n"
                   "2: ands lr, %[count], #15\n beq 3f\n vctp.8 lr\n"
                   "vpstttt\n vldrbt.u8 q0, [%[a]]\n vldrbt.u8 q1, [%[b]]\n"
                   "vldrbt.u8 q2, [%[c]]\n vldrbt.u8 q3, [%[d]]\n"
                   "vstrb.8 q0, [%[x]]\n vstrb.8 q1, [%[x], #16]\n"
                   "vstrb.8 q2, [%[x], #32]\n vstrb.8 q3, [%[x], #48]\n"
                   "3:\n"
                   : [a] "+&r"(a), [b] "+&r"(b), [c] "+&r"(c), [d] "+&r"(d), [x] "+&r"(x)
                   : [count] "r"(in_c)
                   : "q0", "q1", "q2", "q3", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

#else

static inline void mcuq_mve_dot(const mcuq_mve_job *job, int32_t steps)
{
    const int8_t *const x = job->x;
    for (int32_t i = 0; i < job->acc_end - job->acc; i++) {
        const int8_t *const row = job->weights + (i / 8 * steps * 2 + i / 4 % 2) * 16;
        int32_t sum = job->init[i];
        for (int32_t k = 0; k < 16 * steps; k++) {
            sum += row[k / 16 * 32 + k % 16] * x[k / 16 * 64 + i % 4 * 16 + k % 16];
        }
        job->acc[i] = sum;
    }
}

static inline void mcuq_mve_dot_pixel(const mcuq_mve_job *job)
{
    const int8_t *const x_end = job->x_end;
    mcuq_mve_dot(job, (int32_t)(x_end - (const int8_t *)job->x) / 64);
}

static inline void mcuq_mve_store(const int32_t *acc, const int8_t *minus_shift, int8_t *out0,
                                  int8_t *out1, int8_t *out2, int8_t *out3, int32_t channels,
                                  const int8_t *range)
{
    for (int32_t c = 0; c < channels; c++, acc += 4) {
        const int shift = -minus_shift[c];
        out3[c] = mcuq_requant(acc[3], shift, range[0], range[1]);
        out2[c] = mcuq_requant(acc[2], shift, range[0], range[1]);
        out1[c] = mcuq_requant(acc[1], shift, range[0], range[1]);
        out0[c] = mcuq_requant(acc[0], shift, range[0], range[1]);
    }
}

static inline void mcuq_mve_init(const int32_t *bias, int32_t out_c, int32_t *init)
{
    for (int32_t i = 0; i < 4 * ((out_c + 1) & ~1); i++) {
        init[i] = (i < 4 * out_c) ? bias[i / 4] : 0;
    }
}

static inline void mcuq_mve_fill(int8_t *to, int32_t value, int32_t count)
{
    memset(to, value, (size_t)count);
}

static inline void mcuq_mve_copy(int8_t *to, const int8_t *from, int32_t count)
{
    memcpy(to, from, (size_t)count);
}

static inline void mcuq_mve_copy_vectors(int8_t *to, const int8_t *from, int32_t pitch,
                                         int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        memcpy(to + 16 * i, from + pitch * i, 16);
    }
}

static inline void mcuq_mve_load_four(const int8_t *a, const int8_t *b, const int8_t *c,
                                      const int8_t *d, int32_t in_c, int8_t *x)
{
    const int8_t *const from[4] = {a, b, c, d};
    for (int32_t k = 0; k < ((in_c + 15) & ~15); k++) {
        for (int32_t pixel = 0; pixel < 4; pixel++) {
            x[k / 16 * 64 + 16 * pixel + k % 16] = (int8_t)((k < in_c) ? from[pixel][k] : 0);
        }
    }
}

#endif
/** The channels from `at` on whose sums are kept together. */
static inline int32_t mcuq_mve_count(int32_t out_c, int32_t at)
{
    return (out_c - at < MCUQ_MVE_CHUNK) ? out_c - at : MCUQ_MVE_CHUNK;
}

/** The channels that acc has room for. */
static inline int32_t mcuq_mve_chunk(int32_t out_c)
{
    return (mcuq_mve_count(out_c, 0) + 3) & ~3;
}

/** Stores the channels from `at` on of `valid` pixels, which lie `pitch` bytes apart in out. */
static inline void mcuq_mve_store_block(const mcuq_conv2d_mve_params *p, const int32_t *acc,
                                        int32_t at, int8_t *out, int32_t valid, int32_t pitch)
{
    int32_t step1 = pitch;
    int32_t step2 = step1;
    int32_t step3 = step1;
    if (valid < 4) {
        step2 = (valid > 2) ? step1 : 0;
        step1 = (valid > 1) ? step1 : 0;
        step3 = 0;
    }
    out += at;
    mcuq_mve_store(acc, p->minus_shift + at, out, out + step1, out + step1 + step2,
                   out + step1 + step2 + step3, mcuq_mve_count(p->out_c, at), p->out_range);
}

/** The job of the first channels: init is [out_c, to even][4] and acc follows it. */
static inline mcuq_mve_job mcuq_mve_first_job(const mcuq_conv2d_mve_params *p, int32_t *init)
{
    int32_t *const acc = init + 4 * ((p->out_c + 1) & ~1);
    const int8_t *const x = (int8_t *)(acc + 4 * mcuq_mve_chunk(p->out_c));
    const int32_t channels = (mcuq_mve_count(p->out_c, 0) + 1) & ~1;
    return (mcuq_mve_job){acc + 4 * channels, x, x + 64 * p->steps, init, p->weights, acc};
}

/** The job of the channels from `at` on. */
static inline mcuq_mve_job mcuq_mve_job_at(const mcuq_conv2d_mve_params *p,
                                           const mcuq_mve_job *first, int32_t at)
{
    mcuq_mve_job job = *first;
    job.acc_end = job.acc + 4 * ((mcuq_mve_count(p->out_c, at) + 1) & ~1);
    job.init += 4 * at;
    job.weights += 16 * p->steps * at;
    return job;
}

/** One block: sums and stores all output channels of the four pixels whose inputs lie in x.
 *  `valid` pixels exist, and lie `pitch` bytes apart in out. */
static inline void mcuq_mve_block(const mcuq_conv2d_mve_params *p, const mcuq_mve_job *first,
                                  int8_t *out, int32_t valid, int32_t pitch)
{
    const mcuq_mve_job *now = first;
    mcuq_mve_job next;
    for (int32_t at = 0; at < p->out_c;) {
        if (valid == 1) {
            mcuq_mve_dot_pixel(now);
        } else {
            mcuq_mve_dot(now, p->steps);
        }
        mcuq_mve_store_block(p, first->acc, at, out, valid, pitch);
        at += MCUQ_MVE_CHUNK;
        if (at < p->out_c) {
            next = mcuq_mve_job_at(p, first, at);
            now = &next;
        }
    }
}

#endif
