#include "mcuq_matmul.h"

#include "mcuq_requant.h"

/* The sum of (a - zero_a) * (b - zero_b) over all k. */
static int32_t dot(const mcuq_matmul_params *p, const int8_t *a, const int8_t *b)
{
    const int32_t step_a = p->step_a[3], step_b = p->step_b[3];
    const int32_t zero_a = p->zero_a, zero_b = p->zero_b;
    int32_t acc = p->bias;

    for (int32_t k = p->size[4]; k > 0; k--) {
        acc += (*a - zero_a) * (*b - zero_b);
        a += step_a;
        b += step_b;
    }
    return acc;
}

/* One of the batch. */
static void product(const mcuq_matmul_params *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    for (int32_t m = 0; m < p->size[2]; m++) {
        for (int32_t n = 0; n < p->size[3]; n++) {
            const int32_t acc = dot(p, a + m * p->step_a[2], b + n * p->step_b[2]);
            out[m * p->step_out[2] + n * p->step_out[3]] =
                mcuq_requant(acc, p->shift, p->out_min, p->out_max);
        }
    }
}

void mcuq_matmul_s8(const mcuq_matmul_params *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    a += p->start_a;
    b += p->start_b;
    for (int32_t i = 0; i < p->size[0]; i++) {
        for (int32_t j = 0; j < p->size[1]; j++) {
            product(p, a + i * p->step_a[0] + j * p->step_a[1],
                    b + i * p->step_b[0] + j * p->step_b[1],
                    out + i * p->step_out[0] + j * p->step_out[1]);
        }
    }
}
