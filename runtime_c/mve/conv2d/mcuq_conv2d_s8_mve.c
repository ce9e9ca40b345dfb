#include "mcuq_conv2d_mve.h"
#include "mcuq_conv2d_mve_pixels_body.h"

void mcuq_conv2d_s8_mve(const mcuq_conv2d_mve_params *p, const int8_t *in, int8_t *out,
                        void *scratch)
{
    run_conv2d(p, in, out, scratch, p->out_c);
}
