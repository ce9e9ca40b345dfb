/* mcuq_port_cmsdk_uart.c: the serial line of Arm's MPS2 boards AN385, AN386 and AN500 (CMSDK APB
 * UART), as QEMU has it, too. To port another board, copy this file and write its three functions.
 */
#include "mcuq_desk.h"

#define UART 0x40004000U
#define REGISTER(offset) (*(volatile uint32_t *)(uintptr_t)(UART + (offset)))
#define DATA REGISTER(0x00U)
#define STATE REGISTER(0x04U) /* bit 0: full to send, bit 1: a byte has come */
#define CTRL REGISTER(0x08U)
#define BAUDDIV REGISTER(0x10U)

void mcuq_board_init(void)
{
    BAUDDIV = 25000000U / 115200U;
    CTRL = 3; /* send and receive */
}

uint8_t mcuq_board_get(void)
{
    while ((STATE & 2U) == 0) {
    }
    return (uint8_t)DATA;
}

void mcuq_board_put(uint8_t byte)
{
    while ((STATE & 1U) != 0) {
    }
    DATA = byte;
}
