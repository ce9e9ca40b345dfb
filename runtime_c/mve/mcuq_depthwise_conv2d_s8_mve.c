#include "mcuq_mve.h"
#include "mcuq_mve_plane.h"

#if defined(__ARM_FEATURE_MVE)

/** One channel of the input to the plane, 8 pixels a gather; the padding was filled before. */
static void load_plane(const mcuq_depthwise_conv2d_mve_params *p, const int8_t *in, int8_t *plane)
{
    const int32_t row = p->in_w * p->in_c;
    int32_t rows = p->copy_h;
    plane += p->pad_top * p->plane_w + p->pad_left;
    if (p->copy_w <= 8) {
        __asm volatile("movs lr, #0\n vidup.u16 q0, lr, #1\n vmul.i16 q0, q0, %[pixel]\n"
                       "vctp.16 %[width]\n dls lr, %[rows]\n"
                       "1: vpstt\n vldrbt.u16 q1, [%[in], q0]\n vstrbt.16 q1, [%[plane]]\n"
                       "add %[in], %[row]\n add %[plane], %[pitch]\n le lr, 1b\n"
                       : [in] "+&r"(in), [plane] "+&l"(plane)
                       : [pixel] "r"(p->in_c), [width] "r"(p->copy_w), [rows] "r"(rows),
                         [row] "r"(row), [pitch] "r"(p->plane_w)
                       : "q0", "q1", "lr", MCUQ_MVE_VPR, "cc", "memory");
        return;
    }
    const int8_t *from = in;
    int8_t *to = plane;
    __asm volatile("movs lr, #0\n vidup.u16 q0, lr, #1\n vmul.i16 q0, q0, %[pixel]\n"
                   "vctp.16 %[rest]\n"
                   "1: dls lr, %[full]\n"
                   "2: vldrb.u16 q1, [%[from], q0]\n add %[from], %[from], %[pixel], lsl #3\n"
                   "vstrb.16 q1, [%[to]], #8\n le lr, 2b\n"
                   "vpstt\n vldrbt.u16 q1, [%[from], q0]\n vstrbt.16 q1, [%[to]]\n"
                   "add %[in], %[row]\n add %[plane], %[pitch]\n"
                   "mov %[from], %[in]\n mov %[to], %[plane]\n"
                   "subs %[rows], #1\n bne 1b\n"
                   : [in] "+&h"(in), [plane] "+&h"(plane), [from] "+&r"(from), [to] "+&l"(to),
                     [rows] "+&l"(rows)
                   : [pixel] "h"(p->in_c), [full] "l"(p->copy_w / 8), [rest] "l"(p->copy_w % 8),
                     [row] "r"(row), [pitch] "l"(p->plane_w)
                   : "q0", "q1", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

#define REQUANTIZE                                                                                 \
    "vldrw.u32 q0, [%[acc]], #16\n vldrw.u32 q1, [%[acc]], #16\n"                                  \
    "vshl.s32 q0, %[shift]\n vshl.s32 q1, %[shift]\n"                                              \
    "vqmovnb.s32 q0, q0\n vqmovnt.s32 q0, q1\n vmax.s16 q0, q0, q5\n vmin.s16 q0, q0, q6\n"        \
    "vpst\n vstrbt.16 q0, [%[out], q4]\n"

/** Requantizes a line, two blocks at a time: 12 instructions, 1.5 an output. masks: P0 inside and
 *  at the end. */
static void store_line(const mcuq_depthwise_conv2d_mve_params *p, const int32_t *acc,
                       int32_t minus_shift, const uint16_t *masks, int8_t *out)
{
    __asm volatile(
        "ldrsb lr, [%[range]]\n vdup.16 q5, lr\n"
        "ldrsb lr, [%[range], #1]\n vdup.16 q6, lr\n"
        "vldrh.u16 q4, [%[lanes]]\n"
        "ldrh lr, [%[masks]]\n vmsr p0, lr\n subs lr, %[pairs], #1\n beq 2f\n"
        "dls lr, lr\n"
        "1:\n" REQUANTIZE "add %[out], %[step]\n le lr, 1b\n"
        "2: ldrh lr, [%[masks], #2]\n vmsr p0, lr\n" REQUANTIZE
        : [acc] "+&r"(acc), [out] "+&r"(out)
        : [shift] "r"(minus_shift), [masks] "r"(masks), [range] "r"(p->out_range),
          [lanes] "r"(p->out_lanes), [pairs] "r"((p->blocks + 1) / 2), [step] "r"(p->out_step)
        : "q0", "q1", "q4", "q5", "q6", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

#else

static void load_plane(const mcuq_depthwise_conv2d_mve_params *p, const int8_t *in, int8_t *plane)
{
    plane += p->pad_top * p->plane_w + p->pad_left;
    for (int32_t y = 0; y < p->copy_h; y++) {
        for (int32_t x = 0; x < p->copy_w; x++) {
            plane[y * p->plane_w + x] = in[(y * p->in_w + x) * p->in_c];
        }
    }
}

static void store_line(const mcuq_depthwise_conv2d_mve_params *p, const int32_t *acc,
                       int32_t minus_shift, const uint16_t *masks, int8_t *out)
{
    const uint16_t *const lanes = p->out_lanes;
    const int32_t pairs = (p->blocks + 1) / 2;
    for (int32_t pair = 0; pair < pairs; pair++, acc += 8, out += p->out_step) {
        const int32_t mask = masks[pair == pairs - 1];
        for (int32_t lane = 0; lane < 8; lane++) {
            if ((mask >> 2 * lane & 1) != 0) {
                out[lanes[lane]] = mcuq_requant(acc[lane % 2 * 4 + lane / 2], -minus_shift,
                                                p->out_range[0], p->out_range[1]);
            }
        }
    }
}

#endif

/** One output channel from its plane. */
static void run_channel(const mcuq_depthwise_conv2d_mve_params *p, int32_t minus_shift,
                        const int8_t *plane, const int8_t *vectors, int32_t *acc, int8_t *out)
{
    for (int32_t line = 0; line < p->lines; line += p->lines_at_once) {
        const int32_t rest = p->lines - line;
        const int32_t count = (rest < p->lines_at_once) ? rest : p->lines_at_once;
        const int32_t *from = acc;
        mcuq_mve_lines(p, plane, vectors, acc, count, 1);
        for (int32_t i = 0; i < count; i++) {
            store_line(p, from, minus_shift, p->store_masks + ((i + 1 == rest) ? 2 : 0), out);
            from += mcuq_mve_line_bytes(p) / 4;
            out += p->out_across;
        }
        plane += count * p->in_across;
    }
}

void mcuq_depthwise_conv2d_s8_mve(const mcuq_depthwise_conv2d_mve_params *p, const int8_t *in,
                                  int8_t *out, void *scratch)
{
    int8_t *const vectors = scratch;
    int8_t *const acc = vectors + mcuq_mve_vector_bytes(p);
    int8_t *const plane = acc + p->lines_at_once * mcuq_mve_line_bytes(p);
    const int32_t multiplier = p->out_c / p->in_c;
    int32_t made = 0; /* output channels made from the plane */
    mcuq_mve_fill(plane, p->pad_value, p->plane_bytes);
    for (int32_t c = 0; c < p->out_c; c++) {
        if (made == 0) {
            load_plane(p, in++, plane);
        }
        made = (made + 1 == multiplier) ? 0 : made + 1;
        mcuq_mve_spread(p, c, vectors, 1);
        run_channel(p, p->minus_shift[c], plane, vectors, (int32_t *)(void *)acc, out++);
    }
}
