#include "mcuq_recurrent_mve_rows_body.h"

#if defined(__ARM_FEATURE_MVE)

/** Products of even and odd lanes, each rounded to 15 bits less, in their lanes again. */
#define ROUNDED(even, odd)                                                                         \
    vmovntq_s32(vmovnbq_s32(vdupq_n_s16(0), vrshrq_n_s32(even, 15)), vrshrq_n_s32(odd, 15))

/** The pre-activations of n at xn, the reset gate acting on finished products hn. */
static void join_after(const mcuq_recurrent_mve_params *p, const int16_t *reset, int16_t *xn,
                       const int16_t *hn)
{
    const int32x4_t shift = vdupq_n_s32(-p->candidate_shift);
    for (int32_t j = 0; j < p->hidden; j += 8) {
        const int16x8_t r = curves(p->sigmoid, vldrhq_s16(reset + j)), h = vldrhq_s16(hn + j);
        int16x8_t n = vldrhq_s16(xn + j);
        const int32x4_t even = vaddq_s32(vshllbq_n_s16(n, 15), vmullbq_int_s16(r, h));
        const int32x4_t odd = vaddq_s32(vshlltq_n_s16(n, 15), vmulltq_int_s16(r, h));
        n = vqmovntq_s32(vqmovnbq_s32(n, vrshlq_s32(even, shift)), vrshlq_s32(odd, shift));
        vstrhq_s16(xn + j, n);
    }
}

/** b->more: the state as the reset gate lets it through. */
static void reset_state(const mcuq_recurrent_mve_params *p, const buffers *b, const int16_t *reset)
{
    for (int32_t j = 0; j < p->hidden; j += 8) {
        const int16x8_t r = curves(p->sigmoid, vldrhq_s16(reset + j)), h = vldrhq_s16(b->h + j);
        vstrhq_s16(b->more + j, ROUNDED(vmullbq_int_s16(r, h), vmulltq_int_s16(r, h)));
    }
}

/** The next h from z and from the pre-activations of n: z * (h - n) + n * 2^15, as
 *  (32768 - z) * n + z * h. */
static void update(const mcuq_recurrent_mve_params *p, const buffers *b, const int16_t *candidate)
{
    const int16x8_t down = vdupq_n_s16((int16_t)(p->state_frac - 15));
    for (int32_t j = 0; j < p->hidden; j += 8) {
        const int16x8_t z = curves(p->sigmoid, vldrhq_s16(b->z + j)), h = vldrhq_s16(b->h + j);
        const int16x8_t n = vrshlq_s16(curves(p->tanh, vldrhq_s16(candidate + j)), down);
        const int16x8_t rest = vreinterpretq_s16_u16(
            vsubq_u16(vdupq_n_u16(32768), vreinterpretq_u16_s16(z))); /* 1..32767, as z is */
        const int32x4_t even = vaddq_s32(vmullbq_int_s16(rest, n), vmullbq_int_s16(z, h));
        const int32x4_t odd = vaddq_s32(vmulltq_int_s16(rest, n), vmulltq_int_s16(z, h));
        vstrhq_s16(b->h + j, ROUNDED(even, odd));
    }
}

#else

static void join_after(const mcuq_recurrent_mve_params *p, const int16_t *reset, int16_t *xn,
                       const int16_t *hn)
{
    const int32_t shift = p->candidate_shift;
    for (int32_t j = 0; j < p->hidden; j++) {
        const int32_t r = mcuq_curve(p->sigmoid, reset[j]);
        xn[j] = mcuq_sat16((xn[j] * 32768 + (r * hn[j] + mcuq_half(shift))) >> shift);
    }
}

static void reset_state(const mcuq_recurrent_mve_params *p, const buffers *b, const int16_t *reset)
{
    for (int32_t j = 0; j < p->hidden; j++) {
        b->more[j] = (int16_t)((mcuq_curve(p->sigmoid, reset[j]) * b->h[j] + (1 << 14)) >> 15);
    }
}

static void update(const mcuq_recurrent_mve_params *p, const buffers *b, const int16_t *candidate)
{
    const int32_t down = 15 - p->state_frac;
    for (int32_t j = 0; j < p->hidden; j++) {
        const int32_t z = mcuq_curve(p->sigmoid, b->z[j]);
        const int32_t n = (mcuq_curve(p->tanh, candidate[j]) + mcuq_half(down)) >> down;
        b->h[j] = (int16_t)(((32768 - z) * n + z * b->h[j] + (1 << 14)) >> 15);
    }
}

#endif

/** The pre-activations of n at n, of `units` rows. */
static void candidates(const mcuq_recurrent_mve_params *p, const buffers *b, place *at, int16_t *n,
                       int32_t units)
{
    const int16_t *const reset = b->z + p->hidden;
    if (p->variant) {
        make_rows(p, b, at, b->h, n, units, 1, 0);
        make_rows(p, b, at, b->h, n + units, units, 0, 1);
        join_after(p, reset, n, n + units);
    } else {
        reset_state(p, b, reset);
        split_state(p, b, b->more);
        make_rows(p, b, at, b->more, n, units, 1, 1);
    }
    clamp_rows(p, n, p->hidden);
}

void mcuq_gru_s8_mve(const mcuq_recurrent_mve_params *p, const int8_t *in, int8_t *out,
                     void *scratch)
{
    const int32_t gates = (2 * p->hidden + 7) & ~7, units = (p->hidden + 7) & ~7;
    buffers b = prepare(p, scratch);
    int16_t *const n = b.z + gates;
    for (int32_t t = 0; t < p->steps; t++) {
        place at = {p->weights, p->recurrence, 0};
        read_step(p, &b, in, t);
        split_state(p, &b, b.h);
        make_rows(p, &b, &at, b.h, b.z, gates, 1, 1);
        clamp_rows(p, b.z, 2 * p->hidden);
        candidates(p, &b, &at, n, units);
        update(p, &b, n);
        write_step(p, b.h, out, t);
    }
}
