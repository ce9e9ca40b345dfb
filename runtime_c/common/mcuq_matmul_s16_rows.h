/* mcuq_matmul_s16_rows.h: what rows of products of int16 matrices with four columns are made from.
 */
#ifndef MCUQ_MATMUL_S16_ROWS_H
#define MCUQ_MATMUL_S16_ROWS_H

#include <stdint.h>

#define COLUMNS 4

/* All rows of one of the batch with four columns of b, as they are packed. The assembly knows this
 * layout. */
typedef struct {
    int32_t start[8]; /* the bias for each sum, 64 bits */
    const int16_t *row;
    const int16_t *columns, *columns_end; /* the latter of whole fours of k */
    int32_t left, depth;                  /* 32 - shift; k */
    int16_t *out, *out_end;
    int32_t step_a, step_out, step; /* bytes to the next row of a, and of out; to the next column */
    int32_t shift;
} rows_job;

#endif
