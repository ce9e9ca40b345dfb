/* mcuq_weights.h: how code whose weights lie apart reads them.
 *
 * A program may define MCUQ_WEIGHTS_READ(blob, offset, bytes), in the header that MCUQ_CONFIG
 * names, where the blob is not in memory that the core addresses: it brings these bytes into a
 * buffer in RAM, at a multiple of 16 bytes, and is their address as a const uint8_t *. Until the
 * next call nobody asks for what a call brought; `bytes` is at most <MODEL>_WEIGHTS_STEP_LEN.
 */
#ifndef MCUQ_WEIGHTS_H
#define MCUQ_WEIGHTS_H

#include "mcuq_target.h"

#if !defined(MCUQ_WEIGHTS_READ)
#define MCUQ_WEIGHTS_READ(blob, offset, bytes) ((const uint8_t *)(blob) + (offset))
#endif

#endif
