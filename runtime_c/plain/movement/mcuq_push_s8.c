#include "mcuq_copy.h"

#include "mcuq_runs.h"

#if defined(__thumb2__) && defined(__OPTIMIZE__) && MCUQ_UNALIGNED
/* turns times 32 bytes at addresses that are multiples of 4; returns what follows in to. */
static int8_t *move(int8_t *to, const int8_t *from, int32_t turns)
{
    __asm volatile("1: ldmia %[from]!, {r3-r6, r8, r10-r12}\n"
                   "stmia %[to]!, {r3-r6, r8, r10-r12}\n"
                   "subs %[turns], #1\n bne 1b\n"
                   : [to] "+&r"(to), [from] "+&r"(from), [turns] "+&r"(turns)
                   :
                   : "r3", "r4", "r5", "r6", "r8", "r10", "r11", "r12", "cc", "memory");
    return to;
}
#else
static int8_t *move(int8_t *to, const int8_t *from, int32_t turns)
{
    for (; turns > 0; turns--, from += 32, to += 32) {
        for (int32_t i = 0; i < 32; i += 4) {
            mcuq_put_word(to + i, mcuq_word(from + i));
        }
    }
    return to;
}
#endif

/** length bytes; to lies before from, or apart from it. */
static int8_t *forward(int8_t *to, const int8_t *from, int32_t length)
{
    int32_t rest = length;
    if ((((uintptr_t)to | (uintptr_t)from) & 3u) == 0) {
        if (rest >= 32) {
            to = move(to, from, rest >> 5);
            from += rest & ~31;
            rest &= 31;
        }
        for (; rest >= 4; rest -= 4, from += 4, to += 4) {
            mcuq_put_word(to, mcuq_word(from));
        }
    }
    for (; rest > 0; rest--) {
        *to++ = *from++;
    }
    return to;
}

void mcuq_push_s8(const mcuq_push_params *p, const int8_t *kept, const int8_t *in, int8_t *out)
{
    const int32_t fresh = p->fresh, left = p->kept - fresh;

    for (int32_t block = p->blocks; block > 0; block--, kept += p->kept, in += fresh) {
        out = forward(out, kept + fresh, left);
        out = forward(out, in, fresh);
    }
}
