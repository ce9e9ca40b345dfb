#include "mcuq_int16_dsp.h"
#include "mcuq_matmul.h"
#include "mcuq_matmul_s16_rows.h"

#if MCUQ_DSP_ASM

/* Two k of four columns: 7 instructions for 8 products; r8 a, r9 columns. */
#define PAIR " ldr r12, [r8], #4\n" COLUMN("r0, r1", "r2, r3") COLUMN("r4, r5", "r6, r7")
#define COLUMN(first, second)                                                                      \
    " ldrd r10, r11, [r9], #8\n smlald " first ", r12, r10\n smlald " second ", r12, r11\n"
/* A sum over 2^shift, which 32 bits hold, limited to int16. r8 shift, r9 32 - shift. */
#define RESULT(low, high)                                                                          \
    " lsr " low ", " low ", r8\n lsl " high ", " high ", r9\n orr " low ", " low ", " high         \
    "\n ssat " low ", #16, " low "\n"

MCUQ_NAKED static void rows_of(MCUQ_NAKED_ARGUMENT rows_job *job)
{
    __asm volatile(
        "push {r0, r4-r11, lr}\n"
        "1: ldr lr, [sp]\n ldmia lr, {r0-r9}\n ldr lr, [lr, #40]\n cmp r9, lr\n beq 3f\n"
        "2:\n" PAIR PAIR " cmp r9, lr\n bne 2b\n"
        "3: ldr lr, [sp]\n ldr r12, [lr, #48]\n lsls r12, r12, #31\n bpl 4f\n"
        /* carry: k & 2, negative: k & 1 */
        " bcc 5f\n" PAIR "5: ldrh r12, [r8]\n" COLUMN("r0, r1", "r2, r3") COLUMN(
            "r4, r5",
            "r6, r7") " b 6f\n"
                      "4: bcc 6f\n" PAIR "6: ldr r8, [lr, #72]\n ldr r9, [lr, #44]\n" RESULT(
                          "r0", "r1") RESULT("r2", "r3") RESULT("r4", "r5")
                          RESULT("r6",
                                 "r7") " add r10, lr, #52\n ldmia r10, {r8-r12}\n"
                                       " strh r0, [r8]\n strh r2, [r8, r12]\n strh r4, [r8, r12, "
                                       "lsl #1]\n"
                                       " add r0, r8, r12\n strh r6, [r0, r12, lsl #1]\n"
                                       " add r8, r8, r11\n str r8, [lr, #52]\n"
                                       " ldr r0, [lr, #32]\n add r0, r0, r10\n str r0, [lr, #32]\n"
                                       " cmp r8, r9\n bne 1b\n pop {r0, r4-r11, pc}\n");
}

#else

static int16_t *row_of(const rows_job *job, const int16_t *a, int16_t *out)
{
    for (int32_t column = 0; column < COLUMNS; column++) {
        int64_t sum = job->start[0];
        for (int32_t k = 0; k < job->depth; k++) {
            sum += a[k] * job->columns[k / 2 * 2 * COLUMNS + 2 * column + k % 2];
        }
        const int32_t found = mcuq_clamp((int32_t)(sum >> job->shift), -32768, 32767);
        out[column * (job->step / 2)] = (int16_t)found;
    }
    return out + job->step_out / 2;
}

static void rows_of(rows_job *job)
{
    do {
        job->out = row_of(job, job->row, job->out);
        job->row += job->step_a / 2;
    } while (job->out != job->out_end);
}

#endif

/* Words of two k of one column, of the next, ...; an odd last k has a 0 beside it. */
static void pack(const mcuq_matmul_s16_params *p, const int16_t *b, int16_t *to)
{
    const int32_t step = p->step_b[3], depth = p->size[4];

    for (int32_t k = 0; k < depth / 2 * 2; k += 2, b += 2 * step) {
        const int16_t *column = b;
        for (int32_t n = 0; n < COLUMNS; n++, column += p->step_b[2], to += 2) {
            to[0] = column[0];
            to[1] = column[step];
        }
    }
    if (depth & 1) {
        for (int32_t n = 0; n < COLUMNS; n++, b += p->step_b[2], to += 2) {
            to[0] = *b;
            to[1] = 0;
        }
    }
}

static void limit(int16_t *values, int32_t count, int32_t low, int32_t high)
{
    mcuq_dsp_clamp16(values, count, low, high);
}

#include "mcuq_matmul_s16_rows_body.h"

void mcuq_matmul_s16_dsp(const mcuq_matmul_s16_params *p, const void *a, const void *b, void *out,
                         void *scratch)
{
    run_matmul(p, a, b, out, scratch);
}
