/* device.h: the few names of CMSIS-Core that the template uses. */
#ifndef DEVICE_H
#define DEVICE_H

#include <stdint.h>

typedef struct {
    volatile uint32_t CTRL, LOAD, VAL, CALIB;
} SysTick_Type;

#define SysTick ((SysTick_Type *)0xE000E010)

extern uint32_t SystemCoreClock;
void SystemCoreClockUpdate(void);
uint32_t SysTick_Config(uint32_t ticks);
void SysTick_Handler(void);

#endif
