#include <string.h>

#include "mcuq_dense_sparse.h"
#include "mcuq_requant.h"

enum { INPUTS = 8, BYTES = 5 };

/* The sum with the products of the weights for eight inputs. */
static inline int32_t add_eight(int32_t sum, const uint8_t *weights, const int8_t *x)
{
    const uint32_t places = weights[0];
    const int8_t *const behind = x + 4;
    sum += (int8_t)weights[1] * x[places & 3u];
    sum += (int8_t)weights[2] * x[places >> 2 & 3u];
    sum += (int8_t)weights[3] * behind[places >> 4 & 3u];
    return sum + (int8_t)weights[4] * behind[places >> 6];
}

/* All outputs of one pixel; `last` has the inputs behind the last whole eight, if there are any. */
static void run_pixel(const mcuq_sparse_2of4_params *p, const int8_t *in, const int8_t *last,
                      int8_t *out)
{
    const uint8_t *weights = p->weights;
    for (int32_t o = 0; o < p->out_len; o++) {
        const int8_t *x = in;
        int32_t sum = p->bias[o];
        for (int32_t left = p->in_len / INPUTS; left > 0; left--, weights += BYTES, x += INPUTS) {
            sum = add_eight(sum, weights, x);
        }
        if (p->in_len % INPUTS != 0) {
            sum = add_eight(sum, weights, last);
            weights += BYTES;
        }
        out[o] = mcuq_requant(sum, p->shift[o], p->out_min, p->out_max);
    }
}

void mcuq_dense_s8_sparse_2of4(const mcuq_sparse_2of4_params *p, const int8_t *in, int8_t *out)
{
    const int32_t left = p->in_len % INPUTS;
    for (int32_t y = 0; y < p->pixels.rows; y++) {
        const int8_t *from = in + y * p->pixels.row_pitch;
        for (int32_t x = 0; x < p->pixels.columns; x++) {
            int8_t last[INPUTS] = {0, 0, 0, 0, 0, 0, 0, 0};
            memcpy(last, from + p->in_len - left, (size_t)left);
            run_pixel(p, from, last, out);
            from += p->pixels.pixel_pitch;
            out += p->out_len;
        }
    }
}
