/* mcuq_runs.h: three nested loops over bytes, written one after the other, in words where that is
 * allowed. A call of memcpy costs as much as 16 bytes or more: short runs are copied here.
 * Tails are counted from the length: where a loop that takes two at a time leaves one or none
 * behind, gcc 12.2 drops the test for the one at -Os on Cortex-M55. */
#ifndef MCUQ_RUNS_H
#define MCUQ_RUNS_H

#include <stdint.h>
#include <string.h>

#include "mcuq_target.h"

/* Bytes of a run from which on memcpy is faster: not on RISC-V, where that of picolibc takes one
 * byte after the other, so that words go on being copied here. */
#if defined(__riscv)
#define MCUQ_LONG_RUN INT32_MAX
#else
#define MCUQ_LONG_RUN 64
#endif

/** size[2] bytes, stride[2] apart, for each of size[1] rows, for each of size[0] blocks. */
typedef struct {
    const int32_t *size;
    const int32_t *stride;
} mcuq_loops;

/** Whether words may be read and written at all multiples of what is given. */
static inline int mcuq_in_words(const int8_t *to, const int8_t *from, int32_t distances)
{
#if MCUQ_UNALIGNED
    (void)to;
    (void)from;
    (void)distances;
    return 1;
#else
    return (((uintptr_t)to | (uintptr_t)from | (uint32_t)distances) & 3u) == 0;
#endif
}

static inline uint32_t mcuq_word(const int8_t *from)
{
    uint32_t word;
#if MCUQ_UNALIGNED
    memcpy(&word, from, sizeof word);
#else
    memcpy(&word, __builtin_assume_aligned(from, 4), sizeof word);
#endif
    return word;
}

static inline void mcuq_put_word(int8_t *to, uint32_t word)
{
#if MCUQ_UNALIGNED
    memcpy(to, &word, sizeof word);
#else
    memcpy(__builtin_assume_aligned(to, 4), &word, sizeof word);
#endif
}

/** Two rows a block: both at once. eights: their length is a multiple of 8. */
static inline int8_t *mcuq_copy_pairs(int8_t *to, const int8_t *from, mcuq_loops p, int eights)
{
    const int32_t length = p.size[2], step = p.stride[1], next = p.stride[0] - length;

    for (int32_t block = p.size[0]; block > 0; block--, from += next, to += length) {
        for (int32_t left = length >> 3; left > 0; left--, from += 8, to += 8) {
            mcuq_put_word(to, mcuq_word(from));
            mcuq_put_word(to + 4, mcuq_word(from + 4));
            mcuq_put_word(to + length, mcuq_word(from + step));
            mcuq_put_word(to + length + 4, mcuq_word(from + step + 4));
        }
        if (!eights && (length & 4)) {
            mcuq_put_word(to, mcuq_word(from));
            mcuq_put_word(to + length, mcuq_word(from + step));
            from += 4, to += 4;
        }
        for (int32_t left = eights ? 0 : length & 3; left > 0; left--, from++, to++) {
            to[0] = from[0];
            to[length] = from[step];
        }
    }
    return to;
}

/** Short rows. eights: their length is a multiple of 8. */
static inline int8_t *mcuq_copy_rows(int8_t *to, const int8_t *from, mcuq_loops p, int eights)
{
    const int32_t length = p.size[2], next = p.stride[1] - length;

    for (int32_t block = p.size[0]; block > 0; block--, from += p.stride[0]) {
        const int8_t *at = from;
        for (int32_t row = p.size[1]; row > 0; row--, at += next) {
            for (int32_t left = length >> 3; left > 0; left--, at += 8, to += 8) {
                mcuq_put_word(to, mcuq_word(at));
                mcuq_put_word(to + 4, mcuq_word(at + 4));
            }
            if (!eights && (length & 4)) {
                mcuq_put_word(to, mcuq_word(at));
                at += 4, to += 4;
            }
            for (int32_t left = eights ? 0 : length & 3; left > 0; left--) {
                *to++ = *at++;
            }
        }
    }
    return to;
}

