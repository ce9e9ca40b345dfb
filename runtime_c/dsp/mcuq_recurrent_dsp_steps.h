/* mcuq_recurrent_dsp_steps.h: the walk along a sequence that the kernels for DSP cores share.
 *
 * The including file defines MCUQ_WIDE (mcuq_gate_rows_dsp.h).
 */
#ifndef MCUQ_RECURRENT_DSP_STEPS_H
#define MCUQ_RECURRENT_DSP_STEPS_H

#include "mcuq_gate_rows_dsp.h"
#include "mcuq_gates.h"
#include "mcuq_recurrent_dsp.h"

/** The buffers of a sequence, all in scratch. `more`: the cell, or the state that was reset. */
typedef struct {
    uint32_t *x;
    int16_t *h, *next, *more, *z;
} buffers;

static inline int32_t eights(int32_t count)
{
    return (count + 7) >> 3;
}

/** Clears both states and sets the first one. */
static inline buffers prepare(const mcuq_recurrent_dsp_params *p, void *scratch)
{
    const int32_t units = 8 * eights(p->hidden);
    buffers b;
    b.x = scratch;
    b.h = (int16_t *)(void *)(b.x + 4 * eights(p->in_len));
    b.next = b.h + units;
    b.more = b.next + units;
    b.z = b.more + units;
    for (int32_t j = 0; j < units; j++) {
        b.h[j] = (j < p->hidden) ? p->start[j] : 0;
        b.next[j] = 0;
        b.more[j] = 0;
    }
    return b;
}

/** The vector of step t, spread at b->x; returns what all its sums start with. */
static inline int32_t read_step(const mcuq_recurrent_dsp_params *p, const buffers *b,
                                const int8_t *in, int32_t t)
{
    const int8_t *const x = in + (p->in_first + t * p->in_step);
    const int32_t even_sum = mcuq_dense_spread_all(b->x, x, p->in_len);
    return (int32_t)(0u - ((uint32_t)even_sum << 15));
}

/** `count` rows at z, of the inputs if x_turns is not 0 and of the state h if h_turns is not; z
 *  goes on to a multiple of 4. */
static inline const uint32_t *make_rows(const mcuq_recurrent_dsp_params *p, const uint32_t *words,
                                        const rows_job *job, int32_t count)
{
    rows_job now = *job;
    now.groups = (count + 3) >> 2;
    words = run_rows(words, &now);
    if (p->z_min != -32768 || p->z_max != 32767) {
        for (int32_t i = 0; i < count; i++) {
            job->z[i] = (int16_t)mcuq_clamp(job->z[i], p->z_min, p->z_max);
        }
    }
    return words;
}

/** mcuq_curve, its two points loaded at once. */
static inline int32_t curve(const int16_t *middle, int32_t z)
{
    const uint32_t shares = (uint32_t)(z & 127) * 65535u + 128u; /* 128 - rest, and rest above */
    uint32_t points;
    memcpy(&points, middle + (z >> 7), 4);
    return mcuq_dsp_smlad(points, shares, 64) >> 7;
}

/** Writes the values of step t, if they are given. */
static inline void write_step(const mcuq_recurrent_dsp_params *p, const int16_t *values, int8_t *out,
                              int32_t t)
{
    const int32_t shift = p->out_shift, bias = p->out_bias, count = p->hidden;
    int8_t *const to = out + (p->out_first + t * p->out_step);
    if (p->out_step == 0 && t != p->steps - 1) {
        return;
    }
    for (int32_t j = 0; j < count; j++) {
        to[j] = (int8_t)mcuq_clamp((values[j] + bias) >> shift, -128, 127);
    }
}

/** The states change places. */
static inline void swap_states(buffers *b)
{
    int16_t *const before = b->h;
    b->h = b->next;
    b->next = before;
}

#endif
