#include "mcuq_conv2d_mve.h"
#include "mcuq_mve.h"

#if defined(__ARM_FEATURE_MVE)

/** x = the inputs of four pixels; the last step of each is filled with zeros. */
static void load_pixels(const int8_t *const from[4], int32_t in_c, int8_t *x)
{
    const int8_t *a = from[0];
    const int8_t *b = from[1];
    const int8_t *c = from[2];
    const int8_t *d = from[3];
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

static void load_pixels(const int8_t *const from[4], int32_t in_c, int8_t *x)
{
    for (int32_t k = 0; k < ((in_c + 15) & ~15); k++) {
        for (int32_t pixel = 0; pixel < 4; pixel++) {
            x[k / 16 * 64 + 16 * pixel + k % 16] = (int8_t)((k < in_c) ? from[pixel][k] : 0);
        }
    }
}

#endif

/** One row of `count` output pixels whose inputs lie `pitch` bytes apart. */
static void run_row(const mcuq_conv2d_mve_params *p, const int8_t *in, int32_t pitch, int8_t *out,
                    int32_t count, int32_t *init)
{
    int32_t *const acc = init + 4 * ((p->out_c + 1) & ~1);
    int8_t *const x = (int8_t *)(acc + 4 * mcuq_mve_chunk(p->out_c));
    for (int32_t left = count; left > 0; left -= 4) {
        const int8_t *from[4] = {in, in, in, in};
        for (int32_t i = 1; i < 4; i++) {
            from[i] = from[i - 1] + ((i < left) ? pitch : 0);
        }
        load_pixels(from, p->in_c, x);
        mcuq_mve_block(p, init, acc, x, out, left);
        in += 4 * pitch;
        out += 4 * p->out_c;
    }
}

void mcuq_conv2d_1x1_s8_mve(const mcuq_conv2d_mve_params *p, const int8_t *in, int8_t *out,
                            void *scratch)
{
    int32_t *const init = scratch;
    mcuq_mve_init(p->bias, p->out_c, init);
    if (p->stride_h == 1 && p->stride_w == 1) {
        run_row(p, in, p->in_c, out, p->out_h * p->out_w, init);
        return;
    }
    for (int32_t y = 0; y < p->out_h; y++) {
        run_row(p, in, p->stride_w * p->in_c, out, p->out_w, init);
        in += p->stride_h * p->in_w * p->in_c;
        out += p->out_w * p->out_c;
    }
}
