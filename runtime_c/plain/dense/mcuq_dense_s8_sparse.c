/* Single weights, output by output. The inputs are kept plus 128, which lets Armv6-M load them with
 * one instruction; the biases take it back.
 */
#include <string.h>

#include "mcuq_dense_sparse.h"
#include "mcuq_dense_sparse_clamp.h"

/* out to out_end: the outputs of one pixel, limited to -128..127. */
#if defined(__thumb__) && !defined(__thumb2__)

#define WEIGHT(at) " ldrb r3, [r1]\n ldrsb r4, [r0, " at "]\n muls r3, r4\n add r8, r3\n"
#define PAIR                                                                                       \
    " ldrb r2, [r0]\n lsrs r3, r2, #4\n adds r1, r3\n" WEIGHT("r5") " ands r2, r7\n"               \
                                                                    " adds r1, r2\n" WEIGHT(       \
                                                                        "r6") " adds r0, #3\n"

/* Armv6-M. 14.3 instructions (20 cycles) for a pair of weights, and 38 for an output.
 * r0 weights, r1 place of the input, r2 distances, r3 input and product, r4 weight, r5 1, r6 2,
 * r7 15, r8 sum, r9 end of the pairs, r10 x, r11 out, r12 its end, lr bias. */
MCUQ_NAKED static void run_rows(MCUQ_NAKED_ARGUMENT const mcuq_sparse_params *p,
                                MCUQ_NAKED_ARGUMENT const uint8_t *x,
                                MCUQ_NAKED_ARGUMENT int8_t *out,
                                MCUQ_NAKED_ARGUMENT const int8_t *out_end)
{
    __asm__ volatile(".syntax unified\n"
                     " push {r4-r7, lr}\n"
                     " mov r4, r8\n"
                     " mov r5, r9\n"
                     " mov r6, r10\n"
                     " mov r7, r11\n"
                     " push {r4-r7}\n"
                     " mov r10, r1\n"
                     " mov r11, r2\n"
                     " mov r12, r3\n"
                     " ldr r1, [r0, #4]\n"
                     " mov lr, r1\n"
                     " ldr r0, [r0]\n"
                     " movs r5, #1\n"
                     " movs r6, #2\n"
                     " movs r7, #15\n"
                     "1:\n"
                     " ldrb r2, [r0]\n"
                     " ldrb r3, [r0, #1]\n"
                     " adds r0, #2\n"
                     " lsls r3, #8\n"
                     " adds r2, r3\n"
                     " mov r3, lr\n"
                     " ldmia r3!, {r4}\n"
                     " mov lr, r3\n"
                     " mov r8, r4\n"
                     " cmp r2, #0\n"
                     " bne 2f\n"
                     " b 4f\n"
                     "2:\n"
                     /* The end, and where the loop is entered: missing pairs are skipped. */
                     " adds r3, r2, r2\n"
                     " adds r3, r2\n"
                     " adds r3, r0\n"
                     " mov r9, r3\n"
                     " rsbs r2, r2, #0\n"
                     " movs r3, #7\n"
                     " ands r2, r3\n"
                     " movs r3, #28\n"
                     " muls r3, r2\n"
                     " mov r1, r10\n"
                     " add pc, r3\n"
                     " mov r8, r8\n"
                     /* clang-format off */
                     "3:\n"
                     PAIR PAIR PAIR PAIR PAIR PAIR PAIR PAIR
                     "7:\n" MCUQ_CODE_BYTES("3", "7", "8 * 28")
                     /* clang-format on */
                     " cmp r0, r9\n"
                     " bne 3b\n"
                     "4:\n"
                     " ldrb r2, [r0]\n"
                     " adds r0, #1\n"
                     " mov r3, r8\n"
                     " asrs r3, r2\n"
                     " sxtb r4, r3\n"
                     " cmp r4, r3\n"
                     " beq 5f\n"
                     " asrs r4, r3, #31\n"
                     " movs r3, #127\n"
                     " eors r4, r3\n"
                     "5:\n"
                     " mov r3, r11\n"
                     " strb r4, [r3]\n"
                     " adds r3, #1\n"
                     " mov r11, r3\n"
                     " cmp r3, r12\n"
                     " beq 6f\n"
                     " b 1b\n"
                     "6:\n"
                     " pop {r4-r7}\n"
                     " mov r8, r4\n"
                     " mov r9, r5\n"
                     " mov r10, r6\n"
                     " mov r11, r7\n"
                     " pop {r4-r7, pc}\n");
}

#else

/* The sum with the products of a pair; moves the place of the input on. */
static inline int32_t add_pair(int32_t sum, const uint8_t *pair, const uint8_t **place)
{
    const uint8_t *const first = *place + (pair[0] >> 4);
    const uint8_t *const second = first + (pair[0] & 15);
    *place = second;
    return sum + (int8_t)pair[1] * *first + (int8_t)pair[2] * *second;
}

static void run_rows(const mcuq_sparse_params *p, const uint8_t *x, int8_t *out,
                     const int8_t *out_end)
{
    const uint8_t *weights = p->weights;
    const int32_t *bias = p->bias;
    while (out != out_end) {
        int32_t left = weights[0] + 256 * weights[1];
        const uint8_t *place = x;
        int32_t sum = *bias++;
        weights += 2;
        if (left & 1) {
            sum = add_pair(sum, weights, &place);
            weights += 3;
        }
        for (left >>= 1; left > 0; left--, weights += 6) {
            sum = add_pair(sum, weights, &place);
            sum = add_pair(sum, weights + 3, &place);
        }
        *out++ = mcuq_requant(sum, *weights++, -128, 127);
    }
}

#endif

void mcuq_dense_s8_sparse(const mcuq_sparse_params *p, const int8_t *in, int8_t *out, void *scratch)
{
    uint32_t *const words = scratch;
    int8_t *to = out;
    for (int32_t y = 0; y < p->pixels.rows; y++) {
        const int8_t *from = in + y * p->pixels.row_pitch;
        for (int32_t x = 0; x < p->pixels.columns; x++) {
            memcpy(scratch, from, (size_t)p->in_len);
            for (int32_t i = 0; i < p->in_len; i += 4) {
                words[i / 4] ^= 0x80808080u;
            }
            run_rows(p, scratch, to, to + p->out_len);
            from += p->pixels.pixel_pitch;
            to += p->out_len;
        }
    }
    mcuq_sparse_clamp(out, to, p->out_min, p->out_max);
}
