#include "mcuq_mve.h"
#include "mcuq_mve_plane.h"

#if defined(__ARM_FEATURE_MVE)

/** Four channels of rows up to 8 wide: one or two gathers of 4 words a row. */
static void load_narrow(const mcuq_depthwise_conv2d_mve_params *p, const int8_t *in, int8_t *plane)
{
    const int32_t row = p->in_w * p->in_c;
    if (p->copy_w <= 4) {
        __asm volatile("movs lr, #0\n vidup.u32 q0, lr, #1\n vmul.i32 q0, q0, %[pixel]\n"
                       "vctp.32 %[width]\n dls lr, %[rows]\n"
                       "1: vpstt\n vldrwt.u32 q1, [%[in], q0]\n vstrwt.32 q1, [%[plane]]\n"
                       "add %[in], %[row]\n add %[plane], %[pitch]\n le lr, 1b\n"
                       : [in] "+&r"(in), [plane] "+&r"(plane)
                       : [pixel] "r"(p->in_c), [width] "r"(p->copy_w), [rows] "r"(p->copy_h),
                         [row] "r"(row), [pitch] "r"(4 * p->plane_w)
                       : "q0", "q1", "lr", MCUQ_MVE_VPR, "cc", "memory");
        return;
    }
    __asm volatile("movs lr, #0\n vidup.u32 q0, lr, #1\n vidup.u32 q2, lr, #1\n"
                   "vmul.i32 q0, q0, %[pixel]\n vmul.i32 q2, q2, %[pixel]\n"
                   "vctp.32 %[width]\n dls lr, %[rows]\n"
                   "1: vldrw.u32 q1, [%[in], q0]\n vstrw.32 q1, [%[plane]]\n"
                   "vpstt\n vldrwt.u32 q3, [%[in], q2]\n vstrwt.32 q3, [%[plane], #16]\n"
                   "add %[in], %[row]\n add %[plane], %[pitch]\n le lr, 1b\n"
                   : [in] "+&r"(in), [plane] "+&r"(plane)
                   : [pixel] "r"(p->in_c), [width] "r"(p->copy_w - 4), [rows] "r"(p->copy_h),
                     [row] "r"(row), [pitch] "r"(4 * p->plane_w)
                   : "q0", "q1", "q2", "q3", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

/** Four channels of the input to the plane; the padding was filled before. */
static void load_plane(const mcuq_depthwise_conv2d_mve_params *p, const int8_t *in, int8_t *plane)
{
    plane += 4 * (p->pad_top * p->plane_w + p->pad_left);
    if (p->copy_w <= 8) {
        load_narrow(p, in, plane);
        return;
    }
    const int32_t row = p->in_w * p->in_c;
    const int8_t *from = in;
    int8_t *to = plane;
    int32_t rows = p->copy_h;
    __asm volatile("movs lr, #0\n vidup.u32 q0, lr, #1\n vmul.i32 q0, q0, %[pixel]\n"
                   "vctp.32 %[rest]\n"
                   "1: dls lr, %[full]\n"
                   "2: vldrw.u32 q1, [%[from], q0]\n add %[from], %[from], %[pixel], lsl #2\n"
                   "vstrw.32 q1, [%[to]], #16\n le lr, 2b\n"
                   "vpstt\n vldrwt.u32 q1, [%[from], q0]\n vstrwt.32 q1, [%[to]]\n"
                   "add %[in], %[row]\n add %[plane], %[pitch]\n"
                   "mov %[from], %[in]\n mov %[to], %[plane]\n"
                   "subs %[rows], #1\n bne 1b\n"
                   : [in] "+&h"(in), [plane] "+&h"(plane), [from] "+&r"(from), [to] "+&l"(to),
                     [rows] "+&l"(rows)
                   : [pixel] "h"(p->in_c), [full] "l"(p->copy_w / 4), [rest] "l"(p->copy_w % 4),
                     [row] "r"(row), [pitch] "l"(4 * p->plane_w)
                   : "q0", "q1", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

/** Four channels of four outputs: words of four bytes, scattered. */
#define REQUANTIZE                                                                                 \
    "vldrw.u32 q0, [%[a0]], #16\n vshl.s32 q0, %[s0]\n vldrw.u32 q1, [%[a1]], #16\n"               \
    "vshl.s32 q1, r4\n vldrw.u32 q2, [%[a2]], #16\n vshl.s32 q2, %[s2]\n"                          \
    "vldrw.u32 q3, [%[a3]], #16\n vshl.s32 q3, %[s3]\n"                                            \
    "vqmovnb.s32 q0, q0\n vqmovnb.s32 q1, q1\n vqmovnt.s32 q0, q2\n vqmovnt.s32 q1, q3\n"          \
    "vqmovnb.s16 q0, q0\n vqmovnt.s16 q0, q1\n vmax.s8 q0, q0, q5\n vmin.s8 q0, q0, q6\n"          \
    "vpst\n vstrwt.32 q0, [%[out], q4]\n"

/** Requantizes a line of blocks of four channels: 20 instructions a block, 1.25 an output.
 *  shifts: four negated shifts, from the lowest byte up; their bytes replace the operands that are
 *  needed only at the start. masks: P0 inside, and at the end in the upper half. */
static void store_line(const mcuq_depthwise_conv2d_mve_params *p, const int32_t *acc,
                       int32_t acc_step, int32_t shifts, uint32_t masks, int8_t *out)
{
    const int32_t *a1 = acc + acc_step;
    const int32_t *a2 = a1 + acc_step;
    const int32_t *a3 = a2 + acc_step;
    const int8_t *range = p->out_range;
    const void *lanes = p->out_lanes;
    __asm volatile("ldrsb lr, [%[s0]]\n vdup.8 q5, lr\n ldrsb lr, [%[s0], #1]\n vdup.8 q6, lr\n"
                   "vldrw.u32 q4, [%[s2]]\n vmsr p0, %[masks]\n"
                   "sxtb %[s0], %[s3]\n sxtb r4, %[s3], ror #8\n sxtb %[s2], %[s3], ror #16\n"
                   "asr %[s3], %[s3], #24\n"
                   "subs lr, %[count], #1\n beq 2f\n dls lr, lr\n"
                   "1:\n" REQUANTIZE "add %[out], %[step]\n le lr, 1b\n"
                   "2: lsr lr, %[masks], #16\n vmsr p0, lr\n" REQUANTIZE
                   : [a0] "+&h"(acc), [a1] "+&h"(a1), [a2] "+&h"(a2), [a3] "+&h"(a3),
                     [out] "+&r"(out), [s0] "+&r"(range), [s2] "+&r"(lanes), [s3] "+&r"(shifts)
                   : [masks] "r"(masks), [count] "r"(p->blocks), [step] "r"(p->out_step)
                   : "q0", "q1", "q2", "q3", "q4", "q5", "q6", "r4", "lr", MCUQ_MVE_VPR, "cc",
                     "memory");
}

#else

static void load_plane(const mcuq_depthwise_conv2d_mve_params *p, const int8_t *in, int8_t *plane)
{
    plane += 4 * (p->pad_top * p->plane_w + p->pad_left);
    for (int32_t y = 0; y < p->copy_h; y++) {
        for (int32_t x = 0; x < p->copy_w; x++) {
            memcpy(plane + 4 * (y * p->plane_w + x), in + (y * p->in_w + x) * p->in_c, 4);
        }
    }
}

static void store_line(const mcuq_depthwise_conv2d_mve_params *p, const int32_t *acc,
                       int32_t acc_step, int32_t shifts, uint32_t masks, int8_t *out)
{
    const uint32_t *const lanes = p->out_lanes;
    int8_t minus_shift[4];
    memcpy(minus_shift, &shifts, 4);
    for (int32_t block = 0; block < p->blocks; block++, acc += 4, out += p->out_step) {
        const uint32_t mask = (block == p->blocks - 1) ? masks >> 16 : masks;
        for (int32_t i = 0; i < 16; i++) {
            if ((mask >> (i & ~3) & 1) != 0) {
                const int32_t sum = acc[i % 4 * acc_step + i / 4];
                out[lanes[i / 4] + (uint32_t)i % 4] =
                    mcuq_requant(sum, -minus_shift[i % 4], p->out_range[0], p->out_range[1]);
            }
        }
    }
}

#endif

/** Four channels from their plane. */
static void run_quad(const mcuq_depthwise_conv2d_mve_params *p, int32_t shifts, const int8_t *plane,
                     const int8_t *vectors, int32_t *acc, int8_t *out)
{
    const int32_t line_words = mcuq_mve_line_bytes(p) / 4;
    for (int32_t line = 0; line < p->lines; line += p->lines_at_once) {
        const int32_t rest = p->lines - line;
        const int32_t count = (rest < p->lines_at_once) ? rest : p->lines_at_once;
        const int32_t acc_step = count * line_words;
        mcuq_mve_lines(p, plane, vectors, acc, count, 4);
        for (int32_t i = 0; i < count; i++) {
            const uint16_t *const masks = p->store_masks + ((i + 1 == rest) ? 2 : 0);
            store_line(p, acc + i * line_words, acc_step, shifts,
                       masks[0] | (uint32_t)masks[1] << 16, out);
            out += p->out_across;
        }
        plane += count * p->in_across;
    }
}

void mcuq_depthwise_conv2d_s8_mve_quad(const mcuq_depthwise_conv2d_mve_params *p, const int8_t *in,
                                       int8_t *out, void *scratch)
{
    int8_t *const vectors = scratch;
    int8_t *const acc = vectors + 4 * mcuq_mve_vector_bytes(p);
    int8_t *const plane = acc + 4 * p->lines_at_once * mcuq_mve_line_bytes(p);
    mcuq_mve_fill(plane, p->pad_value, p->plane_bytes);
    for (int32_t c = 0; c < p->out_c; c += 4) {
        int32_t shifts;
        memcpy(&shifts, p->minus_shift + c, sizeof shifts);
        load_plane(p, in + c, plane);
        mcuq_mve_spread(p, c, vectors, 4);
        run_quad(p, shifts, plane, vectors, (int32_t *)(void *)acc, out + c);
    }
}
