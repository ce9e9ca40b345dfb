/* mcuq_recurrent_steps_body.h: the walk along a sequence that kernels share which make rows by
 * four.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_WORD_STATE: whether read_state makes a copy, in words, and inputs are words, too
 *     rows_job: a type, what run_rows needs
 *     run_rows, read_input, read_state: functions
 */
#ifndef MCUQ_RECURRENT_STEPS_BODY_H
#define MCUQ_RECURRENT_STEPS_BODY_H

#include "mcuq_gates.h"
#include "mcuq_recurrent_rows.h"

/** The buffers of a sequence, all in scratch. `more`: the cell, or the state that was reset. */
typedef struct {
    uint32_t *x;
    int32_t *state; /* a copy */
    int16_t *h, *next, *more, *z;
} buffers;

static inline int32_t eights(int32_t count)
{
    return (count + 7) >> 3;
}

/** Clears both states and sets the first one. */
static inline buffers prepare(const mcuq_recurrent_rows_params *p, void *scratch)
{
    const int32_t units = 8 * eights(p->hidden);
    buffers b;
    b.x = scratch;
    b.state = (int32_t *)(void *)(b.x + (MCUQ_WORD_STATE ? 8 : 4) * eights(p->in_len));
    b.h = (int16_t *)(void *)(b.state + (MCUQ_WORD_STATE ? units : 0));
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

/** What the rows of step t read: its inputs, and the state. */
static inline rows_job read_step(const mcuq_recurrent_rows_params *p, const buffers *b,
                                 const int8_t *in, int32_t t)
{
    const int8_t *const x = in + (p->in_first + t * p->in_step);
    rows_job job = {.x = (const void *)b->x,
                    .z = b->z,
                    .x_turns = eights(p->in_len),
                    .h_turns = eights(p->hidden)};
    job.base = read_input(b->x, x, p->in_len);
    read_state(&job, b->h, b->state, p->hidden);
    return job;
}

/** `count` pre-activations limited, if the layer limits them. */
static inline void limit_rows(const mcuq_recurrent_rows_params *p, int16_t *z, int32_t count)
{
    if (p->z_min != -32768 || p->z_max != 32767) {
        for (int32_t i = 0; i < count; i++) {
            z[i] = (int16_t)mcuq_clamp(z[i], p->z_min, p->z_max);
        }
    }
}

/** `count` rows at z, of the inputs if x_turns is not 0 and of the state h if h_turns is not; z
 *  goes on to a multiple of 4. */
static inline const uint32_t *make_rows(const mcuq_recurrent_rows_params *p, const uint32_t *words,
                                        const rows_job *job, int32_t count)
{
    rows_job now = *job;
    now.groups = (count + 3) >> 2;
    words = run_rows(words, &now);
    limit_rows(p, job->z, count);
    return words;
}

/** Writes the values of step t, if they are given. */
static inline void write_step(const mcuq_recurrent_rows_params *p, const int16_t *values,
                              int8_t *out, int32_t t)
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
