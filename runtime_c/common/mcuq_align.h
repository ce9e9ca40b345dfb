/* mcuq_align.h: alignment of constants that kernels load in words or vectors. */
#ifndef MCUQ_ALIGN_H
#define MCUQ_ALIGN_H

#if defined(__GNUC__) || defined(__clang__)
#define MCUQ_ALIGN(bytes) __attribute__((aligned(bytes)))
#else
#error "Define MCUQ_ALIGN for this compiler: it must align an object to the given bytes."
#endif

#endif
