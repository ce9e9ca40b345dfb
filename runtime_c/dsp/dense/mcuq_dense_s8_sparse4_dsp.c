/* Blocks of four weights, row by row. As in mcuq_dense_s8_dsp.c the halfword h = 256 * w1 + w0 is
 * multiplied as it is, which saves half of the unpacking; w0 keeps its sign here:
 *     h * x1 + w0 * y = 256 * (w0 * x0 + w1 * x1)  with  y = 256 * x0 - x1.
 * y + 127 always fits 16 bits; the biases take 127 * w0 back. The sums are 256 times too large, so
 * what is added to them below 256 changes no result: there the shift has its place, in the bias and
 * still in the sum.
 */
#include "mcuq_dense_sparse.h"
#include "mcuq_dsp.h"
#include "mcuq_sparse_spread.h"

/* All outputs of one pixel; x as mcuq_sparse_spread makes it.
 * Block: 4 inputs x 1 output, in fours: 5.5 instructions (9 cycles) for 4 MAC; 13 for an output.
 * r0 weights, r1 index, r2 x, r3 sum, r4 distances, r5-r8 weights, r9 and r10 inputs, r11 out,
 * r12 eights left, lr the first x. */
#if MCUQ_DSP_ASM
#define BLOCK(weight, turn)                                                                        \
    " uxtab r2, r2, r4" turn "\n ldrd r9, r10, [r2]\n smlad r3, " weight                           \
    ", r9, r3\n sxtb16 " weight ", " weight "\n smlad r3, " weight ", r10, r3\n"
#define FOUR(third, second, first)                                                                 \
    " ldr r4, [r1], #4\n ldmia r0!, {r5-r8}\n" BLOCK("r5", ", ror #24") third                      \
        ":\n" BLOCK("r6", ", ror #16") second ":\n" BLOCK("r7", ", ror #8") first                  \
        ":\n" BLOCK("r8", "")
#define LEFT(label, count, weights, entry)                                                         \
    label ":\n ldr r4, [r1], #" count "\n ldmia r0!, " weights "\n b " entry "\n"
#define LEFT_1(label, entry) label ":\n ldr r4, [r1], #1\n ldr r8, [r0], #4\n b " entry "\n"
MCUQ_NAKED static void run_rows(MCUQ_NAKED_ARGUMENT const uint32_t *weights,
                                MCUQ_NAKED_ARGUMENT const uint8_t *index,
                                MCUQ_NAKED_ARGUMENT const uint32_t *x,
                                MCUQ_NAKED_ARGUMENT int8_t *out)
{
    __asm volatile(
        "push {r4-r11, lr}\n"
        " mov r11, r3\n"
        " mov lr, r2\n"
        "1:\n"
        " ldrb r4, [r1], #1\n"
        " ldrb r12, [r1], #1\n"
        " ldr r3, [r0], #4\n"
        " mov r2, lr\n"
        " tbb [pc, r4]\n"
        "2:\n"
        " .byte (30f - 2b) / 2, (11f - 2b) / 2, (12f - 2b) / 2, (13f - 2b) / 2\n"
        " .byte (20f - 2b) / 2, (21f - 2b) / 2, (22f - 2b) / 2, (23f - 2b) / 2\n"
        " .byte (40f - 2b) / 2, 0\n"
        /* clang-format off */
                   LEFT_1("11", "17f") LEFT("12", "2", "{r7, r8}", "16f")
                   LEFT("13", "3", "{r6-r8}", "15f")
                   LEFT_1("21", "27f") LEFT("22", "2", "{r7, r8}", "26f")
                   LEFT("23", "3", "{r6-r8}", "25f")
                   "10:\n" FOUR("25", "26", "27") "20:\n" FOUR("15", "16", "17")
        /* clang-format on */
        "30:\n"
        " subs r12, #1\n"
        " bpl 10b\n"
        " asr r3, r3, r3\n"
        " ssat r3, #8, r3\n"
        " strb r3, [r11], #1\n"
        " b 1b\n"
        "40:\n"
        " pop {r4-r11, pc}\n");
}
#else
static void run_rows(const uint32_t *weights, const uint8_t *index, const uint32_t *x, int8_t *out)
{
    for (; index[0] < 8; out++) {
        int32_t left = index[0] + 8 * index[1];
        const uint32_t *at = x;
        uint32_t sum = *weights++;
        index += 2;
        while (left > 0) {
            const int32_t four = (left & 3) ? left & 3 : 4;
            for (int32_t i = four - 1; i >= 0; i--, weights++) {
                at += index[i] / 4;
                sum += (uint32_t)mcuq_dsp_smlad(*weights, at[0], 0);
                sum += (uint32_t)mcuq_dsp_smlad(mcuq_dsp_even(*weights), at[1], 0);
            }
            index += four;
            left -= four;
        }
        *out = (int8_t)mcuq_clamp((int32_t)sum >> (sum & 31u), -128, 127);
    }
}
#endif

void mcuq_dense_s8_sparse4_dsp(const mcuq_sparse4_dsp_params *p, const int8_t *in, int8_t *out,
                               void *scratch)
{
    int8_t *to = out;
    for (int32_t y = 0; y < p->pixels.rows; y++) {
        const int8_t *from = in + y * p->pixels.row_pitch;
        for (int32_t x = 0; x < p->pixels.columns; x++) {
            mcuq_sparse_spread_all(scratch, from, p->in_len, 2);
            run_rows(p->weights, p->index, scratch, to);
            from += p->pixels.pixel_pitch;
            to += p->out_len;
        }
    }
    mcuq_dsp_clamp(out, (int32_t)(to - out), p->out_min, p->out_max);
}
