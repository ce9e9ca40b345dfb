#include "mcuq_copy.h"

#include "mcuq_runs.h"

void mcuq_concat_s8(const mcuq_concat_params *p, const int8_t *in, int8_t *out)
{
    const int32_t chunk = p->chunk, next = p->out_stride - chunk;
    int8_t *to = out;

    if (chunk > MCUQ_LONG_RUN || !mcuq_in_words(out, in, chunk | p->out_stride)) {
        for (int32_t row = p->rows; row > 0; row--, in += chunk, to += p->out_stride) {
            memcpy(to, in, (size_t)chunk);
        }
        return;
    }
    for (int32_t row = p->rows; row > 0; row--, to += next) {
        int32_t rest = chunk;
        for (; rest >= 4; rest -= 4, in += 4, to += 4) {
            mcuq_put_word(to, mcuq_word(in));
        }
        for (; rest > 0; rest--) {
            *to++ = *in++;
        }
    }
}
