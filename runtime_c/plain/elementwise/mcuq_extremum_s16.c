#include "mcuq_int16.h"

void mcuq_extremum_s16(const mcuq_extremum_s16_params *p, const void *a, const void *b, void *out)
{
    const int32_t low = p->out_min, high = p->out_max;
    const int larger = p->larger;
    int16_t *to = out;

    for (int32_t row = 0; row < p->spread.rows; row++) {
        const int16_t *row_a = (const int16_t *)a + row * p->spread.row_step_a;
        const int16_t *row_b = (const int16_t *)b + row * p->spread.row_step_b;
        for (int32_t left = p->spread.inner; left > 0; left--) {
            const int32_t x = *row_a, y = *row_b;
            *to++ = (int16_t)mcuq_clamp(((x > y) == larger) ? x : y, low, high);
            row_a += p->spread.inner_step_a;
            row_b += p->spread.inner_step_b;
        }
    }
}
