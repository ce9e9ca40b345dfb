#define MCUQ_CODED_BITS 2

#include "mcuq_dense_coded_mve.h"
#include "mcuq_dense_coded_mve_blocks_body.h"

void mcuq_dense_s8_coded2_mve(const mcuq_dense_coded_mve_params *p, const int8_t *in, int8_t *out,
                              void *scratch)
{
    run_dense(p, in, out, scratch);
}
