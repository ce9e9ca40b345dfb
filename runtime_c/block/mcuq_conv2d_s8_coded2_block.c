#define MCUQ_CODED_BITS 2

#include "mcuq_conv2d_coded_block.h"
#include "mcuq_conv2d_coded_block_loop_body.h"

void mcuq_conv2d_s8_coded2_block(const mcuq_conv2d_coded_block_params *p, const int8_t *in,
                                 int8_t *out, void *scratch)
{
    run_coded(p, in, out, scratch);
}
