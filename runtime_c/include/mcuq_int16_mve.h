/* mcuq_int16_mve.h: operators on int16 data with Helium (MVE); see mcuq_int16.h. */
#ifndef MCUQ_INT16_MVE_H
#define MCUQ_INT16_MVE_H

#include "mcuq_conv2d_mve.h"
#include "mcuq_int16.h"

typedef struct {
    /* As of int8 data, with 2 bytes an input: in_c and pitches count bytes, a step is 8 products.
     * weights [pair of output channels][steps][2][8]; taps: of bytes; pad_value is 0 */
    mcuq_conv2d_mve_params conv;
    int16_t out_range[2]; /* the least and the greatest output; conv.out_range is not used */
} mcuq_conv2d_s16_mve_params;

/** As mcuq_conv2d_s16, of one group; scratch as of mcuq_conv2d_s8_mve with these sizes. */
void mcuq_conv2d_s16_mve(const mcuq_conv2d_s16_mve_params *p, const void *in, void *out,
                         void *scratch);

typedef struct {
    /* per 8 channels: biases of the even ones and of the odd ones, [taps][8] int8, negated shifts
     * of the even ones and of the odd ones; the last eight may begin among those before them */
    const int32_t *weights;
    uint16_t in_h, in_w;
    uint16_t out_h, out_w, channels; /* channels: 8 or more */
    uint16_t pad_top, pad_left;
    uint16_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    uint16_t taps; /* kernel_h * kernel_w, rounded up to a multiple of 3 */
    int16_t pad_value;
    int16_t out_range[2]; /* the least and the greatest output */
} mcuq_depthwise_conv2d_s16_mve_params;

/** As mcuq_depthwise_conv2d_s16, where out_c is in_c and taps at most 51; scratch: 2 * channels
 *  bytes. */
void mcuq_depthwise_conv2d_s16_mve(const mcuq_depthwise_conv2d_s16_mve_params *p, const void *in,
                                   void *out, void *scratch);

typedef struct {
    const int8_t *weights;     /* [8 outputs][8 inputs][8][8], zeros where they are not full */
    const int32_t *bias;       /* [out_len], to a multiple of 8 */
    const int8_t *minus_shift; /* [out_len], to a multiple of 4, -31..0 */
    int32_t in_len, out_len;
    int16_t out_range[2]; /* the least and the greatest output */
} mcuq_dense_s16_mve_params;

/** As mcuq_dense_s16; scratch: 32 bytes, and in_len to a multiple of 8 times 2 if it is none. */
void mcuq_dense_s16_mve(const mcuq_dense_s16_mve_params *p, const void *in, void *out,
                        void *scratch);

/** As mcuq_add_s16. */
void mcuq_add_s16_mve(const mcuq_add_s16_params *p, const void *a, const void *b, void *out);

/** As mcuq_mul_s16, mcuq_mul_s16_broadcast, and mcuq_add_s16_broadcast. */
void mcuq_mul_s16_mve(const mcuq_mul_s16_params *p, const void *a, const void *b, void *out);
void mcuq_mul_s16_broadcast_mve(const mcuq_mul_s16_broadcast_params *p, const void *a,
                                const void *b, void *out);
void mcuq_add_s16_broadcast_mve(const mcuq_add_s16_broadcast_params *p, const void *a,
                                const void *b, void *out);

/** As mcuq_avg_pool2d_s16 and mcuq_max_pool2d_s16, overlaps too. */
void mcuq_avg_pool2d_s16_mve(const mcuq_avg_pool2d_s16_params *p, const void *in, void *out);
void mcuq_max_pool2d_s16_mve(const mcuq_max_pool2d_params *p, const void *in, void *out);

/** As mcuq_lut_s16. */
void mcuq_lut_s16_mve(const mcuq_lut_s16_params *p, const void *in, void *out);

#endif
