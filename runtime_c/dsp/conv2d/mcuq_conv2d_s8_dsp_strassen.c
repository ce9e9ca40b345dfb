/* 1x1 convolution by Strassen's method, in Winograd's form: 4 pixels x 8 channels from 7 products
 * of 2 pixels x 4 channels over half of the inputs, instead of 8. With A the inputs (rows: pixels 0
 * and 1, pixels 2 and 3; columns: the halves) and B the weights (rows: the halves; columns: 4
 * channels, 4 channels):
 *     S1 = A21 + A22   S2 = S1 - A11    S3 = A11 - A21    S4 = A12 - S2
 *     T1 = B12 - B11   T2 = B22 - T1    T3 = B22 - B12    T4 = T2 - B21
 *     U2 = A11 B11 + S2 T2              U3 = U2 + S3 T3
 *     C11 = A11 B11 + A12 B21           C12 = U2 + S1 T1 + S4 B22
 *     C21 = U3 - A22 T4                 C22 = U3 + S1 T1
 * Sums of four int8 fit int16. The bias of channels 0-3 goes into A11 B11, what those of channels
 * 4-7 differ by into S1 T1. Sums of products may wrap around; the results do not.
 */
#include "mcuq_conv2d_strassen.h"
#include "mcuq_dsp.h"

enum { QUAD = 4, CHANNELS = 8, PRODUCTS = 7 };

/* The left factors of a pixel (a, of the first row) and its partner (b), in the order of their use:
 * A11 A12 S2 S3 A22 S1 S4, 8 bytes apart, in words 56 bytes apart. half: bytes, a multiple of 4.
 * 39 cycles for 4 bytes of both halves of both pixels. a, b: any alignment.
 * r0 to, r1 a, r2 b, r3 half, r4, r5, r10, r11 A11, A12, A21, A22, r6-r9 inputs, r12 end of a. */
#if MCUQ_DSP_ASM
#define FACTORS(turn, a11, a12, s2, s3, a22, s1, s4)                                               \
    " sxtb16 r4, r6" turn "\n sxtb16 r5, r7" turn "\n sxtb16 r10, r8" turn                         \
    "\n sxtb16 r11, r9" turn "\n str r4, [r0, #" #a11 "]\n str r5, [r0, #" #a12                    \
    "]\n str r11, [r0, #" #a22 "]\n sadd16 r11, r10, r11\n str r11, [r0, #" #s1                    \
    "]\n ssub16 r10, r4, r10\n str r10, [r0, #" #s3                                                \
    "]\n ssub16 r11, r11, r4\n str r11, [r0, #" #s2 "]\n ssub16 r5, r5, r11\n str r5, [r0, #" #s4  \
    "]\n"
MCUQ_NAKED static void factors(MCUQ_NAKED_ARGUMENT int16_t *to, MCUQ_NAKED_ARGUMENT const int8_t *a,
                               MCUQ_NAKED_ARGUMENT const int8_t *b,
                               MCUQ_NAKED_ARGUMENT int32_t half)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " add r12, r1, r3\n"
                   "1:\n"
                   " ldr r7, [r1, r3]\n"
                   " ldr r9, [r2, r3]\n"
                   " ldr r6, [r1], #4\n"
                   " ldr r8, [r2], #4\n" FACTORS("", 0, 8, 16, 24, 32, 40, 48)
                       FACTORS(", ror #8", 56, 64, 72, 80, 88, 96, 104) " add r0, #112\n"
                                                                        " cmp r1, r12\n"
                                                                        " bne 1b\n"
                                                                        " pop {r4-r11, pc}\n");
}
#else
static void factors(int16_t *to, const int8_t *a, const int8_t *b, int32_t half)
{
    static const int8_t order[4] = {0, 2, 1, 3};
    for (int32_t i = 0; i < half; i++) {
        const int32_t from = (i & ~3) + order[i & 3];
        int16_t *x = to + 4 * PRODUCTS * (i >> 1) + (i & 1);
        const int32_t s1 = b[from] + b[half + from];
        const int32_t s2 = s1 - a[from];
        x[0] = a[from];
        x[4] = a[half + from];
        x[8] = (int16_t)s2;
        x[12] = (int16_t)(a[from] - b[from]);
        x[16] = b[half + from];
        x[20] = (int16_t)s1;
        x[24] = (int16_t)(a[half + from] - s2);
    }
}
#endif

/* All channels of four pixels; the assembly knows this layout. x: [words][7][2 pixels] words.
 * words: a multiple of 16. groups: of 8 channels. */
typedef struct {
    const uint32_t *weights;
    const int16_t *x;
    int32_t words, groups;
    int8_t *out[QUAD];
} quad_job;

