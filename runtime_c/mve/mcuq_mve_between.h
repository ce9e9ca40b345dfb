/* mcuq_mve_between.h: values on lines between the entries of a table of int16, with Helium. */
#ifndef MCUQ_MVE_BETWEEN_H
#define MCUQ_MVE_BETWEEN_H

#include "mcuq_target.h"

/** Of eight places in q0, 128 * k + r, the values table[k] * (128 - r) + table[k + 1] * r, rounded
 *  to 1 / 128, to q0: 14 instructions. %[table] and %[next] point to entries 0 and 1; q6 holds 127
 *  and q7 128 in each half. */
#define MCUQ_MVE_BETWEEN                                                                           \
    "vshr.u16 q1, q0, #7\n vand q0, q0, q6\n"                                                      \
    "vldrh.u16 q2, [%[table], q1, uxtw #1]\n vldrh.u16 q3, [%[next], q1, uxtw #1]\n"               \
    "vsub.i16 q1, q7, q0\n vmullb.s16 q4, q2, q1\n vmullt.s16 q2, q2, q1\n"                        \
    "vmullb.s16 q1, q3, q0\n vmullt.s16 q3, q3, q0\n"                                              \
    "vadd.i32 q4, q4, q1\n vadd.i32 q2, q2, q3\n"                                                  \
    "vrshrnb.i32 q0, q4, #7\n vrshrnt.i32 q0, q2, #7\n"

#endif
