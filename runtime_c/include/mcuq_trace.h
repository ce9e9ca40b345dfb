/* mcuq_trace.h: hooks before and after every step, empty unless a program defines them.
 *
 * Built with -DMCUQ_TRACE, the test harness supplies mcuq_trace() and compares every tensor.
 */
#ifndef MCUQ_TRACE_H
#define MCUQ_TRACE_H

#include <stdint.h>
#include "mcuq_target.h"

/* A program's own, for a watchdog, a profiler or a scheduler: step is a constant, from 0, the index
 * in report.json. The arena is the model's between the two of any step, and of two steps. */
#if !defined(MCUQ_STEP_HOOK)
#define MCUQ_STEP_HOOK(step) ((void)0)
#endif
#if !defined(MCUQ_STEP_DONE)
#define MCUQ_STEP_DONE(step) ((void)0)
#endif

#ifdef MCUQ_TRACE
void mcuq_trace(int step, const void *data, uint32_t bytes);
#define MCUQ_TRACE_STEP(step, data, bytes) mcuq_trace((step), (data), (bytes))
#else
#define MCUQ_TRACE_STEP(step, data, bytes) ((void)0)
#endif

#endif
