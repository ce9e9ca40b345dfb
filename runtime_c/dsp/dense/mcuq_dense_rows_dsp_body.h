/* mcuq_dense_rows_dsp_body.h: all outputs of a dense layer, by a function that makes ROWS at a
 * time.
 *
 * Parameters, which the includer defines before:
 *     ROWS: a power of two
 *     rows_job: a type, what run_rows needs, with out, where the outputs lie, and groups, how
 *         often ROWS are made
 *     run_rows: a function, defined behind; its prototype is below
 */
#ifndef MCUQ_DENSE_ROWS_DSP_BODY_H
#define MCUQ_DENSE_ROWS_DSP_BODY_H

#include "mcuq_dsp.h"

#if MCUQ_DSP_ASM
/* Four outputs of their sums, r2-r5: each shifted by its byte of `shifts`, a register, saturated
 * and stored; sets Z behind the last group. Frame: at 4 out, at 8 groups. */
#define MCUQ_DENSE_RESULTS_4(shifts)                                                               \
    " asrs r2, " shifts "\n lsr " shifts ", " shifts ", #8\n"                                      \
    " asrs r3, " shifts "\n lsr " shifts ", " shifts ", #8\n"                                      \
    " asrs r4, " shifts "\n lsr " shifts ", " shifts ", #8\n asrs r5, " shifts "\n"                \
    " ssat r2, #8, r2\n ssat r3, #8, r3\n ssat r4, #8, r4\n ssat r5, #8, r5\n"                     \
    " ldrd r7, r8, [sp, #4]\n strb r3, [r7, #1]\n strb r4, [r7, #2]\n strb r5, [r7, #3]\n"         \
    " strb r2, [r7], #4\n subs r8, #1\n strd r7, r8, [sp, #4]\n"
#endif

/* The outputs that job asks for; returns the weights behind them. */
static const uint32_t *run_rows(const uint32_t *weights, const rows_job *job);

/* `count` outputs at job->out; job->groups: how many times ROWS they hold. */
static inline void run_all(const uint32_t *weights, rows_job *job, int32_t count)
{
    const int32_t rest = count & (ROWS - 1);
    int8_t *const end = job->out + count;
    if (job->groups > 0) {
        weights = run_rows(weights, job);
    }
    if (rest > 0) {
        int8_t last[ROWS];
        job->out = last;
        job->groups = 1;
        (void)run_rows(weights, job);
        memcpy(end - rest, last, (size_t)rest);
    }
}

#endif
