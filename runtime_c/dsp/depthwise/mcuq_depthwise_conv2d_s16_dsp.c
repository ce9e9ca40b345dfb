#include "mcuq_int16_dsp.h"

typedef mcuq_depthwise_conv2d_s16_dsp_params params;
#include "mcuq_depthwise_taps_body.h"

enum { CHANNELS = 4 };

/* Some channels of one pixel, in fours; the assembly knows this layout. taps: where each tap reads
 * its first channel if offset is 0. offset: bytes. */
typedef struct {
    const int16_t *const *taps;
    const uint32_t *weights;
    int32_t offset;
    int16_t *end;
    const int16_t *const *taps_end;
    int16_t *out;
} quad_job;

/* Block: 4 channels of one pixel, whose words are multiplied by halves: 10 instructions a tap
 * (2.5 a product), 2 more for three, 25 for the 4 outputs. Saturation: SIGNED to int16, or POSITIVE
 * to 0..32767, which does ReLU.
 * r0 taps, r1 weights, r2, r3 where in a tap the channels lie, r4-r7 sums, r8, r9 weights, r10, r11
 * inputs, r12 the end of the taps, lr out. Frame: the first tap, the end of out. */
#if MCUQ_DSP_ASM
#define TAP                                                                                        \
    " ldr r8, [r1], #4\n ldr r11, [r0], #4\n sxtb16 r9, r8, ror #8\n sxtb16 r8, r8\n"              \
    " ldr r10, [r11, r2]\n ldr r11, [r11, r3]\n"                                                   \
    " smlabb r4, r10, r8, r4\n smlatb r5, r10, r9, r5\n"                                           \
    " smlabt r6, r11, r8, r6\n smlatt r7, r11, r9, r7\n"
#define SIGNED(r) " ssat " r ", #16, " r "\n"
#define POSITIVE(r) " usat " r ", #15, " r "\n"
#define QUADS(saturate)                                                                            \
    "push {r4-r11, lr}\n"                                                                          \
    " sub sp, #12\n"                                                                               \
    " add r3, r0, #12\n"                                                                           \
    " ldmia r0, {r0-r2}\n"                                                                         \
    " ldmia r3, {r3, r12, lr}\n"                                                                   \
    " strd r0, r3, [sp]\n"                                                                         \
    " add r3, r2, #4\n"                                                                            \
    "1:\n"                                                                                         \
    " ldmia r1!, {r4-r7}\n"                                                                        \
    "2:\n" TAP TAP TAP " cmp r0, r12\n"                                                            \
    " bne 2b\n"                                                                                    \
    " ldr r8, [r1], #4\n"                                                                          \
    " asr r4, r4, r8\n"                                                                            \
    " lsr r8, r8, #8\n"                                                                            \
    " asr r5, r5, r8\n"                                                                            \
    " lsr r8, r8, #8\n"                                                                            \
    " asr r6, r6, r8\n"                                                                            \
    " lsr r8, r8, #8\n"                                                                            \
    " asr r7, r7, r8\n" saturate("r4") saturate("r5") saturate("r6")                               \
        saturate("r7") " pkhbt r4, r4, r5, lsl #16\n"                                              \
                       " pkhbt r6, r6, r7, lsl #16\n"                                              \
                       " str r4, [lr], #4\n"                                                       \
                       " str r6, [lr], #4\n"                                                       \
                       " ldrd r0, r8, [sp]\n"                                                      \
                       " adds r2, #8\n"                                                            \
                       " adds r3, #8\n"                                                            \
                       " cmp lr, r8\n"                                                             \
                       " bne 1b\n"                                                                 \
                       " add sp, #12\n"                                                            \
                       " mov r0, r1\n"                                                             \
                       " pop {r4-r11, pc}\n"
MCUQ_NAKED static const uint32_t *run_signed(MCUQ_NAKED_ARGUMENT const quad_job *job)
{
    __asm volatile(QUADS(SIGNED));
}

MCUQ_NAKED static const uint32_t *run_positive(MCUQ_NAKED_ARGUMENT const quad_job *job)
{
    __asm volatile(QUADS(POSITIVE));
}
#else
static const uint32_t *run_quads(const quad_job *job, int32_t low)
{
    const int32_t taps = (int32_t)(job->taps_end - job->taps);
    const uint32_t *weights = job->weights;
    int32_t at = job->offset / 2;

    for (int16_t *to = job->out; to < job->end; to += CHANNELS, at += CHANNELS) {
        const uint32_t *w = weights + CHANNELS, *shifts = w + taps;
        for (int32_t c = 0; c < CHANNELS; c++) {
            int32_t acc = (int32_t)weights[c];
            for (int32_t tap = 0; tap < taps; tap++) {
                acc += job->taps[tap][at + c] * (int8_t)((w[tap] >> (8 * c)) & 0xffu);
            }
            to[c] = mcuq_requant_int16(acc, (int)((*shifts >> (8 * c)) & 31u), low, 32767);
        }
        weights = shifts + 1;
    }
    return weights;
}

static const uint32_t *run_signed(const quad_job *job)
{
    return run_quads(job, -32768);
}

static const uint32_t *run_positive(const quad_job *job)
{
    return run_quads(job, 0);
}
#endif

/** Returns the weights behind those of the channels. */
static const uint32_t *run(const params *p, const quad_job *job)
{
    return (p->out_min == 0) ? run_positive(job) : run_signed(job);
}

static void run_pixel(const params *p, const int16_t *const *taps, int32_t offset, int16_t *out)
{
    const int32_t whole = p->channels / CHANNELS * CHANNELS;
    quad_job job = {taps, p->weights, offset, out + whole, taps + p->taps, out};

    job.weights = run(p, &job);
    if (whole < p->channels) {
        job.out = out + p->channels - CHANNELS;
        job.end = job.out + CHANNELS;
        job.offset = offset + 2 * (p->channels - CHANNELS);
        run(p, &job);
    }
}

void mcuq_depthwise_conv2d_s16_dsp(const mcuq_depthwise_conv2d_s16_dsp_params *p, const void *in,
                                   void *out, void *scratch)
{
    run_image(p, in, out, scratch);
    mcuq_dsp_clamp16(out, p->out_h * p->out_w * p->channels,
                     (p->out_min == 0) ? -32768 : p->out_min, p->out_max);
}
