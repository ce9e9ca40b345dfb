/* rnn: the state's weights in bytes. */
#define MCUQ_WIDE 0
#include "mcuq_gate_rows_dsp_body.h"
#include "mcuq_recurrent_dsp.h"
#include "mcuq_rnn_rows_body.h"

void mcuq_rnn_s8_dsp(const mcuq_recurrent_rows_params *p, const int8_t *in, int8_t *out,
                     void *scratch)
{
    run(p, in, out, scratch);
}
