/* mcuq_desk_gdb.c: the debugger has a breakpoint at mcuq_desk_stop, reads its arguments, and goes
 * on behind the call. */
#include "mcuq_desk.h"

__attribute__((noinline)) void mcuq_desk_stop(int32_t step, const void *data, uint32_t bytes)
{
    __asm__ volatile("" ::"r"(step), "r"(data), "r"(bytes) : "memory");
}
