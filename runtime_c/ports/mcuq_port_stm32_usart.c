/* mcuq_port_stm32_usart.c: USART2 of STM32F2 and F4 on PA2 and PA3, which is the debugger's serial
 * port of Nucleo-64 boards (ST reference manuals RM0033 and RM0390), at 115200 baud from the 16 MHz
 * of the clock after reset. In QEMU: netduino2, netduinoplus2.
 */
#include "mcuq_desk.h"

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define RCC_AHB1ENR REGISTER(0x40023830U)
#define RCC_APB1ENR REGISTER(0x40023840U)
#define GPIOA_MODER REGISTER(0x40020000U)
#define GPIOA_AFRL REGISTER(0x40020020U)
#define USART_SR REGISTER(0x40004400U) /* bit 5: a byte has come, bit 7: free to send */
#define USART_DR REGISTER(0x40004404U)
#define USART_BRR REGISTER(0x40004408U)
#define USART_CR1 REGISTER(0x4000440CU)

void mcuq_board_init(void)
{
    RCC_AHB1ENR |= 1U;
    RCC_APB1ENR |= 1U << 17;
    GPIOA_MODER = (GPIOA_MODER & ~0xF0U) | 0xA0U;   /* PA2, PA3: alternate function */
    GPIOA_AFRL = (GPIOA_AFRL & ~0xFF00U) | 0x7700U; /* number 7 */
    USART_BRR = 139;                                /* 16 MHz / 115200 */
    USART_CR1 = 0x200CU;                            /* on, send, receive */
}

uint8_t mcuq_board_get(void)
{
    while ((USART_SR & 0x20U) == 0) {
    }
    return (uint8_t)USART_DR;
}

void mcuq_board_put(uint8_t byte)
{
    while ((USART_SR & 0x80U) == 0) {
    }
    USART_DR = byte;
}
