#include "mcuq_conv2d_mve.h"
#include "mcuq_mve.h"

#if defined(__ARM_FEATURE_MVE)

/** x = the inputs of four pixels; the last step of each is filled with zeros. */
static inline void load_pixels(const int8_t *a, const int8_t *b, const int8_t *c, const int8_t *d,
                               int32_t in_c, int8_t *x)
{
    __asm volatile("lsrs lr, %[count], #4\n beq 2f\n dls lr, lr\n"
                   "1: vldrb.u8 q0, [%[a]], #16\n vldrb.u8 q1, [%[b]], #16\n"
                   "vldrb.u8 q2, [%[c]], #16\n vldrb.u8 q3, [%[d]], #16\n"
                   "vstrb.8 q0, [%[x]], #16\n vstrb.8 q1, [%[x]], #16\n"
                   "vstrb.8 q2, [%[x]], #16\n vstrb.8 q3, [%[x]], #16\n le lr, 1b\n"
                   "2: ands lr, %[count], #15\n beq 3f\n vctp.8 lr\n"
                   "vpstttt\n vldrbt.u8 q0, [%[a]]\n vldrbt.u8 q1, [%[b]]\n"
                   "vldrbt.u8 q2, [%[c]]\n vldrbt.u8 q3, [%[d]]\n"
                   "vstrb.8 q0, [%[x]]\n vstrb.8 q1, [%[x], #16]\n"
                   "vstrb.8 q2, [%[x], #32]\n vstrb.8 q3, [%[x], #48]\n"
                   "3:\n"
                   : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [x] "+r"(x)
                   : [count] "r"(in_c)
                   : "q0", "q1", "q2", "q3", "lr", "cc", "memory");
}

#else

static inline void load_pixels(const int8_t *a, const int8_t *b, const int8_t *c, const int8_t *d,
                               int32_t in_c, int8_t *x)
{
    const int8_t *const from[4] = {a, b, c, d};
    for (int32_t k = 0; k < ((in_c + 15) & ~15); k++) {
        for (int32_t pixel = 0; pixel < 4; pixel++) {
            x[k / 16 * 64 + 16 * pixel + k % 16] = (int8_t)((k < in_c) ? from[pixel][k] : 0);
        }
    }
}

#endif

/** One row of `count` output pixels whose inputs lie `pitch` bytes apart; x: as in the job. */
static void run_row(const mcuq_conv2d_mve_params *p, const mcuq_mve_job *job, int8_t *x,
                    const int8_t *in, int32_t pitch, int8_t *out, int32_t count)
{
    for (int32_t left = count; left > 0; left -= 4) {
        int32_t step1 = pitch;
        int32_t step2 = step1;
        int32_t step3 = step1;
        if (left < 4) {
            step1 = (left > 1) ? pitch : 0;
            step2 = (left > 2) ? pitch : 0;
            step3 = 0;
        }
        load_pixels(in, in + step1, in + step1 + step2, in + step1 + step2 + step3, p->in_c, x);
        mcuq_mve_block(p, job, out, left);
        in += 4 * pitch;
        out += 4 * p->out_c;
    }
}

void mcuq_conv2d_1x1_s8_mve(const mcuq_conv2d_mve_params *p, const int8_t *in, int8_t *out,
                            void *scratch)
{
    const mcuq_mve_job job = mcuq_mve_first_job(p, scratch);
    int8_t *const x = (int8_t *)scratch + ((const int8_t *)job.x - (const int8_t *)scratch);
    mcuq_mve_init(p->bias, p->out_c, scratch);
    if (p->stride_h == 1 && p->stride_w == 1) {
        run_row(p, &job, x, in, p->in_c, out, p->out_h * p->out_w);
        return;
    }
    for (int32_t y = 0; y < p->out_h; y++) {
        run_row(p, &job, x, in, p->stride_w * p->in_c, out, p->out_w);
        in += p->stride_h * p->in_w * p->in_c;
        out += p->out_w * p->out_c;
    }
}
