#include "mcuq_softmax.h"

#include "mcuq_dsp.h"

/* The largest of a row: 3 instructions for 4 values. */
static int32_t largest(const int8_t *values, int32_t length)
{
    int32_t found = -128, i = 0;
#if MCUQ_DSP_ASM
    uint32_t most = 0x80808080u, word, sink;
    for (; i + 4 <= length; i += 4) {
        memcpy(&word, values + i, 4);
        __asm("ssub8 %[sink], %[word], %[most]\n sel %[most], %[word], %[most]\n"
              : [sink] "=&r"(sink), [most] "+&r"(most)
              : [word] "r"(word)
              : "cc");
    }
    for (int32_t lane = 0; lane < 32; lane += 8) {
        const int32_t value = (int8_t)(most >> lane);
        found = (value > found) ? value : found;
    }
#endif
    for (; i < length; i++) {
        found = (values[i] > found) ? values[i] : found;
    }
    return found;
}

/* What four values lie below the largest. */
static inline uint32_t below(uint32_t tops, const int8_t *values)
{
    uint32_t word;
#if MCUQ_DSP_ASM
    memcpy(&word, values, 4);
    __asm("usub8 %0, %1, %0" : "+r"(word) : "r"(tops) : "cc");
#else
    word = 0;
    for (int32_t lane = 0; lane < 4; lane++) {
        word |= (uint32_t)(uint8_t)((tops & 0xffu) - (uint8_t)values[lane]) << (8 * lane);
    }
#endif
    return word;
}

static inline int8_t share_of(uint32_t part, uint32_t half, uint32_t whole)
{
    const uint32_t share = (256u * part + half) / whole;
#if MCUQ_DSP_ASM
    int32_t found = (int32_t)share - 128;
    __asm("ssat %0, #8, %0" : "+r"(found));
    return (int8_t)found;
#else
    return (int8_t)((int32_t)(share > 255u ? 255u : share) - 128);
#endif
}

/* 3.5 instructions a value for the sum, 7.5 for its share. */
void mcuq_softmax_s8_dsp(const mcuq_softmax_params *p, const int8_t *in, int8_t *out)
{
    const int32_t length = p->length, fours = length / 4 * 4;

    for (int32_t row = 0; row < p->rows; row++, in += length, out += length) {
        const int32_t top = largest(in, length);
        const uint32_t tops = 0x01010101u * (uint8_t)top;
        const uint16_t *const table = p->table;
        uint32_t whole = 0;
        int32_t i = 0;
        for (; i < fours; i += 4) {
            const uint32_t far = below(tops, in + i);
            whole += table[far & 0xffu];
            whole += table[(far >> 8) & 0xffu];
            whole += table[(far >> 16) & 0xffu];
            whole += table[far >> 24];
        }
        for (; i < length; i++) {
            whole += table[top - in[i]];
        }
        const uint32_t half = whole / 2u;
        for (i = 0; i < fours; i += 4) {
            const uint32_t far = below(tops, in + i);
            out[i] = share_of(table[far & 0xffu], half, whole);
            out[i + 1] = share_of(table[(far >> 8) & 0xffu], half, whole);
            out[i + 2] = share_of(table[(far >> 16) & 0xffu], half, whole);
            out[i + 3] = share_of(table[far >> 24], half, whole);
        }
        for (; i < length; i++) {
            out[i] = share_of(table[top - in[i]], half, whole);
        }
    }
}
