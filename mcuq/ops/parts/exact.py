"""Sums of products with the same bits on every processor, in any order, by any number of threads.

A sum of floats depends on its order, and a library's order on the processor. Sums of integers do
not: the factors are rounded to grids so coarse that float64 holds every sum of their products
exactly. A grid is that of a channel's (or a row's) own largest value, a power of two below it by
some 20 bits: finer than float32 sums are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcuq.ir import Array
from mcuq.ops.parts import windows
from mcuq.ops.parts.layout import axes_but
from mcuq.ops.parts.windows import Window
from mcuq.ops.spec import TorchTensor

MANTISSA = 53
"""Bits that float64 holds."""

MOST_BITS = 26
"""Of one factor: two of them fill the mantissa."""

MOST_TERMS = 1 << 14
"""Longer sums are made of parts, added one after the other."""

CACHED = 1 << 18
"""About so many elements are summed at once, tap by tap."""

KEPT = 16
"""Bits of factors that come from functions whose last bits are the processor's."""

CHUNK = 1 << 21
"""About so many elements are unfolded at once."""


def bits_for(terms: int) -> int:
    """How many bits each factor may have for a sum of ``terms`` products.

    >>> bits_for(1), bits_for(9), bits_for(576)
    (26, 24, 21)
    """
    return min(MOST_BITS, (MANTISSA - terms.bit_length()) // 2)


def power_above(peaks: Array) -> Array:
    """The exponents of the least powers of two above ``peaks`` (0 for 0).

    >>> power_above(np.array([0.0, 1.0, 0.75])).tolist()
    [0, 1, 0]
    """
    _, exponents = np.frexp(peaks)
    return np.asarray(exponents)


def shortened(values: Array) -> Array:
    """``values`` with ``KEPT`` bits each.

    What functions such as exp say differs between processors in the last of 53 bits: this hides it,
    but for the rare value next to a tie.

    >>> float(shortened(np.array(1.0 + 2.0**-20)))
    1.0
    """
    shares, exponents = np.frexp(values)
    found: Array = np.ldexp(np.rint(np.ldexp(shares, KEPT)), exponents - KEPT)
    return found


def units(exponents: Array, bits: int) -> Array:
    """The steps of grids that hold values below ``2**exponents`` in ``bits`` bits."""
    found: Array = np.ldexp(1.0, exponents - bits)
    return found


def snapped(values: TorchTensor, unit: Array) -> TorchTensor:
    """``values`` (float64), the nearest multiples of ``unit``; the gradient passes unchanged.

    Values are below ``2**51`` units: then this sum with a large number, and its difference, round.
    """
    import torch

    large = torch.from_numpy(np.asarray(unit * (1.5 * 2.0**52)))
    with torch.no_grad():
        rounded = values.detach().add(large).sub_(large)
        if values.requires_grad:
            rounded -= values
    return values + rounded if values.requires_grad else rounded


def snapped_array(values: Array, unit: Array) -> Array:
    """``values``, the nearest multiples of ``unit``, float64."""
    large = unit * (1.5 * 2.0**52)
    rounded = values + large
    rounded -= large
    return np.asarray(rounded, np.float64)


def channel_peaks(x: TorchTensor) -> Array:
    """The largest magnitude of each channel (last axis)."""
    flat = x.detach().reshape(-1, x.shape[-1])
    if not len(flat):
        return np.zeros(x.shape[-1])
    found: Array = np.maximum(flat.amax(0).numpy(), -flat.amin(0).numpy())
    return found


def on_channel_grid(x: TorchTensor, bits: int) -> TorchTensor:
    """``x`` with every channel on a grid of ``bits`` bits."""
    return snapped(x, units(power_above(channel_peaks(x)), bits))


def factors(
    x: TorchTensor, weights: TorchTensor, axis: int, behind: Callable[[Array], Array]
) -> tuple[TorchTensor, TorchTensor]:
    """``x`` and ``weights`` on grids on which the sums of their products are exact.

    ``axis``: the outputs' in ``weights``. ``behind``: (C,) of the channels of ``x`` -> what each
    weight multiplies, broadcastable to the weights.
    """
    bits = bits_for(weights.numel() // max(1, weights.shape[axis]))
    reach = power_above(channel_peaks(x))
    scale = np.ldexp(1.0, behind(reach))
    found = weights.detach().numpy() * scale
    peaks = np.abs(found).max(axis=axes_but(axis, found.ndim), keepdims=True, initial=0.0)
    unit = units(power_above(peaks), bits) / scale
    return snapped(x, units(reach, bits)), snapped(weights, unit)


def conv2d(x: TorchTensor, weights: TorchTensor, win: Window, groups: int) -> TorchTensor:
    """Padded (N, H, W, C), (O, kh, kw, C / groups) -> (N, out_h, out_w, O) sums."""
    import torch

    outputs, depth = weights.shape[0], weights.shape[3]
    columns = weights.reshape(groups, outputs // groups, -1).mT
    parts = []
    size = _rows_at_once(x, win, columns.shape[1] * groups)
    for first in range(0, max(1, len(x)), size):
        chunk = x[first : first + size]
        sums = [
            side_by_side(chunk[..., i * depth : (i + 1) * depth], win) @ columns[i]
            for i in range(groups)
        ]
        parts.append(sums[0] if groups == 1 else torch.cat(sums, 3))
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def depthwise_conv2d(x: TorchTensor, weights: TorchTensor, win: Window) -> TorchTensor:
    """Padded (N, H, W, C), (kh, kw, O) -> (N, out_h, out_w, O) sums."""
    import torch

    multiplier = weights.shape[2] // x.shape[3]
    parts = []
    size = max(1, CACHED // max(1, x[:1].numel() * multiplier))
    for first in range(0, max(1, len(x)), size):
        chunk = x[first : first + size]
        if multiplier > 1:
            chunk = chunk.repeat_interleave(multiplier, 3)
        total = x.new_zeros(())
        for ky, kx, view in windows.taps(chunk, win):
            kernel = weights[ky, kx]
            total = view * kernel if total.dim() == 0 else total.addcmul_(view, kernel)
        parts.append(total)
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def behind_groups(groups: int, outputs: int) -> Callable[[Array], Array]:
    """The ``behind`` of ``factors`` for a convolution."""

    def behind(reach: Array) -> Array:
        per_output = np.repeat(reach.reshape(groups, -1), outputs // groups, axis=0)
        return per_output[:, None, None, :]

    return behind


def side_by_side(x: TorchTensor, win: Window) -> TorchTensor:
    """Padded (N, H, W, C) -> (N, out_h, out_w, kh * kw * C), the taps of each place in a row."""
    spans = windows_of(x, win).permute(0, 1, 2, 4, 5, 3)
    return spans.reshape(*spans.shape[:3], -1)


def windows_of(x: TorchTensor, win: Window) -> TorchTensor:
    """A view of padded (N, H, W, C): (N, out_h, out_w, C, kh, kw)."""
    (high, wide), (sh, sw), (dh, dw) = win.spans(), win.strides, win.dilations
    return x.unfold(1, high, sh).unfold(2, wide, sw)[..., ::dh, ::dw]


def _rows_at_once(x: TorchTensor, win: Window, depth: int) -> int:
    """So many rows of padded ``x`` unfold to about ``CHUNK`` elements, at least 1."""
    rows, columns = (
        (size - span) // stride + 1
        for size, span, stride in zip(x.shape[1:3], win.spans(), win.strides, strict=True)
    )
    return max(1, CHUNK // max(1, rows * columns * depth))


def steps_of(weights: Array, axis: int) -> float:
    """The largest sum of the magnitudes of one output's weights, each in the output's own steps.

    Infinite where they are no integers of 8 bits times a power of two.

    >>> steps_of(np.array([[0.5, 0.75], [3.0, 0.0]]), 0), steps_of(np.array([[0.3]]), 0)
    (5.0, inf)
    """
    shares, exponents = np.frexp(np.asarray(weights, np.float64))
    whole = np.ldexp(shares, 8)
    if not np.array_equal(whole, np.rint(whole)):
        return float("inf")
    lowest = whole.astype(np.int64)
    lowest &= -lowest
    steps = np.where(lowest > 0, np.ldexp(lowest.astype(np.float64), exponents - 8), np.inf)
    others = axes_but(axis, weights.ndim)
    sums = np.abs(weights).sum(axis=others) / steps.min(axis=others, initial=np.inf)
    return float(sums.max(initial=0.0))


def snap_rows(values: Array) -> Array:
    """(..., m, k) with every row on a grid on which products of any two rows sum exactly."""
    return _on_grid(values, -1, bits_for(values.shape[-1]))


def product(a: Array, b: Array) -> Array:
    """(..., m, k) @ (..., k, n), rows of ``a`` and columns of ``b`` on grids of their own."""
    total: Array | None = None
    for first in range(0, a.shape[-1], MOST_TERMS):
        left, right = a[..., first : first + MOST_TERMS], b[..., first : first + MOST_TERMS, :]
        bits = bits_for(left.shape[-1])
        part = _on_grid(left, -1, bits) @ _on_grid(right, -2, bits)
        total = part if total is None else total + part
    return np.zeros((*a.shape[:-1], b.shape[-1])) if total is None else total


def _on_grid(values: Array, axis: int, bits: int) -> Array:
    """``values`` with all along ``axis`` on one grid."""
    peaks = np.abs(values).max(axis=axis, keepdims=True, initial=0.0)
    return snapped_array(values, units(power_above(peaks), bits))
