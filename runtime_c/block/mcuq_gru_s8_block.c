#include "mcuq_gate_rows_block_body.h"
#include "mcuq_recurrent_block.h"
#include "mcuq_gru_rows_body.h"

void mcuq_gru_s8_block(const mcuq_recurrent_rows_params *p, const int8_t *in, int8_t *out,
                       void *scratch)
{
    run(p, in, out, scratch);
}
