#include "mcuq_pool2d.h"

#define MCUQ_KERNEL mcuq_max_pool2d_s8
typedef mcuq_max_pool2d_params params;
typedef int8_t element;
typedef int8_t data;
#include "mcuq_max_pool2d_body.h"
