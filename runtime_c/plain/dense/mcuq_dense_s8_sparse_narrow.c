/* Single weights, output by output, each with the place of its input. */
#include "mcuq_dense_sparse.h"
#include "mcuq_dense_sparse_clamp.h"

/* out to out_end: the outputs of one pixel, limited to -128..127. */
#if defined(__thumb__) && !defined(__thumb2__)

#define WEIGHT(at, of)                                                                             \
    " ldrb r2, [r0, #" #at "]\n ldrsb r2, [r1, r2]\n ldrsb r3, [r0, " of "]\n muls r2, r3\n"       \
    " add r8, r2\n"

/* Armv6-M. 23 instructions (36 cycles) for four weights, and 38 for an output.
 * r0 weights, r1 in, r2 input and product, r3 weight, r4-r7 1, 3, 5, 7, r8 sum, r9 end of the
 * weights, r10 bias and shift, r11 out, r12 its end, lr next bias. */
MCUQ_NAKED static void run_rows(MCUQ_NAKED_ARGUMENT const mcuq_sparse_narrow_params *p,
                                MCUQ_NAKED_ARGUMENT const int8_t *in,
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
                     " mov r11, r2\n"
                     " mov r12, r3\n"
                     " ldr r4, [r0, #4]\n"
                     " mov lr, r4\n"
                     " ldr r0, [r0]\n"
                     " movs r4, #1\n"
                     " movs r5, #3\n"
                     " movs r6, #5\n"
                     " movs r7, #7\n"
                     "1:\n"
                     " mov r3, lr\n"
                     " ldmia r3!, {r2}\n"
                     " mov lr, r3\n"
                     " mov r10, r2\n"
                     " asrs r2, #8\n"
                     " mov r8, r2\n"
                     " ldrb r2, [r0]\n"
                     " adds r0, #1\n"
                     " cmp r2, #0\n"
                     " beq 3f\n"
                     /* The end, and where the loop is entered: missing weights are skipped. */
                     " adds r3, r2, r2\n"
                     " adds r3, r0\n"
                     " mov r9, r3\n"
                     " rsbs r2, r2, #0\n"
                     " movs r3, #3\n"
                     " ands r2, r3\n"
                     " subs r0, r2\n"
                     " subs r0, r2\n"
                     " movs r3, #10\n"
                     " muls r3, r2\n"
                     " add pc, r3\n"
                     " mov r8, r8\n"
                     /* clang-format off */
                     "2:\n"
                     WEIGHT(0, "r4") WEIGHT(2, "r5") WEIGHT(4, "r6") WEIGHT(6, "r7")
                     "5:\n" MCUQ_CODE_BYTES("2", "5", "4 * 10")
                     /* clang-format on */
                     " adds r0, #8\n"
                     " cmp r0, r9\n"
                     " bne 2b\n"
                     "3:\n"
                     " mov r2, r10\n"
                     " mov r3, r8\n"
                     " asrs r3, r2\n"
                     " sxtb r2, r3\n"
                     " cmp r2, r3\n"
                     " beq 4f\n"
                     " asrs r2, r3, #31\n"
                     " movs r3, #127\n"
                     " eors r2, r3\n"
                     "4:\n"
                     " mov r3, r11\n"
                     " strb r2, [r3]\n"
                     " adds r3, #1\n"
                     " mov r11, r3\n"
                     " cmp r3, r12\n"
                     " bne 1b\n"
                     " pop {r4-r7}\n"
                     " mov r8, r4\n"
                     " mov r9, r5\n"
                     " mov r10, r6\n"
                     " mov r11, r7\n"
                     " pop {r4-r7, pc}\n");
}

#else

static void run_rows(const mcuq_sparse_narrow_params *p, const int8_t *in, int8_t *out,
                     const int8_t *out_end)
{
    const uint8_t *weights = p->weights;
    const int32_t *bias = p->bias;
    while (out != out_end) {
        const int32_t shift = *bias & 31;
        int32_t sum = *bias++ >> 8;
        int32_t left = *weights++;
        if (left & 1) {
            sum += (int8_t)weights[1] * in[weights[0]];
            weights += 2;
        }
        for (left >>= 1; left > 0; left--, weights += 4) {
            sum += (int8_t)weights[1] * in[weights[0]];
            sum += (int8_t)weights[3] * in[weights[2]];
        }
        *out++ = mcuq_requant(sum, shift, -128, 127);
    }
}

#endif

void mcuq_dense_s8_sparse_narrow(const mcuq_sparse_narrow_params *p, const int8_t *in, int8_t *out)
{
    int8_t *to = out;
    for (int32_t y = 0; y < p->pixels.rows; y++) {
        const int8_t *from = in + y * p->pixels.row_pitch;
        for (int32_t x = 0; x < p->pixels.columns; x++) {
            run_rows(p, from, to, to + p->out_len);
            from += p->pixels.pixel_pitch;
            to += p->out_len;
        }
    }
    mcuq_sparse_clamp(out, to, p->out_min, p->out_max);
}
