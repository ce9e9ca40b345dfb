/* device.c: an mps2 board's clock of 25 MHz. */
#include "device.h"

uint32_t SystemCoreClock;

/* The name that the startup file's vector has. */
void mcuq_systick(void);
void mcuq_systick(void)
{
    SysTick_Handler();
}

void SystemCoreClockUpdate(void)
{
    SystemCoreClock = 25000000;
}

uint32_t SysTick_Config(uint32_t ticks)
{
    SysTick->LOAD = ticks - 1U;
    SysTick->VAL = 0;
    SysTick->CTRL = 7U;
    __asm__ volatile("cpsie i");
    return 0;
}
