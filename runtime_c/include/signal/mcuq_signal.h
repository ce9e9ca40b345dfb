/* mcuq_signal.h: what is computed before and behind a network. */
#ifndef MCUQ_SIGNAL_H
#define MCUQ_SIGNAL_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const uint8_t *counted; /* [classes]: 0 for a class that never begins */
    int32_t count, classes;
    int32_t wide; /* 1: scores are int16_t, 0: int8_t */
    int32_t on,
        off; /* a class begins where the sum of its scores is on, or more, and ends below off */
    int32_t refractory; /* steps from one beginning to the next, at least */
} mcuq_decide_params;

/** scores [count][classes] and before int16_t [3], what the last step wrote, to out int16_t [3]:
 * the class that begins, the one that is held, from 1, 0 for none, and the steps to wait. out may
 * be before. */
void mcuq_decide_s16(const mcuq_decide_params *p, const int8_t *scores, const int8_t *before,
                     int8_t *out);

typedef struct {
    int32_t boxes, classes, most; /* most rows of a class */
    int32_t center;               /* 1: a box is its center and size, 0: two corners */
    int32_t zero;                 /* of the boxes */
    int32_t score;                /* the least that counts, above -2^31 */
    int32_t iou;                  /* times 2^24, 0 to 2^24: an overlap above it is too much */
    int32_t box_start, box_step, box_apart; /* number i of box b: start + b * step + i * apart */
    int32_t score_start, score_step, score_apart; /* of class i */
    int32_t wide_boxes, wide_scores;              /* 1: int16_t, 0: int8_t */
} mcuq_nms_params;

/** Of each class the boxes that count, by falling scores, of equal ones the first, but those that
 * overlap one before them by more than iou of both together: to out, int16_t [classes * most][3],
 * rows (0, class, box), then rows of -1. boxes <= 32767, classes * most <= 32767; they must not
 * overlap. Takes longer the more boxes count. */
void mcuq_nms_s16(const mcuq_nms_params *p, const int8_t *boxes, const int8_t *scores, int8_t *out);

typedef struct {
    const uint8_t *kinds; /* [count]: 0 mean, 1 rms, 2 min, 3 max, 4 zero crossings */
    const int16_t *mult;  /* [count] */
    const int8_t *shift;  /* [count] */
    int32_t count, channels;
    int32_t frames, frame, hop, start; /* windows, in samples of all channels */
    int32_t zero, out_min, out_max;
} mcuq_statistics_params;

/** in int16_t [samples][channels] to out [frames][count][channels], int16_t or, of the kernel named
 * s8, int8_t: of each window of `frame` samples, one every `hop`, the sum, 16 times the root of the
 * mean square, the least, the largest, and how often the sign changes; each
 * clamp(((value * mult + half) >> shift) + zero, out_min, out_max). They must not overlap. */
void mcuq_statistics_s16(const mcuq_statistics_params *p, const int8_t *in, int8_t *out);
void mcuq_statistics_s16_s8(const mcuq_statistics_params *p, const int8_t *in, int8_t *out);

typedef struct {
    const int32_t *sections; /* [count][5]: b0, b1, b2, a1, a2, times 2**29 */
    int32_t count;           /* at most 8 */
    int32_t samples, channels;
} mcuq_biquad_params;

/** in int16_t [samples][channels] to out, the same: `count` recursive filters of second order one
 * behind the other, from rest. Between them v has 12 bits behind the point; of each section
 *     y = sat32((b0 v + u 2**29 + half) >> 29)        half = 2**28
 *     u = sat32((b1 v - a1 y + w 2**29 + half) >> 29)
 *     w = sat32((b2 v - a2 y + half) >> 29)
 * They must not overlap. */
void mcuq_biquad_s16(const mcuq_biquad_params *p, const int8_t *in, int8_t *out);

/** The same from `before` int16_t [4 count][channels], low and high halves of u and w of each
 * section, which are written, as they are after the last sample, in front of the samples of out. */
void mcuq_biquad_s16_kept(const mcuq_biquad_params *p, const int8_t *in, const int8_t *before,
                          int8_t *out);

#endif
