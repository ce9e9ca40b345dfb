#include "mcuq_softmax.h"

static int32_t largest(const int8_t *values, int32_t length)
{
    int32_t found = values[0];
    for (int32_t i = 1; i < length; i++) {
        found = (values[i] > found) ? values[i] : found;
    }
    return found;
}

/* floor((part * 256 + whole / 2) / whole), for part <= whole < 2^31. */
#if defined(__thumb__) && !defined(__thumb2__)

/* One bit of the quotient: carry is set where part >= whole. */
#define DIVIDE                                                                                     \
    "cmp %[part], %[whole]\n\t"                                                                    \
    "bcc 1f\n\t"                                                                                   \
    "subs %[part], %[part], %[whole]\n"                                                            \
    "1:\tadcs %[share], %[share], %[share]\n\t"                                                    \
    "adds %[part], %[part], %[part]\n\t"

/* Armv6-M would divide 32 bits in a library; this gives 9, with 5 instructions each. */
static inline uint32_t share_of(uint32_t part, uint32_t whole)
{
    uint32_t share = 0;
    __asm__(".syntax unified\n\t" DIVIDE DIVIDE DIVIDE DIVIDE DIVIDE DIVIDE DIVIDE DIVIDE DIVIDE
            : [part] "+&l"(part), [share] "+&l"(share)
            : [whole] "l"(whole)
            : "cc");
    return share + (part / 2u + whole / 2u >= whole);
}

#else

static inline uint32_t share_of(uint32_t part, uint32_t whole)
{
    return (part * 256u + whole / 2u) / whole;
}

#endif

void mcuq_softmax_s8(const mcuq_softmax_params *p, const int8_t *in, int8_t *out)
{
    const uint16_t *table = p->table;
    const int32_t length = p->length;

    for (int32_t row = 0; row < p->rows; row++) {
        const int32_t top = largest(in, length);
        uint32_t sum = 0;
        for (int32_t i = 0; i < length; i++) {
            sum += table[top - in[i]];
        }
        for (int32_t i = 0; i < length; i++) {
            const uint32_t share = share_of(table[top - in[i]], sum);
            out[i] = (int8_t)((int32_t)(share > 255u ? 255u : share) - 128);
        }
        in += length;
        out += length;
    }
}
