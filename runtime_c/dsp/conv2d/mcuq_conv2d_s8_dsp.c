/* Convolution as a matrix product: 3 pixels x 2 channels per block of registers.
 *
 * A block of pixels is gathered to scratch as int16 (once for all channels). For each pair of
 * channels the weights are widened to int16 (once for all pixels of the block), and the products
 * run over memory that only grows: one LDM of 3 input words, one of 2 weight words, 6 SMLAD.
 */
#include "mcuq_conv2d_dsp.h"
#include "mcuq_conv2d_dsp_channels_body.h"

void mcuq_conv2d_s8_dsp(const mcuq_conv2d_dsp_params *p, const int8_t *in, int8_t *out,
                        void *scratch)
{
    run_blocks(p, in, out, scratch);
}
