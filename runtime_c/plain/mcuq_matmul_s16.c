#include "mcuq_matmul.h"

#include "mcuq_requant.h"

/* The sum of a * b over all k. */
static int64_t dot(const mcuq_matmul_s16_params *p, const int16_t *a, const int16_t *b)
{
    const int32_t step_a = p->step_a[3], step_b = p->step_b[3];
    int64_t acc = p->bias;

    for (int32_t k = p->size[4]; k > 0; k--) {
        acc += (int64_t)((int32_t)*a * *b);
        a += step_a;
        b += step_b;
    }
    return acc;
}

/* One of the batch. */
static void product(const mcuq_matmul_s16_params *p, const int16_t *a, const int16_t *b,
                    int16_t *out)
{
    for (int32_t m = 0; m < p->size[2]; m++) {
        for (int32_t n = 0; n < p->size[3]; n++) {
            const int64_t acc = dot(p, a + m * p->step_a[2], b + n * p->step_b[2]) >> p->shift;
            const int64_t low = p->out_min, high = p->out_max;
            out[m * p->step_out[2] + n * p->step_out[3]] = (int16_t)((acc < low)    ? low
                                                                     : (acc > high) ? high
                                                                                    : acc);
        }
    }
}

void mcuq_matmul_s16(const mcuq_matmul_s16_params *p, const void *a, const void *b, void *out)
{
    const int16_t *x = (const int16_t *)a + p->start_a, *y = (const int16_t *)b + p->start_b;
    int16_t *to = out;
    for (int32_t i = 0; i < p->size[0]; i++) {
        for (int32_t j = 0; j < p->size[1]; j++) {
            product(p, x + i * p->step_a[0] + j * p->step_a[1],
                    y + i * p->step_b[0] + j * p->step_b[1],
                    to + i * p->step_out[0] + j * p->step_out[1]);
        }
    }
}
