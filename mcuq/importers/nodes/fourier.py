"""DFT as a product with a constant matrix, which is what numpy makes of the unit vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcuq.importers.nodes import linear
from mcuq.importers.nodes.builder import Refused, Value, check_size
from mcuq.importers.nodes.call import NodeCall, axis_of
from mcuq.ir import Array


def transform(call: NodeCall) -> Value:
    """DFT of reals or of pairs (real, imaginary), which lie last; each way, one-sided or whole."""
    value = call.value()
    rank = len(value.shape)
    axis = _axis(call, rank)
    size, parts = value.shape[axis], value.shape[-1]
    if axis in (0, rank - 1) or parts not in (1, 2):
        raise Refused(f"DFT along axis {axis} of {value.shape}", "Transform one of reals or pairs")
    given = call.optional(1)
    matrix = _matrix(call, size, parts, None if given is None else int(given.reshape(-1)[0]))
    length, new = matrix.shape[1:]
    places = np.moveaxis(value.view.reshape(value.shape), axis, -2)
    rest = places.shape[:-2]
    last = Value((*rest, size * parts), value.tensor, places.reshape(-1))
    weights = matrix.reshape(size * parts, length * new).T
    made = linear.linear(replace(call, names=()), last, weights, np.zeros(len(weights)))
    back = np.moveaxis(made.view.reshape(*rest, length, new), -2, axis)
    return Value(back.shape, made.tensor, back.reshape(-1))


def _axis(call: NodeCall, rank: int) -> int:
    """From the attribute before opset 20, then from an input."""
    if call.opset < 20:
        return axis_of(call.integer("axis", 1), rank)
    given = call.optional(2)
    return axis_of(-2 if given is None else int(given.reshape(-1)[0]), rank)


def _matrix(call: NodeCall, size: int, parts: int, length: int | None) -> Array:
    """(size x parts, length, 2 or 1): what each number of the input adds to the output."""
    inverse, onesided = bool(call.integer("inverse", 0)), bool(call.integer("onesided", 0))
    check_size((size * parts, 2 * max(size, length or size)))
    units = np.eye(size * parts).reshape(-1, size, parts)
    waves = units[..., 0] + (1j * units[..., 1] if parts == 2 else 0)
    if inverse and onesided:
        real = np.fft.irfft(waves, n=length)
        return np.asarray(real[..., None])
    found = (np.fft.ifft if inverse else np.fft.fft)(waves, n=length)
    if onesided:
        found = found[:, : found.shape[1] // 2 + 1]
    return np.stack([found.real, found.imag], axis=-1)
