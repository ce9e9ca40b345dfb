#include "mcuq_int16.h"

#define MCUQ_KERNEL mcuq_avg_pool2d_s16
typedef mcuq_avg_pool2d_s16_params params;
typedef int16_t element;
typedef void data;
#include "mcuq_avg_pool2d_body.h"
