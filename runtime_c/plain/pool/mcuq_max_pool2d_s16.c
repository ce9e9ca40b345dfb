#include "mcuq_int16.h"

#define MCUQ_KERNEL mcuq_max_pool2d_s16
typedef mcuq_max_pool2d_params params;
typedef int16_t element;
typedef void data;
#include "mcuq_max_pool2d_body.h"
