/* mcuq_recurrent_mve_rows_body.h: the rows of recurrent layers with Helium (MVE), and their
 * buffers.
 *
 * The state's high bytes and its low bytes less 128 are multiplied apart, [step][2][16] at
 * planes.
 *
 * Parameters: none.
 */
#ifndef MCUQ_RECURRENT_MVE_ROWS_BODY_H
#define MCUQ_RECURRENT_MVE_ROWS_BODY_H

#include "mcuq_gates.h"
#include "mcuq_mve.h"
#include "mcuq_recurrent_mve.h"

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>
#endif

#define MCUQ_ROWS_CHUNK 64

/** The buffers of a sequence, all in scratch. `more`: the cell, or the state that was reset. */
typedef struct {
    int32_t *of_input, *of_state; /* sums of a chunk; of the state: high and low bytes in turn */
    int8_t *x, *planes;
    int16_t *h, *more, *z;
    const int8_t *input; /* x, or where the step's inputs lie */
} buffers;

/** Where the next section's rows begin. */
typedef struct {
    const int8_t *weights, *recurrence;
    int32_t row;
} place;

static inline int32_t sixteens(int32_t count)
{
    return (count + 15) >> 4;
}

static inline buffers prepare(const mcuq_recurrent_mve_params *p, void *scratch)
{
    const int32_t units = 16 * sixteens(p->hidden);
    buffers b;
    b.of_input = scratch;
    b.of_state = b.of_input + MCUQ_ROWS_CHUNK;
    b.x = (int8_t *)(b.of_state + 2 * MCUQ_ROWS_CHUNK);
    b.planes = b.x + 16 * sixteens(p->in_len);
    b.h = (int16_t *)(void *)(b.planes + 2 * units);
    b.more = b.h + units;
    b.z = b.more + units;
    b.input = b.x;
    for (int32_t j = 0; j < units; j++) {
        b.h[j] = 0;
        b.more[j] = 0;
    }
    for (int32_t j = 0; j < p->hidden; j++) {
        b.h[j] = p->start[j];
    }
    for (int32_t i = 0; i < 16 * sixteens(p->in_len); i++) {
        b.x[i] = 0;
    }
    return b;
}

/** b->input: the vector of step t, with zeros behind it to a multiple of 16. */
static inline void read_step(const mcuq_recurrent_mve_params *p, buffers *b, const int8_t *in,
                             int32_t t)
{
    const int8_t *const x = in + (p->in_first + t * p->in_step);
    b->input = x;
    if (p->in_len % 16 != 0) {
        b->input = b->x;
        memcpy(b->x, x, (size_t)p->in_len);
    }
}

static inline void clamp_rows(const mcuq_recurrent_mve_params *p, int16_t *z, int32_t count)
{
    if (p->z_min != -32768 || p->z_max != 32767) {
        for (int32_t i = 0; i < count; i++) {
            z[i] = (int16_t)mcuq_clamp(z[i], p->z_min, p->z_max);
        }
    }
}

#if defined(__ARM_FEATURE_MVE)

#define MCUQ_INPUT_ROW(q, acc) "vldrb.u8 " q ", [r9], #16\n vmladava.s8 " acc ", q0, " q "\n"
/** 16 inputs of 8 rows: 17 instructions for 128 products. */
#define MCUQ_INPUT_STEP                                                                            \
    "vldrb.u8 q0, [r1], #16\n" MCUQ_INPUT_ROW("q1", "r0") MCUQ_INPUT_ROW("q2", "r2")               \
        MCUQ_INPUT_ROW("q3", "r4") MCUQ_INPUT_ROW("q4", "r6") MCUQ_INPUT_ROW("q1", "r8")           \
            MCUQ_INPUT_ROW("q2", "r10") MCUQ_INPUT_ROW("q3", "r12") MCUQ_INPUT_ROW("q4", "lr")
#define MCUQ_STATE_ROW(q, high, low)                                                               \
    "vldrb.u8 " q ", [r9], #16\n vmladava.s8 " high ", q0, " q "\n vmladava.s8 " low ", q5, " q "\n"
/** 16 units of 4 rows: 14 instructions for 64 products. */
#define MCUQ_STATE_STEP                                                                            \
    "vldrb.u8 q0, [r1], #16\n vldrb.u8 q5, [r1], #16\n" MCUQ_STATE_ROW("q1", "r0", "r2")           \
        MCUQ_STATE_ROW("q2", "r4", "r6") MCUQ_STATE_ROW("q3", "r8", "r10")                         \
            MCUQ_STATE_ROW("q4", "r12", "lr")

