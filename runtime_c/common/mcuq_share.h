/* mcuq_share.h: the share of a part in 256ths, rounded. */
#ifndef MCUQ_SHARE_H
#define MCUQ_SHARE_H

#include <stdint.h>

#include "mcuq_target.h"

/* floor((part * 256 + whole / 2) / whole), for part <= whole < 2^31. */
#if defined(__thumb__) && !defined(__thumb2__)

/* One bit of the quotient: carry is set where part >= whole. */
#define DIVIDE                                                                                     \
    "cmp %[part], %[whole]\n\t"                                                                    \
    "bcc 1f\n\t"                                                                                   \
    "subs %[part], %[part], %[whole]\n"                                                            \
    "1:\tadcs %[share], %[share], %[share]\n\t"                                                    \
    "adds %[part], %[part], %[part]\n\t"

/* Armv6-M would divide 32 bits in a library; this gives 9, with 5 instructions each. */
static inline uint32_t mcuq_share(uint32_t part, uint32_t whole)
{
    uint32_t share = 0;
    __asm__(".syntax unified\n\t" DIVIDE DIVIDE DIVIDE DIVIDE DIVIDE DIVIDE DIVIDE DIVIDE DIVIDE
            : [part] "+&l"(part), [share] "+&l"(share)
            : [whole] "l"(whole)
            : "cc");
    return share + (part / 2u + whole / 2u >= whole);
}

#else

static inline uint32_t mcuq_share(uint32_t part, uint32_t whole)
{
    return (part * 256u + whole / 2u) / whole;
}

#endif

/** The share as int8 with zero -128: 256 of 256 is 127. */
static inline int8_t mcuq_share_s8(uint32_t part, uint32_t whole)
{
    const uint32_t share = mcuq_share(part, whole);
    return (int8_t)((int32_t)(share > 255u ? 255u : share) - 128);
}

#endif
