/* mcuq_int16_dsp.h: operators on int16 data for cores with the DSP extension; see mcuq_int16.h. */
#ifndef MCUQ_INT16_DSP_H
#define MCUQ_INT16_DSP_H

#include "mcuq_dsp.h"
#include "mcuq_int16.h"

typedef struct {
    /* per 2 channels: 2 biases, [words] of two inputs of both channels in turn, 2 shifts */
    const uint32_t *weights;
    uint16_t in_h, in_w, in_c;
    uint16_t out_h, out_w, out_c; /* out_c is a multiple of 2 */
    uint16_t pad_top, pad_left;
    uint16_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int32_t words; /* half of kernel_h * kernel_w * in_c, rounded up to a multiple of 4 */
    int16_t pad_value, out_min, out_max;
} mcuq_conv2d_s16_dsp_params;

/** As mcuq_conv2d_s16, of one group; scratch: 16 * words bytes, aligned to 4. */
void mcuq_conv2d_s16_dsp(const mcuq_conv2d_s16_dsp_params *p, const void *in, void *out,
                         void *scratch);

typedef struct {
    /* per 4 channels: 4 biases, [taps] of 4 weights in a word, 4 shifts in a word; the last four
     * may begin among those before them */
    const uint32_t *weights;
    uint16_t in_h, in_w;
    uint16_t out_h, out_w, channels; /* channels: 4 or more */
    uint16_t pad_top, pad_left;
    uint16_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    uint16_t taps; /* kernel_h * kernel_w, rounded up to a multiple of 3 */
    int16_t pad_value, out_min, out_max;
} mcuq_depthwise_conv2d_s16_dsp_params;

/** As mcuq_depthwise_conv2d_s16, where out_c is in_c and taps at most 51; scratch: 2 * channels
 *  bytes. */
void mcuq_depthwise_conv2d_s16_dsp(const mcuq_depthwise_conv2d_s16_dsp_params *p, const void *in,
                                   void *out, void *scratch);

typedef struct {
    /* per 4 outputs: 4 biases, [words] of two inputs of outputs 0 and 1 in turn and of 2 and 3, 4
     * shifts in a word */
    const uint32_t *weights;
    int32_t in_len, out_len;
    int32_t words; /* half of in_len, rounded up to a multiple of 4 */
    int16_t out_min, out_max;
} mcuq_dense_s16_dsp_params;

/** As mcuq_dense_s16; scratch: 4 * words bytes. */
void mcuq_dense_s16_dsp(const mcuq_dense_s16_dsp_params *p, const void *in, void *out,
                        void *scratch);

/** As mcuq_add_s16, with scales that fit 16 bits. */
void mcuq_add_s16_dsp(const mcuq_add_s16_params *p, const void *a, const void *b, void *out);

/** As mcuq_mul_s16, mcuq_mul_s16_broadcast, and mcuq_add_s16_broadcast, with scales that fit 16
 * bits. */
void mcuq_mul_s16_dsp(const mcuq_mul_s16_params *p, const void *a, const void *b, void *out);
void mcuq_mul_s16_broadcast_dsp(const mcuq_mul_s16_broadcast_params *p, const void *a,
                                const void *b, void *out);
void mcuq_add_s16_broadcast_dsp(const mcuq_add_s16_broadcast_params *p, const void *a,
                                const void *b, void *out);

/** As mcuq_avg_pool2d_s16 and mcuq_max_pool2d_s16, overlaps too. */
void mcuq_avg_pool2d_s16_dsp(const mcuq_avg_pool2d_s16_params *p, const void *in, void *out);
void mcuq_max_pool2d_s16_dsp(const mcuq_max_pool2d_params *p, const void *in, void *out);

/** As mcuq_lut_s16. */
void mcuq_lut_s16_dsp(const mcuq_lut_s16_params *p, const void *in, void *out);

/** values[i] limited to [low, high]. 1.9 instructions a value; nothing for [-32768, 32767]. */
static inline void mcuq_dsp_clamp16(int16_t *values, int32_t count, int32_t low, int32_t high)
{
    if (low == -32768 && high == 32767) {
        return;
    }
#if MCUQ_DSP_ASM
    const uint32_t lows = 0x10001u * (uint16_t)low, highs = 0x10001u * (uint16_t)high;
    for (; count >= 4; count -= 4, values += 4) {
        uint32_t first, second, sink;
        __asm("ldr %[first], [%[at]]\n ldr %[second], [%[at], #4]\n"
              " ssub16 %[sink], %[first], %[lows]\n sel %[first], %[first], %[lows]\n"
              " ssub16 %[sink], %[highs], %[first]\n sel %[first], %[first], %[highs]\n"
              " ssub16 %[sink], %[second], %[lows]\n sel %[second], %[second], %[lows]\n"
              " ssub16 %[sink], %[highs], %[second]\n sel %[second], %[second], %[highs]\n"
              " str %[first], [%[at]]\n str %[second], [%[at], #4]\n"
              : [first] "=&r"(first), [second] "=&r"(second), [sink] "=&r"(sink),
                "+m"(*(uint8_t(*)[8])(void *)values)
              : [at] "r"(values), [lows] "r"(lows), [highs] "r"(highs)
              : "cc");
    }
#endif
    for (; count > 0; count--, values++) {
        *values = (int16_t)mcuq_clamp(*values, low, high);
    }
}

#endif
