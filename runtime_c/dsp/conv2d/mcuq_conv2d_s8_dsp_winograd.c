/* Convolution by Winograd's F(2, 3): two neighbouring outputs from four inputs d and three weights
 * g with four multiplications instead of six. Doubled, to stay in integers:
 *     m1 = (d0 - d2) * 2 g0          m2 = (d1 + d2) * (g0 + g1 + g2)
 *     m3 = (d2 - d1) * (g0 - g1 + g2)    m4 = (d3 - d1) * 2 g2
 *     2 y0 = m1 + m2 + m3            2 y1 = m2 - m3 + m4
 * The sums over rows and channels commute with this, so that each m is a matrix product as in
 * mcuq_conv2d_s8_dsp.c, of a tile (two outputs) instead of a pixel. Order in memory: m2 m3 m1 m4.
 */
#include "mcuq_conv2d_dsp_winograd_tiles_body.h"
#include "mcuq_conv2d_winograd_dsp.h"

void mcuq_conv2d_s8_dsp_winograd(const mcuq_conv2d_winograd_params *p, const int8_t *in,
                                 int8_t *out, void *scratch)
{
    run_blocks(p, in, out, scratch);
}
