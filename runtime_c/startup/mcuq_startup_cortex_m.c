/* mcuq_startup_cortex_m.c: vector table, reset and faults of Armv6-M, v7-M and v8-M cores. */
#include "mcuq_startup.h"
#include "mcuq_semihost.h"

extern uint32_t mcuq_stack_top[];

void mcuq_reset(void);
void mcuq_hard_fault(void);
void mcuq_unexpected(void);
void mcuq_systick(void) __attribute__((weak, alias("mcuq_unexpected")));

/* In assembly, because the compiler may use the FPU or MVE anywhere as soon as it is allowed to.
 * A debugger may start here behind another program: no interrupts, and VTOR (0xE000ED08, on cores
 * that have it) at our own vectors.
 * CPACR (0xE000ED88): coprocessors 10 and 11 on. CCR (0xE000ED14) bit 19: low-overhead loops. */
__attribute__((naked, noreturn)) void mcuq_reset(void)
{
    __asm__ volatile("cpsid i\n\t"
                     "ldr r0, =0xE000ED08\n\t"
                     "ldr r1, =mcuq_vectors\n\t"
                     "str r1, [r0]");
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    __asm__ volatile("ldr r0, =0xE000ED88\n\t"
                     "ldr r1, [r0]\n\t"
                     "orr r1, r1, #0x00F00000\n\t"
                     "str r1, [r0]\n\t"
                     "dsb\n\t"
                     "isb");
#endif
#if defined(__ARM_FEATURE_MVE)
    __asm__ volatile("ldr r0, =0xE000ED14\n\t"
                     "ldr r1, [r0]\n\t"
                     "orr r1, r1, #0x00080000\n\t"
                     "str r1, [r0]\n\t"
                     "dsb\n\t"
                     "isb");
#endif
    __asm__ volatile("bl mcuq_start");
}

/* Nobody listens to BKPT 0xAB (0xBEAB): it becomes a hard fault. Step over it, answer -1 in the
 * stacked r0, and remember. Anything else is a real fault. Only the main stack is in use. */
__attribute__((naked)) void mcuq_hard_fault(void)
{
    __asm__ volatile(".syntax unified\n\t"
                     "mrs r0, msp\n\t"
                     "ldr r1, [r0, #24]\n\t" /* the stacked program counter */
                     "ldrh r2, [r1]\n\t"
                     "ldr r3, =0xBEAB\n\t"
                     "cmp r2, r3\n\t"
                     "bne 1f\n\t"
                     "adds r1, r1, #2\n\t"
                     "str r1, [r0, #24]\n\t"
                     "movs r1, #0\n\t"
                     "ldr r2, =mcuq_semihost_present\n\t"
                     "str r1, [r2]\n\t"
                     "mvns r1, r1\n\t"
                     "str r1, [r0]\n\t"
                     "bx lr\n"
                     "1:\tmovs r0, r1\n\t"
                     "ldr r1, =mcuq_fault\n\t"
                     "bx r1\n\t"
                     ".ltorg");
}

void mcuq_unexpected(void)
{
    mcuq_fault(0);
}

/* The 16 system vectors; of interrupts, a test image enables none but SysTick. */
extern void (*const mcuq_vectors[16])(void);
__attribute__((section(".vectors"), used)) void (*const mcuq_vectors[16])(void) = {
    (void (*)(void))mcuq_stack_top,
    mcuq_reset,
    mcuq_unexpected,
    mcuq_hard_fault,
    mcuq_unexpected,
    mcuq_unexpected,
    mcuq_unexpected,
    mcuq_unexpected,
    mcuq_unexpected,
    mcuq_unexpected,
    mcuq_unexpected,
    mcuq_unexpected,
    mcuq_unexpected,
    mcuq_unexpected,
    mcuq_unexpected,
    mcuq_systick,
};