/** Rows that are long, or lie at addresses where no word does. */
static inline int8_t *mcuq_copy_bytes(int8_t *to, const int8_t *from, mcuq_loops p)
{
    const int32_t length = p.size[2];

    for (int32_t block = p.size[0]; block > 0; block--, from += p.stride[0]) {
        const int8_t *at = from;
        for (int32_t row = p.size[1]; row > 0; row--, at += p.stride[1], to += length) {
            if (length > 16) {
                memcpy(to, at, (size_t)length);
            } else {
                for (int32_t i = 0; i < length; i++) {
                    to[i] = at[i];
                }
            }
        }
    }
    return to;
}

/** Bytes 0 and 1 of x as bytes 0 and 2. */
static inline uint32_t mcuq_spread(uint32_t x)
{
    return (x | (x << 8)) & 0x00ff00ffu;
}

/** Rows of two bytes that come from two runs: the runs are laced, four bytes of each at a time. */
static inline int8_t *mcuq_copy_laced(int8_t *to, const int8_t *from, mcuq_loops p)
{
    const int32_t apart = p.stride[2];

    for (int32_t block = p.size[0]; block > 0; block--, from += p.stride[0]) {
        const int8_t *at = from;
        for (int32_t left = p.size[1] >> 2; left > 0; left--, at += 4, to += 8) {
            const uint32_t a = mcuq_word(at), b = mcuq_word(at + apart);
            mcuq_put_word(to, mcuq_spread(a & 0xffffu) | (mcuq_spread(b & 0xffffu) << 8));
            mcuq_put_word(to + 4, mcuq_spread(a >> 16) | (mcuq_spread(b >> 16) << 8));
        }
        for (int32_t left = p.size[1] & 3; left > 0; left--, at++, to += 2) {
            to[0] = at[0];
            to[1] = at[apart];
        }
    }
    return to;
}

/** Rows of two bytes. */
static inline int8_t *mcuq_copy_twos(int8_t *to, const int8_t *from, mcuq_loops p)
{
    const int32_t apart = p.stride[2], step = p.stride[1];

    for (int32_t block = p.size[0]; block > 0; block--, from += p.stride[0]) {
        const int8_t *at = from;
        for (int32_t row = p.size[1]; row > 0; row--, at += step, to += 2) {
            to[0] = at[0];
            to[1] = at[apart];
        }
    }
    return to;
}

/** Bytes that are apart. */
static inline int8_t *mcuq_copy_apart(int8_t *to, const int8_t *from, mcuq_loops p)
{
    const int32_t apart = p.stride[2];

    for (int32_t block = p.size[0]; block > 0; block--, from += p.stride[0]) {
        const int8_t *row = from;
        for (int32_t rows = p.size[1]; rows > 0; rows--, row += p.stride[1]) {
            const int8_t *at = row;
            for (int32_t left = p.size[2] >> 1; left > 0; left--, at += 2 * apart, to += 2) {
                to[0] = at[0];
                to[1] = at[apart];
            }
            if (p.size[2] & 1) {
                *to++ = *at;
            }
        }
    }
    return to;
}

/** The three loops from from; returns what follows in to. */
static inline int8_t *mcuq_copy_loops(int8_t *to, const int8_t *from, mcuq_loops p)
{
    const int32_t length = p.size[2], apart = p.stride[2];
    const int32_t strides = p.stride[0] | p.stride[1];

    if (length == 2 && p.stride[1] == 1 &&
        mcuq_in_words(to, from, p.stride[0] | apart | p.size[1])) {
        return mcuq_copy_laced(to, from, p);
    }
    if (length == 2) {
        return mcuq_copy_twos(to, from, p);
    }
    if (apart != 1) {
        return mcuq_copy_apart(to, from, p);
    }
    if (length > MCUQ_LONG_RUN || !mcuq_in_words(to, from, strides | length)) {
        return mcuq_copy_bytes(to, from, p);
    }
    if ((length & 7) == 0) {
        return (p.size[1] == 2) ? mcuq_copy_pairs(to, from, p, 1) : mcuq_copy_rows(to, from, p, 1);
    }
    return (p.size[1] == 2) ? mcuq_copy_pairs(to, from, p, 0) : mcuq_copy_rows(to, from, p, 0);
}

#endif
