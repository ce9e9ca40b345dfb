#define MCUQ_CODED_BITS 2

#include "mcuq_conv2d_coded_mve.h"
#include "mcuq_conv2d_coded_mve_chunks_body.h"

void mcuq_conv2d_s8_coded2_mve(const mcuq_conv2d_coded_mve_params *p, const int8_t *in, int8_t *out,
                               void *scratch)
{
    run_coded(p, in, out, scratch);
}
