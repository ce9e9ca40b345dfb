#include "mcuq_elementwise_dsp.h"

#include "mcuq_dsp.h"

enum { BLOCK = 16 };

/* Four words with the upper bit of every byte turned: 12 instructions for 16 elements. */
static inline void flip_block(const uint8_t *from, int8_t *to)
{
    uint32_t a, b, c, d;
    memcpy(&a, from, 4);
    memcpy(&b, from + 4, 4);
    memcpy(&c, from + 8, 4);
    memcpy(&d, from + 12, 4);
    a ^= 0x80808080u;
    b ^= 0x80808080u;
    c ^= 0x80808080u;
    d ^= 0x80808080u;
    memcpy(to, &a, 4);
    memcpy(to + 4, &b, 4);
    memcpy(to + 8, &c, 4);
    memcpy(to + 12, &d, 4);
}

void mcuq_from_u8_s8_dsp(const mcuq_from_u8_params *p, const void *in, int8_t *out)
{
    const uint8_t *from = in;
    const uint8_t *end = from + p->count;
    const uint8_t *last = from + p->count / BLOCK * BLOCK;
    for (; from != last; from += BLOCK, out += BLOCK) {
        flip_block(from, out);
    }
    for (; from != end; from++, out++) {
        *out = (int8_t)(*from - 128);
    }
}
