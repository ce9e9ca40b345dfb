#include "mcuq_resize.h"

void mcuq_resize_linear_s8(const mcuq_resize_linear_params *p, const int8_t *in, int8_t *out)
{
    const int32_t channels = p->channels;
    const int32_t pitch = p->in_w * channels;

    for (int32_t y = 0; y < p->out_h; y++) {
        const int32_t row = p->rows[y];
        const int32_t down = (row + 1 < p->in_h) ? pitch : 0;
        const int32_t low = p->row_weights[y], high = 2048 - low;
        for (int32_t x = 0; x < p->out_w; x++) {
            const int32_t column = p->columns[x];
            const int32_t next = (column + 1 < p->in_w) ? channels : 0;
            const int32_t right = p->column_weights[x], left = 2048 - right;
            const int32_t a = high * left, b = high * right, c = low * left, d = low * right;
            const int8_t *from = in + row * pitch + column * channels;
            const int8_t *below = from + down;
            for (const int8_t *end = out + channels; out < end; from++, below++) {
                const int32_t sum = a * from[0] + b * from[next] + c * below[0] + d * below[next];
                *out++ = (int8_t)((sum + (1 << 21)) >> 22);
            }
        }
    }
}
