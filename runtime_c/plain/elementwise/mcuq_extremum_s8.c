#include "mcuq_elementwise.h"

#include "mcuq_requant.h"

void mcuq_extremum_s8(const mcuq_extremum_params *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    const int32_t low = p->out_min, high = p->out_max;
    const int larger = p->larger;

    for (int32_t row = 0; row < p->spread.rows; row++) {
        const int8_t *row_a = a + row * p->spread.row_step_a;
        const int8_t *row_b = b + row * p->spread.row_step_b;
        for (int32_t left = p->spread.inner; left > 0; left--) {
            const int32_t x = *row_a, y = *row_b;
            *out++ = (int8_t)mcuq_clamp(((x > y) == larger) ? x : y, low, high);
            row_a += p->spread.inner_step_a;
            row_b += p->spread.inner_step_b;
        }
    }
}
