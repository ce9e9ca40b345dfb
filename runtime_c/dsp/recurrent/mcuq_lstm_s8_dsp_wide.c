/* lstm: the state's weights in halfwords. */
#define MCUQ_WIDE 1
#include "mcuq_gate_rows_dsp_body.h"
#include "mcuq_recurrent_dsp.h"
#include "mcuq_lstm_rows_body.h"

void mcuq_lstm_s8_dsp_wide(const mcuq_recurrent_rows_params *p, const int8_t *in, int8_t *out,
                           void *scratch)
{
    run(p, in, out, scratch);
}
