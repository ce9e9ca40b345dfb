#include "mcuq_int16.h"

void mcuq_add_s16_broadcast(const mcuq_add_s16_broadcast_params *p, const void *a, const void *b,
                            void *out)
{
    const int32_t mul_a = p->mul_a, mul_b = p->mul_b, bias = p->bias;
    const int32_t low = p->out_min, high = p->out_max;
    const int shift = p->shift;
    int16_t *to = out;

    for (int32_t row = 0; row < p->spread.rows; row++) {
        const int16_t *x = (const int16_t *)a + row * p->spread.row_step_a;
        const int16_t *y = (const int16_t *)b + row * p->spread.row_step_b;
        for (int32_t left = p->spread.inner; left > 0; left--) {
            *to++ = mcuq_requant_int16(bias + *x * mul_a + *y * mul_b, shift, low, high);
            x += p->spread.inner_step_a;
            y += p->spread.inner_step_b;
        }
    }
}
