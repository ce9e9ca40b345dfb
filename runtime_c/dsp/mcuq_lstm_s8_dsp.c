/* lstm: the state's weights in bytes. */
#define MCUQ_WIDE 0
#include "mcuq_lstm_dsp_body.h"

void mcuq_lstm_s8_dsp(const mcuq_recurrent_dsp_params *p, const int8_t *in, int8_t *out,
                      void *scratch)
{
    run(p, in, out, scratch);
}
