#include "mcuq_int16.h"

#define MCUQ_KERNEL mcuq_conv2d_s16
typedef mcuq_conv2d_s16_params params;
typedef int16_t element;
typedef void data;
#include "mcuq_conv2d_body.h"
