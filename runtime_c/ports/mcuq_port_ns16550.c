/* mcuq_port_ns16550.c: the serial line of QEMU's RISC-V machine virt (16550), which needs no
 * setting up there: a board's own has its divisor latch.
 */
#include "mcuq_desk.h"

#define UART ((volatile uint8_t *)0x10000000U)
#define DATA UART[0]
#define LINE_STATUS UART[5] /* bit 0: a byte has come, bit 5: free to send */

uint8_t mcuq_board_get(void)
{
    while ((LINE_STATUS & 1U) == 0) {
    }
    return DATA;
}

void mcuq_board_put(uint8_t byte)
{
    while ((LINE_STATUS & 0x20U) == 0) {
    }
    DATA = byte;
}
