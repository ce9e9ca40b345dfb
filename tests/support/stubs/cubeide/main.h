/* main.h: what CubeMX would write, and the few names of HAL that the example uses. */
#ifndef MAIN_H
#define MAIN_H

#include "device.h"

uint32_t HAL_GetTick(void);

#endif
