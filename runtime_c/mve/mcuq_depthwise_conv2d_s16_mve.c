#include "mcuq_int16_mve.h"
#include "mcuq_mve.h"

typedef mcuq_depthwise_conv2d_s16_mve_params params;
#include "mcuq_depthwise_taps_body.h"

enum { CHANNELS = 8 };

#if defined(__ARM_FEATURE_MVE)

/** A tap of eight channels: products of the even and of the odd ones. */
#define TAP(at)                                                                                    \
    "vldrh.u16 q4, [" at "]\n vldrb.s16 q5, [%[w]], #8\n"                                          \
    "vmullb.s16 q6, q4, q5\n vmullt.s16 q7, q4, q5\n vadd.i32 q0, q0, q6\n vadd.i32 q1, q1, q7\n"

/** `groups` times eight channels of a pixel, from the one that lies `offset` bytes behind the
 *  places of the taps on: 7.7 instructions a tap, and 19. Returns the weights behind theirs. */
static const int8_t *run_groups(const int16_t *const *taps, int32_t turns, const int8_t *weights,
                                int32_t offset, int32_t groups, const int16_t *range, int16_t *out)
{
    const int16_t *const *at = taps;
    __asm volatile("ldrsh lr, [%[range]]\n vdup.16 q2, lr\n"
                   "ldrsh lr, [%[range], #2]\n vdup.16 q3, lr\n"
                   "1: mov %[at], %[taps]\n"
                   "vldrw.u32 q0, [%[w]], #16\n vldrw.u32 q1, [%[w]], #16\n"
                   "dls lr, %[turns]\n"
                   "2: ldmia %[at]!, {r4, r5, r6}\n"
                   "add r4, %[offset]\n add r5, %[offset]\n add r6, %[offset]\n" TAP("r4") TAP("r5")
                       TAP("r6") "le lr, 2b\n"
                                 "vldrb.s32 q4, [%[w]], #4\n vldrb.s32 q5, [%[w]], #4\n"
                                 "vshl.s32 q0, q0, q4\n vshl.s32 q1, q1, q5\n"
                                 "vqmovnb.s32 q0, q0\n vqmovnt.s32 q0, q1\n"
                                 "vmax.s16 q0, q0, q2\n vmin.s16 q0, q0, q3\n"
                                 "vstrh.16 q0, [%[out]], #16\n"
                                 "add %[offset], #16\n subs %[groups], #1\n bne 1b\n"
                   : [at] "+&r"(at), [w] "+&l"(weights), [offset] "+&r"(offset),
                     [groups] "+&r"(groups), [out] "+&r"(out)
                   : [taps] "r"(taps), [turns] "r"(turns), [range] "r"(range)
                   : "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "r4", "r5", "r6", "lr", "cc",
                     "memory");
    return weights;
}

#else

static const int8_t *run_groups(const int16_t *const *taps, int32_t turns, const int8_t *weights,
                                int32_t offset, int32_t groups, const int16_t *range, int16_t *out)
{
    for (; groups > 0; groups--, offset += 16, out += CHANNELS) {
        const int8_t *const w = weights + 32, *const shifts = w + 3 * turns * CHANNELS;
        for (int32_t c = 0; c < CHANNELS; c++) {
            const int32_t place = c / 2 + 4 * (c & 1); /* the even ones come first */
            int32_t acc;
            memcpy(&acc, weights + 4 * place, sizeof acc);
            for (int32_t tap = 0; tap < 3 * turns; tap++) {
                acc += w[tap * CHANNELS + c] * taps[tap][offset / 2 + c];
            }
            out[c] = (int16_t)mcuq_clamp(acc >> -shifts[place], range[0], range[1]);
        }
        weights = shifts + CHANNELS;
    }
    return weights;
}

#endif

static void run_pixel(const params *p, const int16_t *const *taps, int32_t offset, int16_t *out)
{
    const int32_t groups = p->channels / CHANNELS, turns = p->taps / 3;
    const int8_t *weights = (const int8_t *)p->weights;

    weights = run_groups(taps, turns, weights, offset, groups, p->out_range, out);
    if (p->channels % CHANNELS != 0) {
        const int32_t last = p->channels - CHANNELS;
        run_groups(taps, turns, weights, offset + 2 * last, 1, p->out_range, out + last);
    }
}

void mcuq_depthwise_conv2d_s16_mve(const mcuq_depthwise_conv2d_s16_mve_params *p, const void *in,
                                   void *out, void *scratch)
{
    run_image(p, in, out, scratch);
}
