/* Convolution of 1x1 whose zero blocks of four weights are not stored, four pixels at a time: a
 * block is unpacked once for all of them. The arithmetic is that of mcuq_dense_s8_sparse4_dsp.c.
 */
#include "mcuq_dense_sparse.h"
#include "mcuq_dsp.h"
#include "mcuq_sparse_spread.h"

enum { PIXELS = 4, STEP = 2 * PIXELS };

/* Where the outputs of the pixels go; the assembly knows this layout. */
typedef struct {
    const uint32_t *x;
    int8_t *out[PIXELS];
} pixels_job;

/* All outputs of four pixels at job->x, [in_len / 4][PIXELS][2 words].
 * Block: 4 inputs x 4 pixels x 1 output: 15.5 instructions (25 cycles) for 16 MAC; 32 for an
 * output.
 * r0 weights, r1 index, r2-r5 sums, r6 x, r7 weights, r8 even weights, r9-r12 inputs, lr blocks
 * left; on the stack: job, outputs left. */
#if MCUQ_DSP_ASM
#define BLOCK                                                                                      \
    " ldrb r9, [r1], #1\n ldr r7, [r0], #4\n add r6, r6, r9, lsl #2\n"                             \
    " ldmia r6, {r9-r12}\n sxtb16 r8, r7\n"                                                        \
    " smlad r2, r7, r9, r2\n smlad r2, r8, r10, r2\n"                                              \
    " smlad r3, r7, r11, r3\n smlad r3, r8, r12, r3\n"                                             \
    " ldrd r9, r10, [r6, #16]\n ldrd r11, r12, [r6, #24]\n"                                        \
    " smlad r4, r7, r9, r4\n smlad r4, r8, r10, r4\n"                                              \
    " smlad r5, r7, r11, r5\n smlad r5, r8, r12, r5\n"
#define RESULT(sum) " asr " sum ", " sum ", " sum "\n ssat " sum ", #8, " sum "\n"
MCUQ_NAKED static void run_rows(MCUQ_NAKED_ARGUMENT const uint32_t *weights,
                                MCUQ_NAKED_ARGUMENT const uint8_t *index,
                                MCUQ_NAKED_ARGUMENT pixels_job *job,
                                MCUQ_NAKED_ARGUMENT int32_t outputs)
{
    __asm volatile("push {r2-r11, lr}\n"
                   "1:\n"
                   " ldr r2, [r0], #4\n"
                   " ldr r9, [sp]\n"
                   " ldrh lr, [r1], #2\n"
                   " ldr r6, [r9]\n"
                   " mov r3, r2\n"
                   " mov r4, r2\n"
                   " mov r5, r2\n"
                   " lsrs lr, lr, #1\n"
                   " bcc 3f\n"
                   " b 2f\n"
                   "4:\n" BLOCK "2:\n" BLOCK "3:\n"
                   " subs lr, #1\n"
                   " bpl 4b\n"
                   " ldr r7, [sp]\n"
                   " add r7, #4\n"
                   " ldmia r7, {r8-r11}\n"
                   /* clang-format off */
                   RESULT("r2") RESULT("r3") RESULT("r4") RESULT("r5")
                   /* clang-format on */
                   " strb r2, [r8], #1\n"
                   " strb r3, [r9], #1\n"
                   " strb r4, [r10], #1\n"
                   " strb r5, [r11], #1\n"
                   " stmia r7, {r8-r11}\n"
                   " ldr r7, [sp, #4]\n"
                   " subs r7, #1\n"
                   " str r7, [sp, #4]\n"
                   " bne 1b\n"
                   " pop {r2-r11, pc}\n");
}
#else
static void run_rows(const uint32_t *weights, const uint8_t *index, pixels_job *job,
                     int32_t outputs)
{
    for (; outputs > 0; outputs--) {
        const uint32_t head = *weights++;
        const int32_t count = index[0] + 256 * index[1];
        const uint32_t *x = job->x;
        uint32_t sums[PIXELS] = {head, head, head, head};
        index += 2;
        for (int32_t i = 0; i < count; i++, weights++) {
            const uint32_t even = mcuq_dsp_even(*weights);
            x += *index++;
            for (int32_t pixel = 0; pixel < PIXELS; pixel++) {
                sums[pixel] += (uint32_t)mcuq_dsp_smlad(*weights, x[2 * pixel], 0);
                sums[pixel] += (uint32_t)mcuq_dsp_smlad(even, x[2 * pixel + 1], 0);
            }
        }
        for (int32_t pixel = 0; pixel < PIXELS; pixel++) {
            *job->out[pixel]++ =
                (int8_t)mcuq_clamp((int32_t)sums[pixel] >> (sums[pixel] & 31u), -128, 127);
        }
    }
}
#endif

void mcuq_conv2d_s8_sparse4_dsp(const mcuq_sparse4_dsp_params *p, const int8_t *in, int8_t *out,
                                void *scratch)
{
    uint32_t *const x = scratch;
    const int32_t count = p->pixels.rows * p->pixels.columns;
    const int8_t *row = in;
    const int8_t *from = in;
    int32_t column = 0;
    for (int32_t first = 0; first < count; first += PIXELS) {
        pixels_job job = {x, {out, out, out, out}};
        const int32_t rest = count - first;
        for (int32_t pixel = 0; pixel < PIXELS; pixel++) {
            /* The pixels behind the last one are it once more. */
            const int32_t at = first + ((pixel < rest) ? pixel : rest - 1);
            job.out[pixel] = out + at * p->out_len;
            mcuq_sparse_spread_all(x + 2 * pixel, from, p->in_len, STEP);
            if (at == first + pixel && at + 1 < count) {
                from += p->pixels.pixel_pitch;
                if (++column == p->pixels.columns) {
                    column = 0;
                    row += p->pixels.row_pitch;
                    from = row;
                }
            }
        }
        run_rows(p->weights, p->index, &job, p->out_len);
    }
    mcuq_dsp_clamp(out, count * p->out_len, p->out_min, p->out_max);
}
