#include "mcuq_elementwise.h"

#include "mcuq_requant.h"

void mcuq_mul_s8_broadcast(const mcuq_mul_broadcast_params *p, const int8_t *a, const int8_t *b,
                           int8_t *out)
{
    const int32_t zero_a = p->zero_a, zero_b = p->zero_b, bias = p->bias;
    const int32_t low = p->out_min, high = p->out_max;
    const int shift = p->shift;

    for (int32_t row = 0; row < p->spread.rows; row++) {
        const int8_t *row_a = a + row * p->spread.row_step_a;
        const int8_t *row_b = b + row * p->spread.row_step_b;
        for (int32_t left = p->spread.inner; left > 0; left--) {
            *out++ = mcuq_requant((*row_a - zero_a) * (*row_b - zero_b) + bias, shift, low, high);
            row_a += p->spread.inner_step_a;
            row_b += p->spread.inner_step_b;
        }
    }
}
