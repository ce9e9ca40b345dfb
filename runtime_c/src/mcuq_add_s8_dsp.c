/* Addition, four elements at a time: one SMLAD multiplies and adds both operands of an element. */
#include "mcuq_dsp.h"
#include "mcuq_elementwise_dsp.h"

void mcuq_add_s8_dsp(const mcuq_add_params *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    const uint32_t factors = mcuq_dsp_low((uint32_t)p->mul_a, (uint32_t)p->mul_b);
    const int32_t bias = p->bias;
    const int shift = p->shift;
    int8_t *const begin = out;
    int32_t left = p->count;
    for (; left >= 4; left -= 4, a += 4, b += 4, out += 4) {
        const uint32_t a_4 = mcuq_dsp_load4(a);
        const uint32_t b_4 = mcuq_dsp_load4(b);
        const uint32_t a_even = mcuq_dsp_even(a_4);
        const uint32_t b_even = mcuq_dsp_even(b_4);
        const uint32_t a_odd = mcuq_dsp_odd(a_4);
        const uint32_t b_odd = mcuq_dsp_odd(b_4);
        const int32_t y_0 = mcuq_dsp_smlad(mcuq_dsp_low(a_even, b_even), factors, bias) >> shift;
        const int32_t y_2 = mcuq_dsp_smlad(mcuq_dsp_high(a_even, b_even), factors, bias) >> shift;
        const int32_t y_1 = mcuq_dsp_smlad(mcuq_dsp_low(a_odd, b_odd), factors, bias) >> shift;
        const int32_t y_3 = mcuq_dsp_smlad(mcuq_dsp_high(a_odd, b_odd), factors, bias) >> shift;
        mcuq_dsp_store4(out, mcuq_dsp_saturate(mcuq_dsp_low((uint32_t)y_0, (uint32_t)y_2)),
                        mcuq_dsp_saturate(mcuq_dsp_low((uint32_t)y_1, (uint32_t)y_3)));
    }
    for (; left > 0; left--) {
        *out++ = mcuq_requant(*a++ * p->mul_a + *b++ * p->mul_b + bias, shift, -128, 127);
    }
    mcuq_dsp_clamp(begin, p->count, p->out_min, p->out_max);
}
