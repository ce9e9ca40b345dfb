#include "mcuq_recurrent_mve_rows_body.h"

#if defined(__ARM_FEATURE_MVE)

/** Products of lanes (even or odd ones) as the next cells: kept + added, rounded. */
#define CELLS(half, f, c, i, g)                                                                    \
    vrshrq_n_s32(                                                                                  \
        vaddq_s32(vmull##half##q_int_s16(f, c), vshlq_s32(vmull##half##q_int_s16(i, g), down)),    \
        15)

static void update(const mcuq_recurrent_mve_params *p, const buffers *b)
{
    const int32_t hidden = p->hidden;
    const int32x4_t down = vdupq_n_s32(p->cell_frac - 15);
    const int32x4_t last = vdupq_n_s32(p->state_frac - 30);
    for (int32_t j = 0; j < hidden; j += 8) {
        const int16_t *const z = b->z + j;
        const int16x8_t i = curves(p->sigmoid, vldrhq_s16(z));
        const int16x8_t f = curves(p->sigmoid, vldrhq_s16(z + 2 * hidden));
        const int16x8_t g = curves(p->tanh, vldrhq_s16(z + 3 * hidden));
        const int16x8_t o = curves(p->sigmoid, vldrhq_s16(z + hidden));
        int16x8_t c = vldrhq_s16(b->more + j), h;
        const int32x4_t even = CELLS(b, f, c, i, g), odd = CELLS(t, f, c, i, g);
        c = vqmovntq_s32(vqmovnbq_s32(c, even), odd);
        vstrhq_s16(b->more + j, c);
        h = curves(p->tanh, vqshlq_r_s16(c, 12 - p->cell_frac));
        h = vmovntq_s32(vmovnbq_s32(h, vrshlq_s32(vmullbq_int_s16(o, h), last)),
                        vrshlq_s32(vmulltq_int_s16(o, h), last));
        vstrhq_s16(b->h + j, h);
    }
}

#else

static void update(const mcuq_recurrent_mve_params *p, const buffers *b)
{
    const int32_t hidden = p->hidden, shift = 30 - p->state_frac;
    for (int32_t j = 0; j < hidden; j++) {
        const int16_t *const z = b->z + j;
        const int32_t i = mcuq_curve(p->sigmoid, z[0]), g = mcuq_curve(p->tanh, z[3 * hidden]);
        const int32_t kept = mcuq_curve(p->sigmoid, z[2 * hidden]) * b->more[j];
        const int32_t added = (i * g) >> (15 - p->cell_frac);
        const int32_t o = mcuq_curve(p->sigmoid, z[hidden]);
        int32_t seen;
        b->more[j] = mcuq_sat16((kept + added + (1 << 14)) >> 15);
        seen = mcuq_curve(p->tanh, mcuq_sat16(b->more[j] * (1 << (12 - p->cell_frac))));
        b->h[j] = (int16_t)((o * seen + mcuq_half(shift)) >> shift);
    }
}

#endif

void mcuq_lstm_s8_mve(const mcuq_recurrent_mve_params *p, const int8_t *in, int8_t *out,
                      void *scratch)
{
    const int32_t rows = (4 * p->hidden + 7) & ~7;
    buffers b = prepare(p, scratch);
    for (int32_t j = 0; j < p->hidden; j++) {
        b.more[j] = p->start[p->hidden + j];
    }
    for (int32_t t = 0; t < p->steps; t++) {
        place at = {p->weights, p->recurrence, 0};
        read_step(p, &b, in, t);
        split_state(p, &b, b.h);
        make_rows(p, &b, &at, b.h, b.z, rows, 1, 1);
        clamp_rows(p, b.z, 4 * p->hidden);
        update(p, &b);
        write_step(p, p->variant ? b.more : b.h, out, t);
    }
}