#define MCUQ_STATE_STEPS_4 MCUQ_STATE_STEP MCUQ_STATE_STEP MCUQ_STATE_STEP MCUQ_STATE_STEP

/** Eight sums after eight, from zeros at job->init. As MCUQ_MVE_DOT_LOOP. */
#define MCUQ_SUMS(steps)                                                                           \
    __asm volatile(MCUQ_MVE_LOAD_JOB "vmov s29, r7\n mov r7, r0\n vmov s28, r1\n"                  \
                                     "1: ldm r5, " MCUQ_MVE_ACC "\n vmov r1, s28\n"                \
                                     "2:\n" steps " cmp r1, r3\n bne 2b\n"                         \
                                     " stmia r11!, " MCUQ_MVE_ACC                                  \
                                     "\n cmp r11, r7\n bne 1b\n vmov r7, s29\n"                    \
                   : "+&r"(at)                                                                     \
                   :                                                                               \
                   : "q0", "q1", "q2", "q3", "q4", "q5", "q7", MCUQ_MVE_CLOBBERS)

static const int32_t zeros[8] = {0, 0, 0, 0, 0, 0, 0, 0};

static inline void input_sums(const buffers *b, const int8_t *weights, int32_t rows, int32_t steps)
{
    const mcuq_mve_job job = {b->of_input + rows, b->input, b->input + 16 * steps, zeros, weights,
                              b->of_input};
    register const mcuq_mve_job *at __asm("r0") = &job;
    if (steps % 4 == 0) {
        MCUQ_SUMS(MCUQ_INPUT_STEP MCUQ_INPUT_STEP MCUQ_INPUT_STEP MCUQ_INPUT_STEP);
    } else {
        MCUQ_SUMS(MCUQ_INPUT_STEP);
    }
}

static inline void state_sums(const buffers *b, const int8_t *weights, int32_t rows, int32_t steps)
{
    const mcuq_mve_job job = {
        b->of_state + 2 * rows, b->planes, b->planes + 32 * steps, zeros, weights, b->of_state};
    register const mcuq_mve_job *at __asm("r0") = &job;
    if (steps % 8 == 0) {
        MCUQ_SUMS(MCUQ_STATE_STEPS_4 MCUQ_STATE_STEPS_4);
    } else if (steps % 4 == 0) {
        MCUQ_SUMS(MCUQ_STATE_STEPS_4);
    } else {
        MCUQ_SUMS(MCUQ_STATE_STEP);
    }
}

/** Sums -> `count` pre-activations at z; `row`: of the first one. */
static inline void finish_rows(const mcuq_recurrent_mve_params *p, const buffers *b, int32_t row,
                               int16_t *z, int32_t count, int of_input, int of_state)
{
    const int32_t *bias = p->bias + row, *inputs = b->of_input, *states = b->of_state;
    const int8_t *left = p->left + row, *right = p->minus_right + row;
    for (int32_t i = 0; i < count; i += 4) {
        int32x4_t acc = vldrwq_s32(bias + i);
        if (of_input) {
            acc = vaddq_s32(acc, vshlq_s32(vldrwq_s32(inputs + i), vldrbq_s32(left + i)));
        }
        if (of_state) {
            const int32x4x2_t parts = vld2q_s32(states + 2 * i);
            acc = vaddq_s32(acc, vaddq_s32(vshlq_n_s32(parts.val[0], 8), parts.val[1]));
        }
        acc = vshlq_s32(acc, vldrbq_s32(right + i));
        vstrhq_s32(z + i, vreinterpretq_s32_s16(vqmovnbq_s32(vdupq_n_s16(0), acc)));
    }
}

/** `rows` rows, a multiple of 8, at z; the bytes of `state` lie at b->planes. */
static inline void make_rows(const mcuq_recurrent_mve_params *p, const buffers *b, place *at,
                             const int16_t *state, int16_t *z, int32_t rows, int of_input,
                             int of_state)
{
    const int32_t x_steps = sixteens(p->in_len), h_steps = sixteens(p->hidden);
    (void)state;
    for (int32_t first = 0; first < rows; first += MCUQ_ROWS_CHUNK) {
        const int32_t rest = rows - first;
        const int32_t count = (rest < MCUQ_ROWS_CHUNK) ? rest : MCUQ_ROWS_CHUNK;
        if (of_input) {
            input_sums(b, at->weights, count, x_steps);
            at->weights += 16 * x_steps * count;
        }
        if (of_state) {
            state_sums(b, at->recurrence, count, h_steps);
            at->recurrence += 16 * h_steps * count;
        }
        finish_rows(p, b, at->row, z + first, count, of_input, of_state);
        at->row += count;
    }
}

