#include "mcuq_recurrent.h"

typedef int8_t element;
#include "mcuq_lstm_body.h"

void mcuq_lstm_s8(const mcuq_recurrent_params *p, const int8_t *in, int8_t *out, void *scratch)
{
    run(p, in, out, scratch);
}
