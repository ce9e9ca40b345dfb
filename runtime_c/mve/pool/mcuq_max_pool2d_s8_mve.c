#include "mcuq_pool2d_mve.h"

typedef int8_t element;

#if defined(__ARM_FEATURE_MVE)
/** The largest of rows x columns taps of up to 16 channels: 5 instructions a tap. */
static void largest(const int8_t *row, int32_t rows, int32_t columns, int32_t next_row,
                    int32_t next_column, int32_t channels, int8_t *out)
{
    const int8_t *at = row;
    __asm volatile("vmov.i8 q0, #128\n vctp.8 %[channels]\n"
                   "1: dls lr, %[columns]\n"
                   "2: vpst\n vldrbt.u8 q1, [%[at]]\n vmax.s8 q0, q0, q1\n"
                   "add %[at], %[next_column]\n le lr, 2b\n"
                   "add %[row], %[next_row]\n mov %[at], %[row]\n subs %[rows], #1\n bne 1b\n"
                   "vpst\n vstrbt.8 q0, [%[out]]\n"
                   : [at] "+&r"(at), [row] "+&r"(row), [rows] "+&r"(rows)
                   : [columns] "h"(columns), [next_row] "h"(next_row),
                     [next_column] "h"(next_column), [channels] "h"(channels), [out] "r"(out)
                   : "q0", "q1", "lr", MCUQ_MVE_VPR, "cc", "memory");
}
#endif

#include "mcuq_max_pool2d_mve_body.h"

void mcuq_max_pool2d_s8_mve(const mcuq_max_pool2d_params *p, const int8_t *in, int8_t *out)
{
    run_max_pool2d(p, in, out);
}
