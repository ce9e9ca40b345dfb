/* main.c: a project's main function, with the call that README.md says. */
#include "main.h"
#include "digits_example.h"

static volatile uint32_t tick;

void SysTick_Handler(void)
{
    tick++;
}

uint32_t HAL_GetTick(void)
{
    return tick;
}

int main(void)
{
    SystemCoreClockUpdate();
    (void)SysTick_Config(SystemCoreClock / 1000U);
    return digits_example();
}
