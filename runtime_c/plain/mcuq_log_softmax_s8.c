#include "mcuq_softmax.h"

#include "mcuq_requant.h"

static int32_t largest(const int8_t *values, int32_t length)
{
    int32_t found = values[0];
    for (int32_t i = 1; i < length; i++) {
        found = (values[i] > found) ? values[i] : found;
    }
    return found;
}

/* The logarithm of sum / 32767; sum is 32767 at least. */
static int32_t log_of(const mcuq_log_softmax_params *p, uint32_t sum)
{
    int32_t bits = 30;
    while (sum < (1u << 30)) {
        sum <<= 1;
        bits--;
    }
    const uint32_t rest = sum - (1u << 30);
    const int32_t *logs = p->logs + (rest >> 24);
    const int32_t part = (int32_t)((rest >> 8) & 0xFFFFu);
    return bits * p->log_2 + logs[0] + (((logs[1] - logs[0]) * part) >> 16) - p->log_one;
}

void mcuq_log_softmax_s8(const mcuq_log_softmax_params *p, const int8_t *in, int8_t *out)
{
    const uint16_t *table = p->table;
    const int32_t length = p->length;

    for (int32_t row = 0; row < p->rows; row++) {
        const int32_t top = largest(in, length);
        uint32_t sum = 0;
        for (int32_t i = 0; i < length; i++) {
            sum += table[top - in[i]];
        }
        const int32_t base = p->bias - log_of(p, sum);
        for (int32_t i = 0; i < length; i++) {
            out[i] = mcuq_requant(base - (top - in[i]) * p->mul, p->shift, -128, 127);
        }
        in += length;
        out += length;
    }
}
