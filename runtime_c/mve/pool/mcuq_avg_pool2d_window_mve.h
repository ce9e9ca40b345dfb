/* mcuq_avg_pool2d_window_mve.h: the window of a mean, for kernels with Helium. */
#ifndef MCUQ_AVG_POOL2D_WINDOW_MVE_H
#define MCUQ_AVG_POOL2D_WINDOW_MVE_H

#include <stdint.h>

/** The taps of one window that lie inside the input, and what turns their sum into the mean. */
typedef struct {
    int32_t rows, columns, next_row, next_column;
    int32_t twice; /* 2 * 2^left */
    int32_t bias;  /* den - taps inside * zero_x * twice */
    int32_t twice_den;
    int32_t minus_shift; /* minus the logarithm of twice_den, or 0 if it is no power of two */
    int32_t zero, low, high;
} window;

#endif
