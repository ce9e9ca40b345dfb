#include "mcuq_int16.h"

void mcuq_mul_s16_broadcast(const mcuq_mul_s16_broadcast_params *p, const void *a, const void *b,
                            void *out)
{
    const int32_t bias = p->bias, low = p->out_min, high = p->out_max;
    const int shift = p->shift;
    int16_t *to = out;

    for (int32_t row = 0; row < p->spread.rows; row++) {
        const int16_t *x = (const int16_t *)a + row * p->spread.row_step_a;
        const int16_t *y = (const int16_t *)b + row * p->spread.row_step_b;
        for (int32_t left = p->spread.inner; left > 0; left--) {
            *to++ = mcuq_requant_int16(*x * *y + bias, shift, low, high);
            x += p->spread.inner_step_a;
            y += p->spread.inner_step_b;
        }
    }
}
