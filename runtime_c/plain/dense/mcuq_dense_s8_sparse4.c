/* Blocks of four weights, input by input: the sums of a chunk of outputs are in memory. Weights are
 * stored plus 128, which lets Armv6-M load them with one instruction; 128 times the sum of the four
 * inputs is taken off again.
 */
#include <string.h>

#include "mcuq_dense_sparse.h"
#include "mcuq_requant.h"

/* Adds the blocks of `fours` times four inputs to the sums at acc; returns what is behind them. */
#if defined(__thumb__) && !defined(__thumb2__)

#define MAC(at, x) " ldrb r7, [r0, #" #at "]\n muls r7, " x "\n adds r6, r7\n"
#define BLOCK(at, w0, w1, w2, w3)                                                                  \
    " ldrb r6, [r0, #" #at "]\n add r1, r6\n ldr r6, [r1]\n add r6, r8\n" MAC(w0, "r2")            \
        MAC(w1, "r3") MAC(w2, "r4") MAC(w3, "r5") " str r6, [r1]\n"

/* Armv6-M. 17.8 instructions (25 cycles) for a block of 4 MAC, and 41 for four inputs.
 * r0 weights, r1 place of the sum, r2-r5 inputs, r6 sum, r7 weight and product, r8 -128 times the
 * sum of the inputs, r9 in, r10 fours left, r11 acc, r12 end of the blocks. */
MCUQ_NAKED static const uint8_t *add_blocks(MCUQ_NAKED_ARGUMENT const uint8_t *weights,
                                            MCUQ_NAKED_ARGUMENT int32_t *acc,
                                            MCUQ_NAKED_ARGUMENT const int8_t *in,
                                            MCUQ_NAKED_ARGUMENT int32_t fours)
{
    __asm__ volatile(".syntax unified\n"
                     " push {r4-r7, lr}\n"
                     " mov r4, r8\n"
                     " mov r5, r9\n"
                     " mov r6, r10\n"
                     " mov r7, r11\n"
                     " push {r4-r7}\n"
                     " mov r11, r1\n"
                     " mov r9, r2\n"
                     " mov r10, r3\n"
                     "1:\n"
                     " ldrb r6, [r0]\n"
                     " adds r0, #1\n"
                     " cmp r6, #0\n"
                     " beq 4f\n"
                     " mov r7, r9\n"
                     " movs r2, #0\n"
                     " ldrsb r2, [r7, r2]\n"
                     " movs r3, #1\n"
                     " ldrsb r3, [r7, r3]\n"
                     " movs r4, #2\n"
                     " ldrsb r4, [r7, r4]\n"
                     " movs r5, #3\n"
                     " ldrsb r5, [r7, r5]\n"
                     " adds r1, r2, r3\n"
                     " adds r1, r4\n"
                     " adds r1, r5\n"
                     " lsls r1, #7\n"
                     " rsbs r1, r1, #0\n"
                     " mov r8, r1\n"
                     /* The end, and where the loop is entered: missing blocks are skipped. */
                     " movs r7, #5\n"
                     " muls r7, r6\n"
                     " adds r7, r0\n"
                     " mov r12, r7\n"
                     " rsbs r6, r6, #0\n"
                     " movs r7, #3\n"
                     " ands r6, r7\n"
                     " subs r0, r6\n"
                     " lsls r7, r6, #2\n"
                     " subs r0, r7\n"
                     " lsls r7, r6, #5\n"
                     " adds r7, r6\n"
                     " adds r7, r6\n"
                     " mov r1, r11\n"
                     " add pc, r7\n"
                     " mov r8, r8\n"
                     /* clang-format off */
                     "2:\n"
                     BLOCK(0, 1, 2, 3, 4) BLOCK(5, 6, 7, 8, 9)
                     BLOCK(10, 11, 12, 13, 14) BLOCK(15, 16, 17, 18, 19)
                     "3:\n" MCUQ_CODE_BYTES("2", "3", "4 * 34")
                     /* clang-format on */
                     " adds r0, #20\n"
                     " cmp r0, r12\n"
                     " bne 2b\n"
                     "4:\n"
                     " movs r6, #4\n"
                     " add r9, r6\n"
                     " mov r6, r10\n"
                     " subs r6, #1\n"
                     " mov r10, r6\n"
                     " bne 1b\n"
                     " pop {r4-r7}\n"
                     " mov r8, r4\n"
                     " mov r9, r5\n"
                     " mov r10, r6\n"
                     " mov r11, r7\n"
                     " pop {r4-r7, pc}\n");
}

#else

/* Four inputs, and -128 times their sum. */
typedef struct {
    int32_t x0, x1, x2, x3, offset;
} four_inputs;

/* Adds a block to the sum in its place, which is returned. */
static inline int32_t *add_block(const uint8_t *block, int32_t *sum, const four_inputs *x)
{
    sum = (int32_t *)(void *)((uint8_t *)sum + block[0]);
    *sum += x->offset + block[1] * x->x0 + block[2] * x->x1 + block[3] * x->x2 + block[4] * x->x3;
    return sum;
}

static const uint8_t *add_blocks(const uint8_t *weights, int32_t *acc, const int8_t *in,
                                 int32_t fours)
{
    for (; fours > 0; fours--, in += 4) {
        int32_t left = *weights++;
        if (left > 0) {
            const int32_t offset = -128 * (in[0] + in[1] + in[2] + in[3]);
            const four_inputs x = {in[0], in[1], in[2], in[3], offset};
            int32_t *sum = acc;
            if (left & 1) {
                sum = add_block(weights, sum, &x);
                weights += 5;
            }
            for (left >>= 1; left > 0; left--, weights += 10) {
                sum = add_block(weights, sum, &x);
                sum = add_block(weights + 5, sum, &x);
            }
        }
    }
    return weights;
}

#endif

/* All outputs of one pixel. */
static void run_pixel(const mcuq_sparse4_params *p, const int8_t *in, int8_t *out, int32_t *acc)
{
    const uint8_t *weights = p->weights;
    const int32_t fours = p->in_len >> 2;
    const int32_t left = p->in_len & 3;
    for (int32_t first = 0; first < p->out_len; first += p->chunk) {
        const int32_t rest = p->out_len - first;
        const int32_t count = (rest < p->chunk) ? rest : p->chunk;
        memcpy(acc, p->bias + first, 4 * (size_t)count);
        if (fours > 0) {
            weights = add_blocks(weights, acc, in, fours);
        }
        if (left > 0) {
            int8_t last[4] = {0, 0, 0, 0};
            memcpy(last, in + 4 * fours, (size_t)left);
            weights = add_blocks(weights, acc, last, 1);
        }
        for (int32_t o = 0; o < count; o++) {
            *out++ = mcuq_requant(acc[o], p->shift[first + o], p->out_min, p->out_max);
        }
    }
}

void mcuq_dense_s8_sparse4(const mcuq_sparse4_params *p, const int8_t *in, int8_t *out,
                           void *scratch)
{
    for (int32_t y = 0; y < p->pixels.rows; y++) {
        const int8_t *from = in + y * p->pixels.row_pitch;
        for (int32_t x = 0; x < p->pixels.columns; x++) {
            run_pixel(p, from, out, scratch);
            from += p->pixels.pixel_pitch;
            out += p->out_len;
        }
    }
}
