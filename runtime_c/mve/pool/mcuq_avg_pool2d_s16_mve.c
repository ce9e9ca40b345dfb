#include "mcuq_int16_mve.h"

#include "mcuq_avg_pool2d_window_mve.h"

typedef int16_t element;
typedef int32_t sum_of;
typedef mcuq_avg_pool2d_s16_params params;
enum { LANES = 8 };

#if defined(__ARM_FEATURE_MVE)

/** The sums of the taps of up to 4 channels: 5 instructions a tap. */
static void add_taps_4(const window *w, const int16_t *row, int32_t channels, int32_t *sums)
{
    const int16_t *at = row;
    int32_t rows = w->rows;
    __asm volatile("vmov.i32 q0, #0\n vctp.32 %[channels]\n"
                   "1: dls lr, %[columns]\n"
                   "2: vpst\n vldrht.s32 q1, [%[at]]\n vadd.i32 q0, q0, q1\n"
                   "add %[at], %[at], %[next_column], lsl #1\n le lr, 2b\n"
                   "add %[row], %[row], %[next_row], lsl #1\n mov %[at], %[row]\n"
                   "subs %[rows], #1\n bne 1b\n"
                   "vstrw.32 q0, [%[sums]]\n"
                   : [at] "+&l"(at), [row] "+&r"(row), [rows] "+&r"(rows)
                   : [columns] "h"(w->columns), [next_row] "h"(w->next_row),
                     [next_column] "h"(w->next_column), [channels] "h"(channels), [sums] "r"(sums)
                   : "q0", "q1", "lr", MCUQ_MVE_VPR, "cc", "memory");
}

/** The sums of 8 channels: 6 instructions a tap. */
static void add_taps_8(const window *w, const int16_t *row, int32_t *sums)
{
    const int16_t *at = row;
    int32_t rows = w->rows;
    __asm volatile("vmov.i32 q0, #0\n vmov.i32 q1, #0\n"
                   "1: dls lr, %[columns]\n"
                   "2: vldrh.s32 q2, [%[at]]\n vadd.i32 q0, q0, q2\n"
                   "vldrh.s32 q3, [%[at], #8]\n vadd.i32 q1, q1, q3\n"
                   "add %[at], %[at], %[next_column], lsl #1\n le lr, 2b\n"
                   "add %[row], %[row], %[next_row], lsl #1\n mov %[at], %[row]\n"
                   "subs %[rows], #1\n bne 1b\n"
                   "vstrw.32 q0, [%[sums]]\n vstrw.32 q1, [%[sums], #16]\n"
                   : [at] "+&l"(at), [row] "+&r"(row), [rows] "+&r"(rows)
                   : [columns] "h"(w->columns), [next_row] "h"(w->next_row),
                     [next_column] "h"(w->next_column), [sums] "r"(sums)
                   : "q0", "q1", "q2", "q3", "lr", "cc", "memory");
}

static void add_taps(const window *w, const int16_t *row, int32_t channels, int32_t *sums)
{
    if (channels == LANES) {
        add_taps_8(w, row, sums);
        return;
    }
    add_taps_4(w, row, channels, sums);
    if (channels > 4) {
        add_taps_4(w, row + 4, channels - 4, sums + 4);
    }
}

/** As mean, for up to 8 sums and a divisor that is a power of two: 4 at a time. */
static void shifted_means(const window *w, const int32_t *sums, int32_t count, int16_t *out)
{
    for (int32_t left = count; left > 0; left -= 4) {
        __asm volatile("vctp.32 %[left]\n vldrw.u32 q0, [%[sums]], #16\n"
                       "vmul.i32 q0, q0, %[twice]\n vadd.i32 q0, q0, %[bias]\n"
                       "vshl.s32 q0, %[shift]\n vadd.i32 q0, q0, %[zero]\n"
                       "vdup.32 q1, %[low]\n vmax.s32 q0, q0, q1\n"
                       "vdup.32 q1, %[high]\n vmin.s32 q0, q0, q1\n"
                       "vpst\n vstrht.32 q0, [%[out]]\n"
                       : [sums] "+&l"(sums)
                       : [left] "r"(left), [twice] "r"(w->twice), [bias] "r"(w->bias),
                         [shift] "r"(w->minus_shift), [zero] "h"(w->zero), [low] "h"(w->low),
                         [high] "h"(w->high), [out] "l"(out)
                       : "q0", "q1", MCUQ_MVE_VPR, "memory");
        out += 4;
    }
}

#endif

#include "mcuq_avg_pool2d_mve_body.h"

void mcuq_avg_pool2d_s16_mve(const mcuq_avg_pool2d_s16_params *p, const void *in, void *out)
{
    run_avg_pool2d(p, in, out);
}
