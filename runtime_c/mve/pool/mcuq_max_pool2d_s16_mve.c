#include "mcuq_int16_mve.h"

typedef int16_t element;

#if defined(__ARM_FEATURE_MVE)
/** The largest of rows x columns taps of up to 8 channels: 5 instructions a tap. */
static void largest(const int16_t *row, int32_t rows, int32_t columns, int32_t next_row,
                    int32_t next_column, int32_t channels, int16_t *out)
{
    const int16_t *at = row;
    __asm volatile(
        "vmov.i16 q0, #0x8000\n vctp.16 %[channels]\n"
        "1: dls lr, %[columns]\n"
        "2: vpst\n vldrht.u16 q1, [%[at]]\n vmax.s16 q0, q0, q1\n"
        "add %[at], %[at], %[next_column], lsl #1\n le lr, 2b\n"
        "add %[row], %[row], %[next_row], lsl #1\n mov %[at], %[row]\n subs %[rows], #1\n bne 1b\n"
        "vpst\n vstrht.16 q0, [%[out]]\n"
        : [at] "+&r"(at), [row] "+&r"(row), [rows] "+&r"(rows)
        : [columns] "h"(columns), [next_row] "h"(next_row), [next_column] "h"(next_column),
          [channels] "h"(channels), [out] "r"(out)
        : "q0", "q1", "lr", MCUQ_MVE_VPR, "cc", "memory");
}
#endif

#include "mcuq_max_pool2d_mve_body.h"

void mcuq_max_pool2d_s16_mve(const mcuq_max_pool2d_params *p, const void *in, void *out)
{
    run_max_pool2d(p, in, out);
}
