/* mcuq_dense_block_loop.h: what the dense kernels in blocks share, all but the products. */
#ifndef MCUQ_DENSE_BLOCK_LOOP_H
#define MCUQ_DENSE_BLOCK_LOOP_H

#include "mcuq_dense_block.h"
#include "mcuq_requant.h"

enum { MCUQ_DENSE_BLOCK_MAX = 8 };

/** acc[0..block) = sums over `count` inputs (a multiple of 4, not 0) of weight * input. */
typedef void mcuq_dense_block(const uint8_t *weights, const int8_t *in, int32_t count,
                              uint32_t *acc);

/** 128 times the sum of the inputs: what the offset of the weights adds to every output. */
static inline uint32_t mcuq_dense_offset(const int8_t *in, int32_t count)
{
    int32_t sum = 0;
    for (; count > 0; count--) {
        sum += *in++;
    }
    return (uint32_t)sum << 7;
}

/** All outputs, `width` at a time; the inputs behind the last whole four are added here. */
static inline void mcuq_dense_block_loop(const mcuq_dense_block_params *p, const int8_t *in,
                                         int8_t *out, int32_t width, mcuq_dense_block *block)
{
    const uint8_t *weights = p->weights;
    const int32_t whole = p->in_len & ~3;
    const uint32_t offset = mcuq_dense_offset(in, p->in_len);
    for (int32_t first = 0; first < p->out_len; first += width) {
        uint32_t acc[MCUQ_DENSE_BLOCK_MAX] = {0};
        if (whole > 0) {
            block(weights, in, whole, acc);
            weights += whole * width;
        }
        for (int32_t i = whole; i < p->in_len; i++) {
            for (int32_t o = 0; o < width; o++) {
                acc[o] += *weights++ * (uint32_t)in[i];
            }
        }
        for (int32_t o = 0; o < width && first + o < p->out_len; o++) {
            const int32_t sum = (int32_t)(acc[o] - offset) + p->bias[first + o];
            *out++ = mcuq_requant(sum, p->shift[first + o], p->out_min, p->out_max);
        }
    }
}

#endif
