#define MCUQ_CODED_BITS 4

#include "mcuq_coded_sums_body.h"
#include "mcuq_dense_coded.h"

void mcuq_dense_s8_coded4_sums(const mcuq_dense_coded_sums_params *p, const int8_t *in, int8_t *out,
                               void *scratch)
{
    run_sums(p, in, out, scratch);
}