/** b->planes: the bytes of the state. */
static inline void split_state(const mcuq_recurrent_mve_params *p, const buffers *b,
                               const int16_t *state)
{
    for (int32_t j = 0; j < p->hidden; j += 8) {
        int8_t *const to = b->planes + 2 * (j & ~15) + (j & 8);
        const int16x8_t h = vldrhq_s16(state + j);
        vstrbq_s16(to, vshrq_n_s16(h, 8));
        vstrbq_s16(to + 16, veorq_s16(h, vdupq_n_s16(128)));
    }
}

/** mcuq_curve of eight. */
static inline int16x8_t curves(const int16_t *points, int16x8_t z)
{
    const uint16x8_t k = vreinterpretq_u16_s16(vaddq_n_s16(vshrq_n_s16(z, 7), 256));
    const int16x8_t from = vldrhq_gather_shifted_offset_s16(points, k);
    const int16x8_t step = vsubq_s16(vldrhq_gather_shifted_offset_s16(points + 1, k), from);
    const int16x8_t rest = vshlq_n_s16(vandq_s16(z, vdupq_n_s16(127)), 8);
    return vaddq_s16(from, vqrdmulhq_s16(step, rest));
}

/** Writes the values of step t, if they are given. */
static inline void write_step(const mcuq_recurrent_mve_params *p, const int16_t *values,
                              int8_t *out, int32_t t)
{
    const int16_t zero = (int16_t)((p->out_bias - mcuq_half(p->out_shift)) >> p->out_shift);
    const int16x8_t right = vdupq_n_s16((int16_t)-p->out_shift);
    int8_t *const to = out + (p->out_first + t * p->out_step);
    if (p->out_step == 0 && t != p->steps - 1) {
        return;
    }
    for (int32_t j = 0; j < p->hidden; j += 8) {
        const int16x8_t y = vqaddq_n_s16(vrshlq_s16(vldrhq_s16(values + j), right), zero);
        const int16x8_t narrow = vreinterpretq_s16_s8(vqmovnbq_s16(vdupq_n_s8(0), y));
        vstrbq_p_s16(to + j, narrow, vctp16q((uint32_t)(p->hidden - j)));
    }
}

#else

static inline void split_state(const mcuq_recurrent_mve_params *p, const buffers *b,
                               const int16_t *state)
{
    (void)p, (void)b, (void)state;
}

/** `rows` rows, a multiple of 8, at z; the bytes of `state` lie at b->planes. */
static inline void make_rows(const mcuq_recurrent_mve_params *p, const buffers *b, place *at,
                             const int16_t *state, int16_t *z, int32_t rows, int of_input,
                             int of_state)
{
    const int32_t x_steps = sixteens(p->in_len), h_steps = sixteens(p->hidden);
    for (int32_t r = 0; r < rows; r++) {
        const int8_t *const w = at->weights + (r / 8 * 8 * x_steps + r % 8) * 16;
        const int8_t *const s = at->recurrence + (r / 4 * 4 * h_steps + r % 4) * 16;
        uint32_t of_x = 0, of_h = (uint32_t)p->bias[at->row + r];
        for (int32_t i = 0; of_input && i < p->in_len; i++) {
            of_x += (uint32_t)(w[i / 16 * 128 + i % 16] * b->input[i]);
        }
        for (int32_t i = 0; of_state && i < p->hidden; i++) {
            of_h += (uint32_t)(s[i / 16 * 64 + i % 16] * (state[i] - 128));
        }
        of_h += of_x << p->left[at->row + r];
        z[r] = mcuq_sat16((int32_t)of_h >> -p->minus_right[at->row + r]);
    }
    at->weights += of_input ? 16 * x_steps * rows : 0;
    at->recurrence += of_state ? 16 * h_steps * rows : 0;
    at->row += rows;
}

/** Writes the values of step t, if they are given. */
static inline void write_step(const mcuq_recurrent_mve_params *p, const int16_t *values,
                              int8_t *out, int32_t t)
{
    int8_t *const to = out + (p->out_first + t * p->out_step);
    for (int32_t j = 0; j < p->hidden && (p->out_step != 0 || t == p->steps - 1); j++) {
        to[j] = (int8_t)mcuq_clamp((values[j] + p->out_bias) >> p->out_shift, -128, 127);
    }
}

#endif

#endif
