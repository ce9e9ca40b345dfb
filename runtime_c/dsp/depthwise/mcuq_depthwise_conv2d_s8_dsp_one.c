#include "mcuq_depthwise_one.h"

#include "mcuq_dsp.h"

enum { LANES = 4 };

static inline int32_t low(uint32_t word)
{
    return (int16_t)(word & 0xffffu);
}

static inline int32_t high(uint32_t word)
{
    return (int16_t)(word >> 16);
}

static inline uint32_t word(const int8_t *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

/* One tap of four neighbours: 10 instructions. */
#define TAP(data, weights)                                                                         \
    do {                                                                                           \
        const uint32_t xe = mcuq_dsp_even(data), we = mcuq_dsp_even(weights);                      \
        const uint32_t xo = mcuq_dsp_odd(data), wo = mcuq_dsp_odd(weights);                        \
        a += low(xe) * low(we);                                                                    \
        c += high(xe) * high(we);                                                                  \
        b += low(xo) * low(wo);                                                                    \
        d += high(xo) * high(wo);                                                                  \
    } while (0)

/* The sum of one channel of a group. */
static int32_t add_one(int32_t acc, const int8_t *x, const int8_t *w, int32_t taps, int32_t pitch)
{
    for (int32_t left = taps; left > 0; left--, x += pitch, w += LANES) {
        acc += *x * *w;
    }
    return acc;
}

/* acc as int8. */
static inline int32_t saturated(int32_t acc)
{
#if MCUQ_DSP_ASM
    __asm("ssat %0, #8, %0" : "+r"(acc));
    return acc;
#else
    return mcuq_clamp(acc, INT8_MIN, INT8_MAX);
#endif
}

/* All groups of four channels; full: the output's range is that of its type. */
static inline void run(const mcuq_depthwise_one_params *p, const int8_t *in, int8_t *out, int full)
{
    const int8_t *w = p->weights, *shift = p->shift;
    const int32_t *bias = p->bias;
    const int32_t pitch = p->tap_pitch, lower = p->out_min, upper = p->out_max;

    for (int32_t left = p->channels >> 2; left > 0; left--) {
        const int8_t *x = in;
        int32_t a = bias[0], b = bias[1], c = bias[2], d = bias[3];
        for (int32_t pairs = p->taps >> 1; pairs > 0; pairs--) {
            TAP(word(x), word(w));
            TAP(word(x + pitch), word(w + LANES));
            x += 2 * pitch;
            w += 2 * LANES;
        }
        if (p->taps & 1) {
            TAP(word(x), word(w));
            w += LANES;
        }
        a = saturated(a >> shift[0]);
        b = saturated(b >> shift[1]);
        c = saturated(c >> shift[2]);
        d = saturated(d >> shift[3]);
        if (!full) {
            a = mcuq_clamp(a, lower, upper);
            b = mcuq_clamp(b, lower, upper);
            c = mcuq_clamp(c, lower, upper);
            d = mcuq_clamp(d, lower, upper);
        }
        out[0] = (int8_t)a;
        out[1] = (int8_t)b;
        out[2] = (int8_t)c;
        out[3] = (int8_t)d;
        in += LANES, out += LANES, bias += LANES, shift += LANES;
    }
}

void mcuq_depthwise_conv2d_s8_dsp_one(const mcuq_depthwise_one_params *p, const int8_t *in,
                                      int8_t *out)
{
    const int32_t groups = p->channels >> 2, done = groups * LANES;
    const int8_t *const w = p->weights + done * p->taps;

    if (p->out_min == INT8_MIN && p->out_max == INT8_MAX) {
        run(p, in, out, 1);
    } else {
        run(p, in, out, 0);
    }
    for (int32_t i = 0; i < (p->channels & 3); i++) {
        const int32_t c = done + i;
        const int32_t acc = add_one(p->bias[c], in + c, w + i, p->taps, p->tap_pitch);
        out[c] = mcuq_requant(acc, p->shift[c], p->out_min, p->out_max);
    }
}
