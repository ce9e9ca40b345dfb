#include "mcuq_int16_mve.h"
#include "mcuq_mve_s16.h"

/** Stores the channels from `at` on of `valid` pixels, which lie `pitch` bytes apart in out. */
static void store_block(const mcuq_conv2d_s16_mve_params *p, const int32_t *acc, int32_t at,
                        int16_t *out, int32_t valid, int32_t pitch)
{
    int16_t *to[4] = {out + at};
    for (int32_t i = 1; i < 4; i++) {
        to[i] = to[i - 1] + ((i < valid) ? pitch / 2 : 0);
    }
    mcuq_mve_s16_store(acc, p->conv.minus_shift + at, to[0], to[1], to[2], to[3],
                       mcuq_mve_count(p->conv.out_c, at), p->out_range);
}

/** As mcuq_mve_block; conv: the first member of its parameters. */
static void block_s16(const mcuq_conv2d_mve_params *conv, const mcuq_mve_job *first, int8_t *out,
                      int32_t valid, int32_t pitch)
{
    const mcuq_conv2d_s16_mve_params *const p = (const void *)conv;
    for (int32_t at = 0; at < conv->out_c; at += MCUQ_MVE_CHUNK) {
        const mcuq_mve_job now = mcuq_mve_job_at(conv, first, at);
        const mcuq_mve_s16_job job = {
            now.acc_end, conv->weights + 8 * conv->steps * at, now.x_end, now.init, now.x, now.acc};
        mcuq_mve_s16_dot(&job, conv->steps);
        store_block(p, now.acc, at, (int16_t *)(void *)out, valid, pitch);
    }
}

#define MCUQ_MVE_BLOCK block_s16
#include "mcuq_conv2d_mve_pixels_body.h"

void mcuq_conv2d_s16_mve(const mcuq_conv2d_s16_mve_params *p, const void *in, void *out,
                         void *scratch)
{
    run_conv2d(&p->conv, in, out, scratch, 2 * p->conv.out_c);
}
