#include "mcuq_depthwise_one.h"

#include "mcuq_requant.h"

enum { LANES = 4 };

#if defined(__ARM_FEATURE_MVE)

void mcuq_depthwise_conv2d_s8_mve_one(const mcuq_depthwise_one_params *p, const int8_t *in,
                                      int8_t *out)
{
    const int8_t *w = p->weights, *shift = p->shift;
    const int32_t *bias = p->bias;
    const int32_t low = p->out_min, high = p->out_max;

    for (int32_t left = p->channels; left > 0; left -= LANES) {
        const int8_t *x = in;
        __asm volatile(
            "vldrw.32 q0, [%[bias]]\n vctp.32 %[left]\n dls lr, %[taps]\n"
            "1: vpst\n vldrbt.s32 q1, [%[x]]\n vldrb.s32 q2, [%[w]], #4\n"
            "add %[x], %[pitch]\n vmul.i32 q1, q1, q2\n vadd.i32 q0, q0, q1\n le lr, 1b\n"
            "vldrb.s32 q1, [%[shift]]\n vneg.s32 q1, q1\n vshl.s32 q0, q0, q1\n"
            "vdup.32 q1, %[low]\n vmax.s32 q0, q0, q1\n"
            "vdup.32 q1, %[high]\n vmin.s32 q0, q0, q1\n"
            "vpst\n vstrbt.32 q0, [%[out]]\n"
            : [x] "+&l"(x), [w] "+&l"(w)
            : [bias] "r"(bias), [shift] "l"(shift), [out] "l"(out), [left] "r"(left),
              [taps] "r"(p->taps), [pitch] "h"(p->tap_pitch), [low] "r"(low), [high] "r"(high)
            : "q0", "q1", "q2", "lr", MCUQ_MVE_VPR, "cc", "memory");
        in += LANES, out += LANES, bias += LANES, shift += LANES;
    }
}

#else

void mcuq_depthwise_conv2d_s8_mve_one(const mcuq_depthwise_one_params *p, const int8_t *in,
                                      int8_t *out)
{
    for (int32_t c = 0; c < p->channels; c++) {
        const int8_t *w = p->weights + (c / LANES) * LANES * p->taps + c % LANES;
        int32_t acc = p->bias[c];
        for (int32_t tap = 0; tap < p->taps; tap++) {
            acc += in[c + tap * p->tap_pitch] * w[tap * LANES];
        }
        out[c] = mcuq_requant(acc, p->shift[c], p->out_min, p->out_max);
    }
}

#endif
