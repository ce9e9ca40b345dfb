"""The integers of a spectrum: a real FFT, powers, roots, bands and their logarithms, in numpy.

These functions are what ``features`` and its C are made of (runtime_c/common/mcuq_spectrum.h).
Data has 32 bits, twiddles and weights 16; a product of both is ``(a * w) >> 16``, rounded down,
which is one instruction on most cores. Every stage of the FFT halves, so that nothing overflows:
from samples below 2**29, every part of every stage stays below 2**31. That would leave little of
quiet frames: ``headroom`` says by how much a frame is scaled up before.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from mcuq.fixed import IntArray
from mcuq.ir import Array

MIN_POINTS, MAX_POINTS = 64, 2048
LOG_FRAC = 10
LOG_OFFSET = 32
"""A logarithm l stands for log2 = l / 2**LOG_FRAC + LOG_OFFSET, so that 0..63 fit 16 bits."""
MEL_BITS = 15
ROOT_FRAC = 15


@cache
def twiddles(points: int) -> Array:
    """(points / 2, 2) s16: -cos and -sin of 2 pi k / points; so negated, 1 is exactly -32768."""
    angle = 2 * np.pi * np.arange(points // 2) / points
    parts = np.stack([-np.cos(angle), -np.sin(angle)], axis=1)
    return np.floor(parts * 32768 + 0.5).clip(-32768, 32767).astype(np.int16)


@cache
def log_table() -> Array:
    """(257,) u16: log2(1 + i / 256) with 15 bits behind the point."""
    return np.floor(np.log2(1 + np.arange(257) / 256) * 32768 + 0.5).astype(np.uint16)


@cache
def root_table() -> Array:
    """(193,) u16: sqrt(64 + i) with 12 bits behind the point; the last one lacks 1 of its 2**16."""
    roots = np.sqrt(64 + np.arange(193)) * 4096
    return np.floor(roots + 0.5).clip(0, 65535).astype(np.uint16)


def headroom(samples: IntArray) -> IntArray:
    """(..., n) s16 -> (...): how often a frame can be doubled within +-2**15; 15 for silence."""
    folded = np.bitwise_or.reduce(samples ^ (samples >> 15), axis=-1).astype(np.int64)
    exponent: IntArray = 15 - np.frexp(folded.astype(np.float64))[1].astype(np.int64)
    return exponent


def halved(a: IntArray, w: IntArray) -> IntArray:
    """(a * w) >> 16: with w a fraction of 15 bits, half of the product, rounded down."""
    product: IntArray = (a * w) >> 16
    return product


def rotated(re: IntArray, im: IntArray, w: IntArray) -> tuple[IntArray, IntArray]:
    """Minus half of (re, im) turned by the angle of the negated twiddles ``w`` (..., 2)."""
    cos, sin = w[..., 0].astype(np.int64), w[..., 1].astype(np.int64)
    return halved(re, cos) + halved(im, sin), halved(im, cos) - halved(re, sin)


def reversed_bits(count: int) -> Array:
    """(count,): each index of ``count`` = 2**n with its n bits in reverse."""
    found = np.zeros(1, np.int64)
    while len(found) < count:
        found = np.concatenate([2 * found, 2 * found + 1])
    return found


def half_spectrum(samples: IntArray) -> tuple[IntArray, IntArray]:
    """(..., points) -> real and imaginary (..., points / 2 + 1), times 2 / points.

    Even and odd samples are one complex signal of half the length; radix 2, decimation in time.
    """
    points = samples.shape[-1]
    half = points // 2
    order, table = reversed_bits(half), twiddles(points)
    re, im = (samples[..., part::2][..., order].astype(np.int64) for part in (0, 1))
    size = 1
    while size < half:
        re, im = _stage(re, im, table[:: half // size][:size])
        size *= 2
    return _unfolded(re, im, table)


def _stage(re: IntArray, im: IntArray, w: Array) -> tuple[IntArray, IntArray]:
    """One stage: in each block of 2 * len(w), the first half plus and minus the turned second."""
    size = len(w)
    blocks = (*re.shape[:-1], -1, 2, size)
    (a_re, b_re), (a_im, b_im) = (np.moveaxis(v.reshape(blocks), -2, 0) for v in (re, im))
    t_re, t_im = rotated(b_re, b_im, w)
    parts = ((a_re >> 1, t_re), (a_im >> 1, t_im))
    first, second = (np.stack([a - t, a + t], axis=-2).reshape(re.shape) for a, t in parts)
    return first, second


def _unfolded(re: IntArray, im: IntArray, table: Array) -> tuple[IntArray, IntArray]:
    """The spectrum of the real signal, from that of the complex one."""
    half = re.shape[-1]
    place = np.arange(1, half // 2 + 1)
    a_re, a_im, b_re, b_im = re[..., place], im[..., place], re[..., -place], im[..., -place]
    even_re, even_im = (a_re + b_re) >> 1, (a_im - b_im) >> 1
    t_re, t_im = rotated(a_im + b_im, b_re - a_re, table[place])
    whole = np.zeros((2, *re.shape[:-1], half + 1), np.int64)
    whole[0][..., 0], whole[0][..., half] = re[..., 0] + im[..., 0], re[..., 0] - im[..., 0]
    whole[0][..., half - place], whole[1][..., half - place] = even_re + t_re, -(even_im + t_im)
    whole[0][..., place], whole[1][..., place] = even_re - t_re, even_im - t_im
    return whole[0], whole[1]


def powers(samples: IntArray) -> IntArray:
    """(..., points) below 2**29 -> (..., points / 2 + 1): re**2 + im**2, below 2**62."""
    re, im = half_spectrum(samples)
    power: IntArray = re * re + im * im
    return power


def leading_zeros(values: IntArray) -> IntArray:
    """Of each value in 1 .. 2**63 - 1, as 64 bits."""
    exponent = np.frexp(values.astype(np.float64))[1]
    # float64 may have rounded up to the next power of two
    exponent -= (values >> np.clip(exponent - 1, 0, 62)) == 0
    found: IntArray = (64 - exponent).astype(np.int64)
    return found


def _top(values: IntArray, left: IntArray) -> IntArray:
    """The upper 32 of 64 bits of ``values << left``."""
    return ((values.astype(np.uint64) << left.astype(np.uint64)) >> np.uint64(32)).astype(np.int64)


def roots(powers: IntArray) -> IntArray:
    """sqrt(p) * 2**15, within 2.3e-5 of it; p < 2**62.

    With e the leading zeros of p, less 1 if odd, and m the upper half of p << e, at least 2**30:
    i = m >> 24, r = (m >> 9) & 32767, (t[i] << 15) + (t[i + 1] - t[i]) * r is sqrt(m) * 2**15.
    """
    table = root_table().astype(np.int64)
    some = np.maximum(powers, 1)
    even = leading_zeros(some) & ~1
    m = _top(some, even)
    index, rest = (m >> 24) - 64, (m >> 9) & 32767
    root = (table[index] << 15) + (table[index + 1] - table[index]) * rest
    found: IntArray = np.where(powers > 0, (root << 16) >> (even >> 1), 0)
    return found


def banded(values: IntArray, weights: IntArray) -> IntArray:
    """(..., bins) below 2**62, (bins, bands) s16 -> (..., bands): (sum of products) >> 15.

    Exact: pieces of 16 bits are summed in float64, each below 2**53.
    """
    real = weights.astype(np.float64)
    pieces = [((values >> (16 * i)) & 0xFFFF).astype(np.float64) @ real for i in range(4)]
    one, two, three, four = (p.astype(np.int64) for p in pieces)
    low, high = one + (two << 16), three + (four << 16)
    total: IntArray = (high << (32 - MEL_BITS)) + (low >> MEL_BITS)
    return total


def logarithms(values: IntArray) -> IntArray:
    """(...) in 1 .. 2**62 -> s16: log2 with LOG_FRAC bits behind the point, less LOG_OFFSET.

    With m the upper 32 bits of v << leading zeros: i = (m >> 23) & 255, r = (m >> 7) & 65535, and
    t[i] + (((t[i + 1] - t[i]) * r + 2**15) >> 16) is log2 of the mantissa.
    """
    table = log_table().astype(np.int64)
    zeros = leading_zeros(values)
    m = _top(values, zeros)
    index, rest = (m >> 23) & 255, (m >> 7) & 65535
    mantissa = table[index] + (((table[index + 1] - table[index]) * rest + 32768) >> 16)
    whole = ((63 - zeros) << 15) + mantissa
    found: IntArray = ((whole + 16) >> (15 - LOG_FRAC)) - (LOG_OFFSET << LOG_FRAC)
    return found
