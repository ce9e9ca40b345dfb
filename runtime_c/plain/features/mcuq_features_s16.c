#include "mcuq_features.h"

typedef int16_t element;
#include "mcuq_features_body.h"

void mcuq_features_s16(const mcuq_features_params *p, const int8_t *in, int8_t *out, void *scratch)
{
    run(p, in, out, scratch);
}
