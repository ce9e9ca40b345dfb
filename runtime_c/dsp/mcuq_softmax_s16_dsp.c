#include "mcuq_softmax.h"

#include "mcuq_dsp.h"

/* The largest of a row: 3 instructions for 2 values, and of a whole four one turn. */
static int32_t largest(const int16_t *values, int32_t length)
{
    int32_t found = -32768, i = 0;
#if MCUQ_DSP_ASM
    uint32_t most = 0x80008000u, words[2], sink;
    for (; i + 4 <= length; i += 4) {
        memcpy(words, values + i, sizeof words);
        __asm("ssub16 %[sink], %[first], %[most]\n sel %[most], %[first], %[most]\n"
              "ssub16 %[sink], %[second], %[most]\n sel %[most], %[second], %[most]\n"
              : [sink] "=&r"(sink), [most] "+&r"(most)
              : [first] "r"(words[0]), [second] "r"(words[1])
              : "cc");
    }
    const int32_t low = (int16_t)(most & 0xffffu), high = (int16_t)(most >> 16);
    found = (low > high) ? low : high;
#endif
    for (; i < length; i++) {
        found = (values[i] > found) ? values[i] : found;
    }
    return found;
}

/* min(value, 2^bits - 1) for bits of 15 or 16, of what is below 2^31. */
#if MCUQ_DSP_ASM
#define AT_MOST(bits, value) __asm("usat %0, #" #bits ", %0" : "+&r"(value))
#else
#define AT_MOST(bits, value) value = ((value) >> (bits)) ? (1u << (bits)) - 1u : (value)
#endif

/* 32767 * exp(-u) of each value of a row, to out, and their sum: 13 instructions a value. */
static uint32_t parts(const mcuq_softmax_s16_params *p, int32_t top, const int16_t *in,
                      int16_t *out)
{
    const int16_t *const end = in + p->length, *const table = p->table;
    const uint32_t mul = p->mul, half = (1u << p->shift) >> 1;
    const int shift = p->shift;
    uint32_t sum = 0;

    while (in != end) {
        uint32_t z = ((uint32_t)(top - *in++) * mul + half) >> shift;
        AT_MOST(16, z);
        const int32_t found = mcuq_dsp_between(table, (int32_t)z); /* its last two are 0 */
        sum += (uint32_t)found;
        *out++ = (int16_t)found;
    }
    return sum;
}

static inline int16_t share_of(int16_t part, uint32_t one, uint32_t half, uint32_t sum)
{
    uint32_t share = ((uint32_t)part * one + half) / sum;
    AT_MOST(15, share);
    return (int16_t)share;
}

void mcuq_softmax_s16_dsp(const mcuq_softmax_s16_params *p, const void *in, void *out)
{
    const int32_t length = p->length;
    const uint32_t one = 1u << p->frac;
    const int16_t *from = in;
    int16_t *to = out;

    for (int32_t row = 0; row < p->rows; row++, from += length) {
        const uint32_t sum = parts(p, largest(from, length), from, to), half = sum / 2u;
        int16_t *const end = to + length;
        for (int16_t *const fours = to + (length & ~3); to != fours; to += 4) {
            to[0] = share_of(to[0], one, half, sum);
            to[1] = share_of(to[1], one, half, sum);
            to[2] = share_of(to[2], one, half, sum);
            to[3] = share_of(to[3], one, half, sum);
        }
        for (; to != end; to++) {
            *to = share_of(*to, one, half, sum);
        }
    }
}
