/* mcuq_copy.h: operators that only move int8 values. In and out must not overlap.
 * No alignment is asked for. */
#ifndef MCUQ_COPY_H
#define MCUQ_COPY_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    int32_t rows;
    int32_t chunk;      /* bytes copied per row */
    int32_t out_stride; /* bytes from one row of out to the next */
} mcuq_concat_params;

typedef struct {
    const int8_t *values; /* [out_c], or NULL: pad_value for all */
    int32_t in_h, in_w, in_c;
    int32_t out_w, out_c;
    int32_t top, bottom, left, front; /* front: channels before the input's first */
    int8_t pad_value;
} mcuq_pad_params;

typedef struct {
    int32_t out_size[3];
    int32_t in_stride[3]; /* of the input axis that becomes this output axis */
} mcuq_transpose_params;

typedef struct {
    int32_t start; /* elements from in to the first one */
    int32_t size[5];
    int32_t stride[5]; /* elements, of in; any sign, 0 repeats */
} mcuq_copy_params;

typedef struct {
    const int32_t *places; /* [count] elements from in to the first one of each row */
    int32_t count;
    int32_t size[3];
    int32_t stride[3];
} mcuq_take_params;

typedef struct {
    int32_t blocks;
    int32_t kept;  /* bytes of a block */
    int32_t fresh; /* of which so many are new */
} mcuq_push_params;

/** Of each block of out [blocks][kept] the last bytes of kept and, behind them, of in. out may be
 * kept. */
void mcuq_push_s8(const mcuq_push_params *p, const int8_t *kept, const int8_t *in, int8_t *out);

/** One input of a concatenation: in [rows][chunk] to the start of each row of out. */
void mcuq_concat_s8(const mcuq_concat_params *p, const int8_t *in, int8_t *out);

/** in [in_h][in_w][in_c] into the middle of out [top + in_h + bottom][out_w][out_c]. */
void mcuq_pad_s8(const mcuq_pad_params *p, const int8_t *in, int8_t *out);

/** out[i][j][k] = in[i * in_stride[0] + j * in_stride[1] + k * in_stride[2]]. */
void mcuq_transpose_s8(const mcuq_transpose_params *p, const int8_t *in, int8_t *out);

/** out[a][b][c][d][e] = in[start + a * stride[0] + b * stride[1] + ... + e * stride[4]]. */
void mcuq_copy_s8(const mcuq_copy_params *p, const int8_t *in, int8_t *out);

/** out[i][a][b][c] = in[places[i] + a * stride[0] + b * stride[1] + c * stride[2]]. */
void mcuq_copy_s8_take(const mcuq_take_params *p, const int8_t *in, int8_t *out);

#endif
