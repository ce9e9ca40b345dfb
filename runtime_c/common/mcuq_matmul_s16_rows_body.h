/* mcuq_matmul_s16_rows_body.h: products of int16 matrices, all rows with four columns at a time,
 * whose sums have 64 bits.
 *
 * Parameters, which the includer defines before:
 *     pack(p, b, to): four columns of b, the first one at b, to scratch
 *     rows_of(job): all rows with these
 *     limit(values, count, low, high): values limited to [low, high]
 */
#include "mcuq_matmul.h"
#include "mcuq_matmul_s16_rows.h"

/* One of the batch; the last four columns may begin among those before them. */
static void product(const mcuq_matmul_s16_params *p, const int16_t *a, const int16_t *b,
                    int16_t *out, int16_t *columns)
{
    const int32_t last = p->size[3] - COLUMNS;

    for (int32_t n = 0; n < p->size[3]; n += COLUMNS) {
        const int32_t at = (n < last) ? n : last, sign = p->bias >> 31;
        int16_t *const to = out + at * p->step_out[3];
        rows_job job = {.start = {p->bias, sign, p->bias, sign, p->bias, sign, p->bias, sign},
                        .row = a,
                        .columns = columns,
                        .columns_end = columns + p->size[4] / 4 * 4 * COLUMNS,
                        .left = 32 - p->shift,
                        .depth = p->size[4],
                        .out = to,
                        .out_end = to + p->size[2] * p->step_out[2],
                        .step_a = 2 * p->step_a[2],
                        .step_out = 2 * p->step_out[2],
                        .step = 2 * p->step_out[3],
                        .shift = p->shift};
        pack(p, b + at * p->step_b[2], columns);
        rows_of(&job);
    }
}

static void run_matmul(const mcuq_matmul_s16_params *p, const void *a, const void *b, void *out,
                       void *scratch)
{
    const int16_t *const x = (const int16_t *)a + p->start_a;
    const int16_t *const y = (const int16_t *)b + p->start_b;

    MCUQ_ASSERT_ALIGNED(scratch, 4);
    for (int32_t i = 0; i < p->size[0]; i++) {
        for (int32_t j = 0; j < p->size[1]; j++) {
            product(p, x + i * p->step_a[0] + j * p->step_a[1],
                    y + i * p->step_b[0] + j * p->step_b[1],
                    (int16_t *)out + i * p->step_out[0] + j * p->step_out[1], scratch);
        }
    }
    /* Every element of the output is written, some twice. */
    limit(out, p->size[0] * p->size[1] * p->size[2] * p->size[3], p->out_min, p->out_max);
}
