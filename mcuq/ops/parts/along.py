"""How operators go along an axis, such as that of time: which rows make which.

Each function is an ``OpSpec.along``. What it returns for another number of rows is the same node,
without any padding on that axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from mcuq.ir import Node, Shape
from mcuq.ops.parts import windows
from mcuq.ops.spec import Along


def same(node: Node, shapes: Sequence[Shape], index: int, axis: int) -> Along | str:
    """Each row of the output is made of the same row of every operand."""
    rows = shapes[index][axis]
    if any(len(s) > axis and s[axis] not in (1, rows) for s in shapes if len(s) == len(shapes[0])):
        return "its operands have different numbers of frames"
    return Along(axis, lambda count: node)


def but_last(node: Node, shapes: Sequence[Shape], index: int, axis: int) -> Along | str:
    """Rows are apart unless they lie on the last axis."""
    if axis == len(shapes[index]) - 1:
        return "it joins all frames"
    return Along(axis, lambda count: node)


def joined(node: Node, shapes: Sequence[Shape], index: int, axis: int) -> Along | str:
    """Operands that lie beside each other, on another axis."""
    if node.int("axis") == axis:
        return "it lays frames behind each other"
    return Along(axis, lambda count: node)


def weighted_window(node: Node, shapes: Sequence[Shape], index: int, axis: int) -> Along | str:
    """A window whose size is that of the weights (O, H, W, I) or (H, W, C)."""
    weights = shapes[1]
    return _window(node, weights[1:3] if len(weights) == 4 else weights[:2], axis)


def pool(node: Node, shapes: Sequence[Shape], index: int, axis: int) -> Along | str:
    """A window of the attribute ``kernel``; a mean over the taps inside differs at the edges."""
    found = _window(node, node.ints("kernel"), axis)
    padded = isinstance(found, Along) and found.before + found.after > 0
    if padded and not node.attrs.get("include_pad", True):
        return "its mean leaves out the padding"
    return found


def _window(node: Node, kernel: Sequence[int], axis: int) -> Along | str:
    if axis not in (1, 2):
        return CHANNELS
    place, win = axis - 1, windows.window(node, kernel)

    def made(count: int) -> Node:
        pads = list(win.pads)
        pads[place], pads[place + 2] = 0, 0
        return node.with_attrs(pads=tuple(pads))

    return Along(
        axis,
        made,
        span=win.spans()[place],
        stride=win.strides[place],
        before=win.pads[place],
        after=win.pads[place + 2],
    )


def edges(node: Node, shapes: Sequence[Shape], index: int, axis: int) -> Along | str:
    """Constant rows before and behind: what is left of the node pads the other axes."""
    pads = tuple((int(begin), int(end)) for begin, end in node.attrs["pads"])

    def made(count: int) -> Node | None:
        rest = tuple((0, 0) if i == axis else pair for i, pair in enumerate(pads))
        return node.with_attrs(pads=rest) if any(map(any, rest)) else None

    return Along(axis, made, before=pads[axis][0], after=pads[axis][1])


def seen_otherwise(node: Node, shapes: Sequence[Shape], index: int, axis: int) -> Along | str:
    """A reshape that leaves the axis as it is."""
    source, shape = shapes[index], node.ints("shape")
    head, rows = prod(source[:axis]), source[axis]
    for place, size in enumerate(shape):
        if place and size == rows and prod(shape[:place]) == head:

            def made(count: int, place: int = place) -> Node:
                return node.with_attrs(shape=(*shape[:place], count, *shape[place + 1 :]))

            return Along(place, made)
    return MERGED


CHANNELS = "it joins all frames, as channels"
MERGED = "it joins frames with other axes"
"""What a reshape says that makes one vector of a window."""


def turned(node: Node, shapes: Sequence[Shape], index: int, axis: int) -> Along | str:
    """A transposition takes the axis elsewhere."""
    return Along(node.ints("perm").index(axis), lambda count: node)


def normalized(node: Node, shapes: Sequence[Shape], index: int, axis: int) -> Along | str:
    """Rows that are normalized apart, with one scale for all of them."""
    source = shapes[index]
    outer, *rest = node.ints("sizes")
    before = prod(source[1 : axis + 1])
    if outer % before or prod(rest) % prod(shapes[1]):
        return "it normalizes over frames"

    def made(count: int) -> Node:
        return node.with_attrs(sizes=(outer // source[axis] * count, *rest))

    return Along(axis, made)


def multiplied(node: Node, shapes: Sequence[Shape], index: int, axis: int) -> Along | str:
    """The product of two computed matrices joins frames with frames."""
    return "it multiplies frames by frames"
