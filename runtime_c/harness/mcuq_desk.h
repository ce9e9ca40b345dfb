/* mcuq_desk.h: a model on a real board, run and read by a computer. Test code, never part of a
 * model. The board stops before the first inference, behind each step and behind each inference;
 * there the computer writes inputs and reads tensors, through a debugger (mcuq_desk_gdb.c) or a
 * serial line (mcuq_desk_serial.c).
 */
#ifndef MCUQ_DESK_H
#define MCUQ_DESK_H

#include <stdint.h>

#include "mcuq_harness.h"

enum { MCUQ_DESK_READY = -1 }; /* between two inferences, instead of a step */

/** Which model the image holds: a digest of its C, and its buffers. */
typedef struct {
    uint8_t identity[16];
    const mcuq_buffer *inputs;
    uint32_t input_count;
    uint32_t step_count;
} mcuq_desk_model;

extern const mcuq_desk_model mcuq_desk_about;

/** Set by the computer: the next inference is timed, and steps are not stopped at. */
extern volatile uint32_t mcuq_desk_quiet;

/** MCUQ_EXIT_PASS, or what the compiler of this image does otherwise (mcuq_self_check). */
extern volatile uint32_t mcuq_desk_status;

/** The cycles of each step of the last inference; all zeros on a core without a counter. */
extern volatile uint32_t mcuq_desk_cycles[];

/** Waits for the computer. step: the one that wrote these bytes, or MCUQ_DESK_READY. */
void mcuq_desk_stop(int32_t step, const void *data, uint32_t bytes);

/** The board's own, if there is one: clocks, flash wait states, caches, the pins of the UART. */
void mcuq_board_init(void);

/** The board's own, of a serial line: wait for a byte and take it, and send one. */
uint8_t mcuq_board_get(void);
void mcuq_board_put(uint8_t byte);

#endif