/* Block: 2 pixels x 4 channels as in mcuq_wide_pixels_body.h; 16 cycles (13 instructions) for 16
 * MAC, 7 of 8 in number; about 310 more for 32 outputs. r0 x, r1 weights, r2-r9 sums (channel 0
 * pixel 0, pixel 1, channel 1 ...), r10-r12, lr operands. Frame: 0 end of x, 4 from a product's end
 * to the next one, 8 groups, 12 the outputs, 28 A11 B11 or U2, 60 U3, 92 S1 T1. */
#if MCUQ_DSP_ASM
#define STEP                                                                                       \
    " ldr r11, [r0, #4]\n ldr r10, [r0], #56\n ldr lr, [r1, #4]\n ldr r12, [r1], #8\n"             \
    " smlad r2, r10, r12, r2\n smlad r3, r11, r12, r3\n"                                           \
    " smlad r4, r10, lr, r4\n smlad r5, r11, lr, r5\n"                                             \
    " ldrd r12, lr, [r1], #8\n"                                                                    \
    " smlad r6, r10, r12, r6\n smlad r7, r11, r12, r7\n"                                           \
    " smlad r8, r10, lr, r8\n smlad r9, r11, lr, r9\n"
#define STEP_4 STEP STEP STEP STEP
#define PRODUCT(place)                                                                             \
    "2:\n" STEP_4 STEP_4 STEP_4 STEP_4 " ldr r10, [sp]\n ldr r11, [sp, #4]\n add r10, #" #place    \
    "\n cmp r0, r10\n bne.w 2b\n sub r0, r11\n"
#define BIASES " ldmia r1!, {r2, r4, r6, r8}\n mov r3, r2\n mov r5, r4\n mov r7, r6\n mov r9, r8\n"
#define KEEP(place) " add r10, sp, #" #place "\n stmia r10, {r2-r9}\n"
#define TAKE(place) " add r10, sp, #" #place "\n ldmia r10, {r2-r9}\n"
#define ADD_4(a, b, c, d, w, x, y, z)                                                              \
    " ldr r10, [sp, #" #a "]\n ldr r11, [sp, #" #b "]\n ldr r12, [sp, #" #c                        \
    "]\n ldr lr, [sp, #" #d "]\n add " w ", r10\n add " x ", r11\n add " y ", r12\n add " z        \
    ", lr\n"
#define ADD_U2                                                                                     \
    ADD_4(28, 32, 36, 40, "r2", "r3", "r4", "r5") ADD_4(44, 48, 52, 56, "r6", "r7", "r8", "r9")
#define ADD_U3                                                                                     \
    ADD_4(60, 64, 68, 72, "r2", "r3", "r4", "r5") ADD_4(76, 80, 84, 88, "r6", "r7", "r8", "r9")
#define OUTPUTS(a, b, c0, c1, c2, c3)                                                              \
    " ldr r12, [r1], #4\n ldr r10, [sp, #" #a "]\n ldr r11, [sp, #" #b "]\n"                       \
    " asrs r2, r12\n asrs r3, r12\n lsr r12, r12, #8\n asrs r4, r12\n asrs r5, r12\n"              \
    " lsr r12, r12, #8\n asrs r6, r12\n asrs r7, r12\n lsr r12, r12, #8\n"                         \
    " asrs r8, r12\n asrs r9, r12\n"                                                               \
    " ssat r2, #8, r2\n ssat r3, #8, r3\n ssat r4, #8, r4\n ssat r5, #8, r5\n"                     \
    " ssat r6, #8, r6\n ssat r7, #8, r7\n ssat r8, #8, r8\n ssat r9, #8, r9\n"                     \
    " strb r2, [r10, #" #c0 "]\n strb r4, [r10, #" #c1 "]\n"                                       \
    " strb r6, [r10, #" #c2 "]\n strb r8, [r10, #" #c3 "]\n"                                       \
    " strb r3, [r11, #" #c0 "]\n strb r5, [r11, #" #c1 "]\n"                                       \
    " strb r7, [r11, #" #c2 "]\n strb r9, [r11, #" #c3 "]\n"
#define C11 BIASES PRODUCT(0) KEEP(28) PRODUCT(8) OUTPUTS(12, 16, 0, 1, 2, 3)
#define C21                                                                                        \
    TAKE(28) PRODUCT(16) KEEP(28) PRODUCT(24) KEEP(60) PRODUCT(32) OUTPUTS(20, 24, 0, 1, 2, 3)
