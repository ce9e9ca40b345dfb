/* mcuq_startup.c: the part of startup that all architectures share. The reset code has set the
 * stack pointer and enabled the core's units; the symbols come from the linker script.
 */
#include "mcuq_startup.h"
#include "mcuq_semihost.h"

#define STACK_PAINT 0xC5C5C5C5U

extern uint32_t mcuq_data_start[], mcuq_data_end[], mcuq_data_load[];
extern uint32_t mcuq_bss_start[], mcuq_bss_end[];
extern uint32_t mcuq_stack_limit[], mcuq_stack_top[];

/* Below the frame of the caller nothing is live yet; 128 bytes are left for this function. */
static void paint_stack(void)
{
    uint32_t *const end = (uint32_t *)__builtin_frame_address(0) - 32;
    for (uint32_t *word = mcuq_stack_limit; word < end; word++) {
        *(volatile uint32_t *)word = STACK_PAINT;
    }
}

uint32_t mcuq_stack_used(void)
{
    const volatile uint32_t *word = mcuq_stack_limit;
    while (word < mcuq_stack_top && *word == STACK_PAINT) {
        word++;
    }
    return (uint32_t)((uintptr_t)mcuq_stack_top - (uintptr_t)word);
}

void mcuq_start(void)
{
    const uint32_t *load = mcuq_data_load;
    for (uint32_t *word = mcuq_data_start; word < mcuq_data_end; word++) {
        *word = *load++;
    }
    for (uint32_t *word = mcuq_bss_start; word < mcuq_bss_end; word++) {
        *word = 0;
    }
    paint_stack();
    mcuq_semihost_probe();
    mcuq_semihost_exit(main());
}

void mcuq_fault(uint32_t address)
{
    static const char digits[] = "0123456789abcdef";
    char text[] = "fault at 0x00000000\n";
    for (int i = 0; i < 8; i++) {
        text[18 - i] = digits[(address >> (4 * i)) & 15U];
    }
    mcuq_semihost_write0(text);
    mcuq_semihost_exit(MCUQ_EXIT_FAULT);
}
