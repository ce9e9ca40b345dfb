#include "mcuq_conv2d.h"

#define MCUQ_KERNEL mcuq_depthwise_conv2d_s8
typedef mcuq_conv2d_params params;
typedef int8_t element;
typedef int8_t data;
#include "mcuq_depthwise_conv2d_body.h"