#define C12 BIASES PRODUCT(40) KEEP(92) ADD_U2 PRODUCT(48) OUTPUTS(12, 16, 4, 5, 6, 7)
#define C22 TAKE(92) ADD_U3 OUTPUTS(20, 24, 4, 5, 6, 7)
MCUQ_NAKED static void run_quad(MCUQ_NAKED_ARGUMENT const quad_job *job)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " sub sp, #124\n"
                   " ldmia r0, {r1-r8}\n"
                   " mov r10, #56\n"
                   " mul r10, r3, r10\n"
                   " add r11, r2, r10\n"
                   " sub r10, #8\n"
                   " strd r11, r10, [sp]\n"
                   " add r12, sp, #8\n"
                   " stmia r12, {r4-r8}\n"
                   " mov r0, r2\n"
                   "1:\n" C11 C21 C12 C22 " sub r0, #56\n"
                   " add r10, sp, #8\n"
                   " ldmia r10, {r2-r6}\n"
                   " add r3, #8\n"
                   " add r4, #8\n"
                   " add r5, #8\n"
                   " add r6, #8\n"
                   " subs r2, #1\n"
                   " stmia r10, {r2-r6}\n"
                   " bne.w 1b\n"
                   " add sp, #124\n"
                   " pop {r4-r11, pc}\n");
}
#else
static int32_t half_of(uint32_t word, int32_t index)
{
    return (int16_t)((word >> (16 * index)) & 0xffffu);
}

/* sums[channel][pixel] += product `index`, whose weights are behind it. */
static const uint32_t *add_product(uint32_t sums[4][2], const quad_job *job,
                                   const uint32_t *weights, int32_t index)
{
    for (int32_t i = 0; i < 4 * job->words; i++) {
        const int16_t *x = job->x + 4 * (PRODUCTS * (i >> 2) + index);
        uint32_t *sum = sums[i & 3];
        sum[0] += (uint32_t)(x[0] * half_of(weights[i], 0) + x[1] * half_of(weights[i], 1));
        sum[1] += (uint32_t)(x[2] * half_of(weights[i], 0) + x[3] * half_of(weights[i], 1));
    }
    return weights + 4 * job->words;
}

static const uint32_t *start(uint32_t sums[4][2], const uint32_t *biases)
{
    for (int32_t i = 0; i < 8; i++) {
        sums[i >> 1][i & 1] = biases[i >> 1];
    }
    return biases + 4;
}

static void add_sums(uint32_t sums[4][2], uint32_t more[4][2])
{
    for (int32_t i = 0; i < 8; i++) {
        sums[i >> 1][i & 1] += more[i >> 1][i & 1];
    }
}

static const uint32_t *store(uint32_t sums[4][2], const uint32_t *shifts, int8_t *const out[2],
                             int32_t channel)
{
    for (int32_t i = 0; i < 8; i++) {
        const int32_t acc = (int32_t)sums[i >> 1][i & 1];
        out[i & 1][channel + (i >> 1)] =
            mcuq_requant(acc, (*shifts >> (8 * (i >> 1))) & 31u, -128, 127);
    }
    return shifts + 1;
}

static void run_quad(const quad_job *job)
{
    const uint32_t *w = job->weights;
    for (int32_t channel = 0; channel < CHANNELS * job->groups; channel += CHANNELS) {
        uint32_t c[4][2];
        uint32_t u2[4][2];
        uint32_t u3[4][2];
        uint32_t s1t1[4][2];
        w = start(c, w);
        w = add_product(c, job, w, 0);
        memcpy(u2, c, sizeof c);
        w = add_product(c, job, w, 1);
        w = store(c, w, job->out, channel);
        w = add_product(u2, job, w, 2);
        memcpy(u3, u2, sizeof u2);
        w = add_product(u3, job, w, 3);
        memcpy(c, u3, sizeof u3);
        w = add_product(c, job, w, 4);
        w = store(c, w, job->out + 2, channel);
        w = start(s1t1, w);
        w = add_product(s1t1, job, w, 5);
        add_sums(u2, s1t1);
        w = add_product(u2, job, w, 6);
        w = store(u2, w, job->out, channel + 4);
        add_sums(u3, s1t1);
        w = store(u3, w, job->out + 2, channel + 4);
    }
}
#endif

void mcuq_conv2d_s8_dsp_strassen(const mcuq_conv2d_strassen_params *p, const int8_t *in,
                                 int8_t *out, void *scratch)
{
    const int32_t half = p->in_c / 2;
    int16_t *const x = scratch;
    quad_job job = {p->weights, x, p->in_c / 4, p->out_c / CHANNELS, {out, out, out, out}};
    for (int32_t pixel = 0; pixel < p->pixels; pixel += QUAD) {
        const int8_t *from[QUAD];
        for (int32_t i = 0; i < QUAD; i++) {
            /* behind the last pixel: the last one again */
            const int32_t own = (pixel + i < p->pixels) ? pixel + i : p->pixels - 1;
            from[i] = in + own * p->in_c;
            job.out[i] = out + own * p->out_c;
        }
        factors(x, from[0], from[2], half);
        factors(x + 2, from[1], from[3], half);
        run_quad(&job);
    }
    mcuq_dsp_clamp(out, p->pixels * p->out_c, p->out_min, p->out_max);
}
