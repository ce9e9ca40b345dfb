/* esp_timer.h: microseconds of an emulated board. */
#ifndef ESP_TIMER_H
#define ESP_TIMER_H

#include <stdint.h>
#include "bare.h"

static inline int64_t esp_timer_get_time(void)
{
    return bare_micros();
}

#endif
