/* mcuq_conv2d_coded_mve_chunks_body.h: the convolution with Helium from codes of MCUQ_CODED_BITS.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_CODED_BITS: 4 or 2
 */
#ifndef MCUQ_CONV2D_CODED_MVE_CHUNKS_BODY_H
#define MCUQ_CONV2D_CODED_MVE_CHUNKS_BODY_H

#include "mcuq_coded_mve_body.h"
#include "mcuq_conv2d_coded_mve.h"
#include "mcuq_conv2d_mve_pixels_body.h"

static void run_coded(const mcuq_conv2d_coded_mve_params *p, const int8_t *in, int8_t *out,
                      int32_t *scratch)
{
    const int32_t out_c = p->conv.out_c;
    const uint8_t *codes = p->codes;
    int32_t *const rest = scratch + 4 * p->conv.steps * p->chunk;
    mcuq_conv2d_mve_params part = p->conv;
    part.weights = (const int8_t *)scratch;
    for (int32_t at = 0; at < out_c; at += p->chunk) {
        const int32_t count = (out_c - at < p->chunk) ? out_c - at : p->chunk;
        const int32_t vectors = p->conv.steps * ((count + 3) & ~3) / MCUQ_CODED_VECTORS;
        codes = mcuq_coded_decode((int8_t *)scratch, codes, vectors, p->values);
        part.bias = p->conv.bias + at;
        part.minus_shift = p->conv.minus_shift + at;
        part.out_c = (int16_t)count;
        run_conv2d(&part, in, out + at, rest, out_c);
    }
}

#endif
