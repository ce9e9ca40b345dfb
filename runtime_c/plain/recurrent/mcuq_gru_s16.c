#include "mcuq_recurrent.h"

typedef int16_t element;
#include "mcuq_gru_body.h"

void mcuq_gru_s16(const mcuq_recurrent_params *p, const int8_t *in, int8_t *out, void *scratch)
{
    run(p, in, out, scratch);
}
