/* mcuq_band.h: the input rows that a band of output rows reads, with pads, for the depthwise
 * kernels in blocks. A band's rows are at most `lines`; the next band keeps those it shares.
 */
#ifndef MCUQ_BAND_H
#define MCUQ_BAND_H

#include "mcuq_depthwise_conv2d_block.h"

/* Small C libraries copy byte by byte. The empty assembly keeps the compiler from calling them. */
typedef uint32_t mcuq_band_word __attribute__((may_alias));

/** to[0..bytes) = from[0..bytes), front to back: `to` may overlap `from` if it starts before. */
static inline void mcuq_band_copy(int8_t *to, const int8_t *from, int32_t bytes)
{
    if ((((uintptr_t)to | (uintptr_t)from) & 3U) == 0) {
        for (; bytes >= 8; bytes -= 8) {
            const mcuq_band_word first = ((const mcuq_band_word *)(const void *)from)[0];
            const mcuq_band_word second = ((const mcuq_band_word *)(const void *)from)[1];
            ((mcuq_band_word *)(void *)to)[0] = first;
            ((mcuq_band_word *)(void *)to)[1] = second;
            from += 8;
            to += 8;
            __asm__ volatile("");
        }
    }
    for (; bytes > 0; bytes--) {
        *to++ = *from++;
        __asm__ volatile("");
    }
}

/** to[0..bytes) = value. */
static inline void mcuq_band_set(int8_t *to, int8_t value, int32_t bytes)
{
    const mcuq_band_word word = (uint8_t)value * 0x01010101U;
    if (((uintptr_t)to & 3U) == 0) {
        for (; bytes >= 4; bytes -= 4) {
            *(mcuq_band_word *)(void *)to = word;
            to += 4;
            __asm__ volatile("");
        }
    }
    for (; bytes > 0; bytes--) {
        *to++ = value;
        __asm__ volatile("");
    }
}

/** Fills row[0..wide * in_c) with padded input row y, which may lie outside the image. */
static inline void mcuq_band_row(const mcuq_depthwise_conv2d_block_params *p, const int8_t *in,
                                 int32_t y, int8_t *row)
{
    const int32_t bytes = p->wide * p->in_c;
    const int32_t left = p->pad_left * p->in_c;
    int32_t middle = p->in_w * p->in_c;
    if (y < 0 || y >= p->in_h || left >= bytes) {
        mcuq_band_set(row, p->pad_value, bytes);
        return;
    }
    in += y * middle;
    middle = (middle < bytes - left) ? middle : bytes - left;
    mcuq_band_set(row, p->pad_value, left);
    mcuq_band_copy(row + left, in, middle);
    mcuq_band_set(row + left + middle, p->pad_value, bytes - left - middle);
}

/** Brings the rows for output rows first, first + 1, ... into `rows`; those that the band before
 *  has read already (none for first = 0) are moved to their new place. */
static inline void mcuq_band_fill(const mcuq_depthwise_conv2d_block_params *p, const int8_t *in,
                                  int32_t first, int8_t *rows)
{
    const int32_t pitch = p->wide * p->in_c;
    const int32_t moved = p->band * p->stride_h; /* input rows from one band to the next */
    int32_t kept = (first == 0) ? 0 : p->lines - moved;
    kept = (kept < 0) ? 0 : kept;
    mcuq_band_copy(rows, rows + moved * pitch, kept * pitch);
    for (int32_t i = kept; i < p->lines; i++) {
        mcuq_band_row(p, in, first * p->stride_h - p->pad_top + i, rows + i * pitch);
    }
}

#endif
