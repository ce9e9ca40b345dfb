/* mcuq_features.h: features of sound: frames of samples to logarithms of bands of their spectrum.
 *
 * A frame of `length` samples begins every `hop` samples; x_before is the sample before x.
 *     e = how often the samples can be doubled within +-2^15
 *     y = (x * 2^x_shift - pre * x_before - ((sum x * dc) >> 16)) * 2^e
 *     v = (y * window) >> 16, then zeros up to `points` = 2^(log2_half + 1)
 *     p = re^2 + im^2 of the FFT of v, or 2^15 times its root
 *     b = ((sum mel * p) >> 15) >> 2 e (or e, of roots)
 *     l = log2 of max(max(b, floor) + added, 1), less 32, with 10 bits behind the point
 *     out = clamp((sum mix * l + offset) >> shift, out_min, out_max)
 * in [samples] is int16_t; out [frames][out_len] is int16_t, or of the kernels named s8 int8_t.
 * in, out and scratch must not overlap; scratch is aligned to 4 bytes. */
#ifndef MCUQ_FEATURES_H
#define MCUQ_FEATURES_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const int16_t *window;   /* [length] */
    const int16_t *twiddles; /* [points / 2][2]: -cos and -sin of 2 pi k / points, 15 bits */
    const uint16_t *bands;   /* [bands][2]: the first bin of a band, and how many it has */
    const int16_t *mel;      /* the weights of the bins of each band, band after band; 15 bits */
    const uint16_t *log2;    /* [257]: log2(1 + i / 256), 15 bits */
    const uint16_t *root;    /* [193]: sqrt(64 + i), 12 bits; NULL for powers */
    const int32_t *stages;   /* MVE: twiddles once more, stage by stage; else NULL */
    const int16_t *mix;      /* [out_len][bands], or [bands] if each band goes alone */
    const int32_t *offset;   /* [out_len] */
    const int8_t *shift;     /* [out_len] */
    uint64_t floor, added;
    int32_t samples, frames, hop, start; /* start: of the first frame, below 0 before `in` */
    int32_t length, log2_half;
    int32_t reflect; /* around `in` lie 1: the samples mirrored, 0: zeros */
    int32_t within;  /* 1: before a frame's first sample lies itself */
    int32_t x_shift, pre, dc;
    int32_t band_count, out_len, alone;
    int32_t out_min, out_max;
} mcuq_features_params;

/** scratch: 8 * (points / 2 + 1) bytes, then 2 * band_count. */
void mcuq_features_s16(const mcuq_features_params *p, const int8_t *in, int8_t *out, void *scratch);
void mcuq_features_s16_s8(const mcuq_features_params *p, const int8_t *in, int8_t *out,
                          void *scratch);

/** With the DSP extension; window and twiddles are aligned to 4 bytes. */
void mcuq_features_s16_dsp(const mcuq_features_params *p, const int8_t *in, int8_t *out,
                           void *scratch);
void mcuq_features_s16_s8_dsp(const mcuq_features_params *p, const int8_t *in, int8_t *out,
                              void *scratch);

/** With Helium; scratch: 24 bytes more. */
void mcuq_features_s16_mve(const mcuq_features_params *p, const int8_t *in, int8_t *out,
                           void *scratch);
void mcuq_features_s16_s8_mve(const mcuq_features_params *p, const int8_t *in, int8_t *out,
                              void *scratch);

#endif
