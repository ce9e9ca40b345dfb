"""Where a layer has its weights, and how they are seen as rows of dot products.

A layer reads its weights at input 1 and a bias for each output channel at input 2. Each output is a
dot product of a row of weights with a window of the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from mcuq.ir import Array, Node, Shape


def rows_along(values: Array, axis: int) -> Array:
    """(C, n): the values at each place of ``axis``, the other axes in their order."""
    return np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)


def axes_but(axis: int, rank: int) -> tuple[int, ...]:
    """All axes of an array of ``rank`` axes but one."""
    return tuple(i for i in range(rank) if i != axis)


@dataclass(frozen=True)
class Layout:
    """The meaning of the weights' axes.

    ``outputs``: the axis of the output channels. ``inputs``: that of the input channels of one
    group; None where each output reads one channel. ``taps``: those of the kernel's height and
    width; none where the layer reads a vector.
    """

    outputs: int
    inputs: int | None = None
    taps: tuple[int, ...] = ()

    @property
    def order(self) -> tuple[int, ...]:
        """All axes: the output channel, the input channel, the taps."""
        return (self.outputs, *(() if self.inputs is None else (self.inputs,)), *self.taps)

    def groups(self, node: Node, channels: int) -> int:
        """Into how many groups, each with its own outputs, the input's channels fall."""
        return channels if self.inputs is None else int(node.attrs.get("groups", 1))

    def kernel(self, shape: Shape) -> Shape:
        """(height, width) of the kernel; () where there are no taps.

        >>> Layout(0, 3, (1, 2)).kernel((8, 5, 3, 4))
        (5, 3)
        """
        return tuple(shape[axis] for axis in self.taps)

    def depth(self, shape: Shape) -> int:
        """The number of weights behind one output."""
        return prod(shape) // shape[self.outputs]

    def resized(self, shape: Shape, inputs: int | None, outputs: int) -> Shape:
        """``shape`` for so many channels; ``inputs`` None: those that one output reads stay."""
        sizes = list(shape)
        sizes[self.outputs] = outputs
        if self.inputs is not None and inputs is not None:
            sizes[self.inputs] = inputs
        return tuple(sizes)

    def to_rows(self, weights: Array, groups: int) -> Array:
        """Weights -> (groups, outputs of a group, depth); along depth, the taps of each channel."""
        return weights.transpose(self.order).reshape(
            groups, weights.shape[self.outputs] // groups, -1
        )

    def from_rows(self, rows: Array, shape: Shape) -> Array:
        """The inverse of ``to_rows`` for weights of this shape.

        >>> layout, weights = Layout(2, None, (0, 1)), np.arange(24).reshape(2, 3, 4)
        >>> np.array_equal(layout.from_rows(layout.to_rows(weights, 4), (2, 3, 4)), weights)
        True
        """
        ordered = rows.reshape(tuple(shape[axis] for axis in self.order))
        return ordered.transpose(np.argsort(self.order))

    def along_outputs(self, values: Array) -> Array:
        """(outputs,) shaped so that it spreads over the weights."""
        return values.reshape([-1 if axis == self.outputs else 1 for axis in sorted(self.order)])

    def per_weight(self, node: Node, shape: Shape, values: Array) -> Array:
        """What the input channel that each weight multiplies has of ``values``, broadcastable.

        ``shape``: of the weights.
        """
        outputs, groups = shape[self.outputs], self.groups(node, len(values))
        if self.inputs is None:
            return self.along_outputs(np.repeat(values, outputs // len(values)))
        rows = np.repeat(values.reshape(groups, -1), outputs // groups, axis=0)
        return np.expand_dims(rows if self.outputs < self.inputs else rows.T, self.taps)

    def largest_taps(self, weights: Array) -> Array:
        """(outputs, inputs of a group): the largest of the taps of each pair of channels."""
        largest: Array = weights.max(axis=self.taps, keepdims=True)
        inputs = 1 if self.inputs is None else weights.shape[self.inputs]
        return largest.transpose(self.order).reshape(weights.shape[self.outputs], inputs)
