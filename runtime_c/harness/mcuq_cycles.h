/* mcuq_cycles.h: a counter of the core's cycles, for test images on boards.
 *
 * Cortex-M3 and up: CYCCNT of the DWT (Armv7-M Architecture Reference Manual, C1.8), which stands
 * still while a debugger holds the core. Where it does not count: SysTick, and an interrupt for
 * what is above its 24 bits. RISC-V: mcycle. A core with none of them counts zeros.
 */
#ifndef MCUQ_CYCLES_H
#define MCUQ_CYCLES_H

#include <stdint.h>

#if defined(__riscv)

static inline void mcuq_cycles_start(void)
{
}

static inline uint32_t mcuq_cycles_now(void)
{
    uint32_t value;
    __asm__ volatile(".option push\n\t"
                     ".option arch, +zicsr\n\t"
                     "csrr %0, mcycle\n\t"
                     ".option pop"
                     : "=r"(value)
                     :
                     : "memory");
    return value;
}

#else

#define MCUQ_REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define MCUQ_DEMCR MCUQ_REGISTER(0xE000EDFCU)
#define MCUQ_DWT_CTRL MCUQ_REGISTER(0xE0001000U)
#define MCUQ_DWT_CYCCNT MCUQ_REGISTER(0xE0001004U)
#define MCUQ_DWT_LAR MCUQ_REGISTER(0xE0001FB0U)
#define MCUQ_SYST_CSR MCUQ_REGISTER(0xE000E010U)
#define MCUQ_SYST_RVR MCUQ_REGISTER(0xE000E014U)
#define MCUQ_SYST_CVR MCUQ_REGISTER(0xE000E018U)

enum { MCUQ_SYST_TOP = 0xFFFFFF };

static volatile uint32_t mcuq_systick_wraps;
static volatile uint32_t mcuq_has_cyccnt;

void mcuq_systick(void);
void mcuq_systick(void)
{
    mcuq_systick_wraps++;
}

static inline uint32_t mcuq_cycles_now(void)
{
    if (mcuq_has_cyccnt) {
        return MCUQ_DWT_CYCCNT;
    }
    uint32_t wraps;
    uint32_t left;
    do {
        wraps = mcuq_systick_wraps;
        left = MCUQ_SYST_CVR;
        __asm__ volatile("isb" ::: "memory");
    } while (wraps != mcuq_systick_wraps);
    return (wraps << 24) + (MCUQ_SYST_TOP - left);
}

static inline void mcuq_cycles_start(void)
{
#if __ARM_ARCH >= 7 && !defined(__ARM_ARCH_8M_BASE__) /* software of the others has no DWT */
    MCUQ_DEMCR |= 1U << 24;     /* TRCENA */
    MCUQ_DWT_LAR = 0xC5ACCE55U; /* Cortex-M7 locks its DWT */
    MCUQ_DWT_CTRL |= 1U;        /* CYCCNTENA */
    const uint32_t before = MCUQ_DWT_CYCCNT;
    __asm__ volatile("nop\n\tnop\n\tnop\n\tisb" ::: "memory");
    mcuq_has_cyccnt = MCUQ_DWT_CYCCNT != before;
#endif
    if (!mcuq_has_cyccnt) {
        MCUQ_SYST_RVR = MCUQ_SYST_TOP;
        MCUQ_SYST_CVR = 0;
        MCUQ_SYST_CSR = 7; /* on, with its interrupt, from the core's clock */
        __asm__ volatile("cpsie i" ::: "memory");
    }
}

#endif
#endif
