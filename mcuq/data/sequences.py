"""How the arrays of a user become the steps of a stream."""

from __future__ import annotations

import numpy as np

from mcuq.errors import DataError
from mcuq.ir import Array, Port, Stream


def as_steps(ref: str, array: Array, port: Port, stream: Stream) -> tuple[Array, int]:
    """(S * T, *port.shape[1:]) and S, from (T, ...) or (S, T, ...) with the shape of the port.

    (N, 1, ...) are N steps, too: a sequence of one step would say nothing.
    Where the stream was made of a network that reads a window, recordings (S, ...) in that
    network's own layout, or one without S, are cut into steps along the axis of the frames.
    """
    wanted = tuple(port.shape[1:])
    if array.shape[1:] == wanted:
        return array, 1
    if array.shape == wanted:
        return array[None], 1
    if array.shape[2:] == wanted and array.ndim == len(wanted) + 2:
        return array.reshape(-1, *wanted), 1 if array.shape[1] == 1 else len(array)
    if stream.axis is not None:
        return _cut(ref, array, port, stream.axis)
    return array, 1  # whose shape is refused as that of rows is


def _cut(ref: str, array: Array, port: Port, axis: int) -> tuple[Array, int]:
    """Recordings -> steps, one recording after the other."""
    wanted, frames = tuple(port.shape[1:]), port.shape[axis]
    rest = [size for i, size in enumerate(port.shape) if i not in (0, axis)]
    if array.ndim == len(port.shape) - 1:
        array = array[None]
    elif array.ndim < len(port.shape) and [*array.shape[1:]] == [s for s in rest if s > 1]:
        array = np.moveaxis(array.reshape(1, len(array), *rest), 1, axis)
    fits = array.ndim == len(port.shape) and all(
        array.shape[i] == size for i, size in enumerate(port.shape) if i not in (0, axis)
    )
    if not fits:
        return array, 1
    total = array.shape[axis]
    if total % frames or not total:
        reason = f"{total} frames are no multiple of the {frames} that a step takes"
        raise DataError(ref, reason, f"Give {max(1, total // frames) * frames} of them")
    parts = np.stack(np.split(array, total // frames, axis), axis=1)
    return parts.reshape(-1, *wanted), len(array)
