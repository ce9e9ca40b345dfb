/* mcuq_target.h: what the kernels ask of a target, its compiler and its flags; every kernel
 * includes it. What would give wrong numbers without a word stops the build here.
 */
#ifndef MCUQ_TARGET_H
#define MCUQ_TARGET_H

#include <stdint.h>

/* A header of the program's own, for the macros that stand in mcuq_target.h and mcuq_trace.h:
 * -DMCUQ_CONFIG='"my_config.h"' for all files. */
#if defined(MCUQ_CONFIG)
#include MCUQ_CONFIG
#endif

/* Where weights, and where the code of the kernels lie: attributes, such as
 * __attribute__((section(".qspi"))), that the linker script knows. */
#if !defined(MCUQ_FLASH)
#define MCUQ_FLASH
#endif
#if !defined(MCUQ_FAST_CODE)
#define MCUQ_FAST_CODE
#endif

/* A debug build, and a folder of sources in an IDE, have one level for all files: without
 * optimization a kernel takes up to 100 times its instructions. gcc takes the level from here,
 * where there is none; with one, this changes nothing. */
#if !defined(__OPTIMIZE__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O2")
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "mcuq: weights are packed for little-endian targets. Build without -mbig-endian."
#endif

/* A static base in r9 has to hold for interrupts, too, while kernels use all registers. Compilers
 * do not tell -fpic from -fpic -msingle-pic-base. */
#if defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
#if defined(__ARM_RWPI) || defined(__FDPIC__)
#error "mcuq: kernels use r9. Build without -frwpi and -mfdpic."
#elif defined(__PIC__) && !defined(MCUQ_R9_IS_FREE)
#error "mcuq: kernels use r9. Build without -fpic, or define MCUQ_R9_IS_FREE if r9 is no PIC base."
#endif
#endif

/* Armv7-M and up load and store words at any address, unless told not to: by -mno-unaligned-access,
 * for UNALIGN_TRP or for Device memory. Kernels whose assembly does so then give way to their twins
 * in C. (clang says so of arm-none-eabi too: there it takes -munaligned-access.) */
#if defined(__ARM_FEATURE_UNALIGNED)
#define MCUQ_UNALIGNED 1
#else
#define MCUQ_UNALIGNED 0
#endif

#if defined(__has_attribute)
#define MCUQ_HAS_ATTRIBUTE(name) __has_attribute(name)
#else
#define MCUQ_HAS_ATTRIBUTE(name) 0
#endif
#if MCUQ_HAS_ATTRIBUTE(no_stack_protector)
#define MCUQ_NO_STACK_PROTECTOR , no_stack_protector
#elif defined(__SSP_ALL__)
#error                                                                                             \
    "mcuq: this compiler guards functions that are all assembly. Build without -fstack-protector-all."
#else
#define MCUQ_NO_STACK_PROTECTOR
#endif
#if MCUQ_HAS_ATTRIBUTE(no_profile_instrument_function)
#define MCUQ_NO_PROFILE , no_profile_instrument_function
#else
#define MCUQ_NO_PROFILE
#endif
#if MCUQ_HAS_ATTRIBUTE(no_sanitize_coverage)
#define MCUQ_NO_COVERAGE , no_sanitize_coverage
#else
#define MCUQ_NO_COVERAGE
#endif

/** A function that is all assembly: it finds its arguments in r0-r3, and nothing may be put before
 *  it, neither by -finstrument-functions and -pg, nor by --coverage or a stack protector. */
#define MCUQ_NAKED                                                                                 \
    __attribute__((                                                                                \
        naked, noinline,                                                                           \
        no_instrument_function MCUQ_NO_STACK_PROTECTOR MCUQ_NO_PROFILE MCUQ_NO_COVERAGE))
#define MCUQ_NAKED_ARGUMENT __attribute__((unused))

/** Assembly: `bytes` of code lie between two labels above, as computed jumps take them to. Where it
 *  is more, the first .org would go back, where it is less, the second one: the build stops. */
#define MCUQ_CODE_BYTES(from, to, bytes)                                                           \
    ".org " from "b + (" bytes ")\n.org " to "b + (" to "b - " from "b) - (" bytes ")\n"

/** The predicates of Helium (VPR) as a clobber; clang has no name for them and keeps nothing there
 *  across assembly. */
#if defined(__clang__)
#define MCUQ_MVE_VPR "cc"
#elif __GNUC__ < 12
#define MCUQ_MVE_VPR "vpr"
#else
#define MCUQ_MVE_VPR "p0"
#endif

/** A program that defines MCUQ_ASSERT(condition), an assert of its own, has the alignment of all
 *  buffers checked at each run. */
#if defined(MCUQ_ASSERT)
#define MCUQ_ASSERT_ALIGNED(pointer, bytes)                                                        \
    MCUQ_ASSERT(((uintptr_t)(const void *)(pointer) & ((uintptr_t)(bytes)-1U)) == 0)
#else
#define MCUQ_ASSERT_ALIGNED(pointer, bytes) ((void)0)
#endif

#endif
