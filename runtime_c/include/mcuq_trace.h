/* mcuq_trace.h: a hook after every step, empty in firmware.
 *
 * Built with -DMCUQ_TRACE, the test harness supplies mcuq_trace() and compares every tensor.
 */
#ifndef MCUQ_TRACE_H
#define MCUQ_TRACE_H

#include <stdint.h>

#ifdef MCUQ_TRACE
void mcuq_trace(int step, const void *data, uint32_t bytes);
#define MCUQ_TRACE_STEP(step, data, bytes) mcuq_trace((step), (data), (bytes))
#else
#define MCUQ_TRACE_STEP(step, data, bytes) ((void)0)
#endif

#endif
