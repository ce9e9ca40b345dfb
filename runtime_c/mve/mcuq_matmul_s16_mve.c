#include "mcuq_int16_mve.h"
#include "mcuq_matmul.h"
#include "mcuq_matmul_s16_rows.h"

enum { STEP = 8 }; /* columns are packed as [step][4][8] */

#if defined(__ARM_FEATURE_MVE)

#define COLUMN(low, high) "vldrh.u16 q1, [r9], #16\n vmlaldava.s16 " low ", " high ", q0, q1\n"
#define RESULT(low, high) "asrl " low ", " high ", r9\n ssat " low ", #16, " low "\n"

/** 9 instructions for 32 products, and 25 for each row. */
MCUQ_NAKED static void rows_of(MCUQ_NAKED_ARGUMENT rows_job *job)
{
    __asm volatile(
        "push {r0, r4-r11, lr}\n mov r12, r0\n ldrd r8, r9, [r12, #32]\n"
        "ldrd r11, r10, [r12, #48]\n"
        "1: ldmia r12, {r0-r7}\n dlstp.16 lr, r11\n"
        "2: vldrh.u16 q0, [r8], #16\n" COLUMN("r0", "r1") COLUMN("r2", "r3") COLUMN("r4", "r5")
            COLUMN("r6", "r7") "letp lr, 2b\n"
                               "ldr r9, [r12, #72]\n" RESULT("r0", "r1") RESULT("r2", "r3")
                                   RESULT("r4", "r5") RESULT(
                                       "r6", "r7") "strh r0, [r10]\n strh r2, [r10, #2]\n strh r4, "
                                                   "[r10, #4]\n strh r6, [r10, #6]\n"
                                                   "ldrd r0, r1, [r12, #60]\n add r10, r10, r1\n"
                                                   "ldrd r8, r9, [r12, #32]\n add r8, r8, r0\n str "
                                                   "r8, [r12, #32]\n"
                                                   "ldr r0, [r12, #56]\n cmp r10, r0\n bne 1b\n "
                                                   "pop {r0, r4-r11, pc}\n");
}

/** A column of b, `step` values apart, to 8 of every 32: 7 instructions for 8 values. */
static void pack_one(const int16_t *b, int32_t step, int32_t depth, int16_t *to)
{
    __asm volatile("movs lr, #0\n vidup.u16 q0, lr, #1\n vmul.i16 q0, q0, %[step]\n"
                   "1: vctp.16 %[depth]\n vpst\n vldrht.u16 q1, [%[b], q0, uxtw #1]\n"
                   "add %[b], %[b], %[step], lsl #4\n vstrh.16 q1, [%[to]], #64\n"
                   "subs %[depth], #8\n bgt 1b\n"
                   : [to] "+&r"(to), [b] "+&r"(b), [depth] "+&r"(depth)
                   : [step] "r"(step)
                   : "q0", "q1", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

/** values limited to a range: 5 instructions for 8. */
static void limit(int16_t *values, int32_t count, int32_t low, int32_t high)
{
    __asm volatile("vdup.16 q1, %[low]\n vdup.16 q2, %[high]\n dlstp.16 lr, %[count]\n"
                   "1: vldrh.u16 q0, [%[at]]\n vmax.s16 q0, q0, q1\n vmin.s16 q0, q0, q2\n"
                   "vstrh.16 q0, [%[at]], #16\n letp lr, 1b\n"
                   : [at] "+&r"(values)
                   : [low] "r"(low), [high] "r"(high), [count] "r"(count)
                   : "q0", "q1", "q2", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

#else

static void row_of(const rows_job *job, const int16_t *a, int16_t *out)
{
    for (int32_t column = 0; column < COLUMNS; column++) {
        int64_t sum = job->start[0];
        for (int32_t k = 0; k < job->depth; k++) {
            sum += a[k] * job->columns[k / STEP * STEP * COLUMNS + STEP * column + k % STEP];
        }
        out[column] = (int16_t)mcuq_clamp((int32_t)(sum >> job->shift), -32768, 32767);
    }
}

static void rows_of(rows_job *job)
{
    do {
        row_of(job, job->row, job->out);
        job->row += job->step_a / 2;
        job->out += job->step_out / 2;
    } while (job->out != job->out_end);
}

static void pack_one(const int16_t *b, int32_t step, int32_t depth, int16_t *to)
{
    for (int32_t k = 0; k < depth; k++) {
        to[k / STEP * STEP * COLUMNS + k % STEP] = b[k * step];
    }
}

static void limit(int16_t *values, int32_t count, int32_t low, int32_t high)
{
    for (int32_t i = 0; i < count; i++) {
        values[i] = (int16_t)mcuq_clamp(values[i], low, high);
    }
}

#endif

static void pack(const mcuq_matmul_s16_params *p, const int16_t *b, int16_t *to)
{
    for (int32_t column = 0; column < COLUMNS; column++) {
        pack_one(b + column * p->step_b[2], p->step_b[3], p->size[4], to + STEP * column);
    }
}

#include "mcuq_matmul_s16_rows_body.h"

void mcuq_matmul_s16_mve(const mcuq_matmul_s16_params *p, const void *a, const void *b, void *out,
                         void *scratch)
{
    run_matmul(p, a, b, out, scratch);
}
