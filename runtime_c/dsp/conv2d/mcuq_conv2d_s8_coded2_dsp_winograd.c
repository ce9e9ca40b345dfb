/* As mcuq_conv2d_s8_dsp_winograd.c, from codes of 2 bits: they are looked up where bytes are
 * widened. */
#define MCUQ_CODED_BITS 2

#include "mcuq_conv2d_coded_dsp.h"
#include "mcuq_conv2d_dsp_winograd_tiles_body.h"

void mcuq_conv2d_s8_coded2_dsp_winograd(const mcuq_conv2d_coded_winograd_params *p,
                                        const int8_t *in, int8_t *out, void *scratch)
{
    run_blocks(&p->conv, in, out, mcuq_coded_pairs(p->values, scratch));
}
