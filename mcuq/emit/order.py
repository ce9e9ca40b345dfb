"""How the elements of an input or output of the model lie in C, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcuq.emit.c_text import shape_text
from mcuq.importers.nodes import layout
from mcuq.ir import Port
from mcuq.qir import QTensor

_AXES = {2: "nc", 3: "ncw", 4: "nchw"}


def memory_text(port: Port, tensor: QTensor) -> str:
    """The type, the sizes as they lie, and their axes if these are no longer the model's own.

    ``s8[1,32,32,3] NHWC``, ``s8[1,140,1] NWC``, ``s8[1,10]``.
    """
    own = port.order is None and not _is_image(port, tensor)
    sizes = port.shape if own else tensor.shape
    if len(port.shape) == 3 and len(sizes) == 4 and sizes[1] == 1:
        sizes = (1, *sizes[2:])
    axes = {3: " NWC", 4: " NHWC"} if _is_image(port, tensor) else {}
    return f"{shape_text(tensor.kind, sizes)}{axes.get(len(port.shape), '')}"


def _is_image(port: Port, tensor: QTensor) -> bool:
    """Whether the port lies with its channels, the model's second axis, last."""
    if len(port.shape) not in (3, 4) or tensor.shape != layout.image_shape(port.shape):
        return False
    return np.array_equal(port.places, layout.channels_last(port.shape))


def sentence(port: Port, table: str) -> str:
    """Where each element of the model's own input or output lies; empty if in its own order.

    ``table``: the macro, an array's initializer, that says it where no strides do.
    """
    if np.array_equal(port.places, layout.identity(port.places.size)):
        return ""
    model = f"of the model's {_sizes(port.shape)}"
    steps = layout.strides(port.places, port.shape)
    if steps is not None:
        return f"{_element(_AXES.get(len(port.shape), ''), port.shape, steps)} {model}"
    found = loops(port)
    if found:
        sizes, strides = zip(*found, strict=True)
        return f"{_element('', sizes, strides)} {model}, seen as {_sizes(sizes)}"
    return f"[order[i]] is element i {model} in its own order; order is {table}"


def loops(port: Port) -> list[tuple[int, int]]:
    """(size, stride) of the axes that the elements, in the model's own order, run along in memory;
    empty if there are none.
    """
    if port.order is None:
        return []
    found = layout.runs(port.order)
    sizes = tuple(size for size, _ in found)
    if np.prod(sizes, dtype=np.int64) != port.order.size:
        return []
    made = layout.strides(port.order, sizes)
    return found if made == tuple(stride for _, stride in found) else []


def needs_table(port: Port) -> bool:
    """Whether no strides say where the elements lie."""
    return layout.strides(port.places, port.shape) is None and not loops(port)


def _element(names: str, sizes: Sequence[int], strides: Sequence[int]) -> str:
    """``[h*32 + w*8 + c] is element (n,c,h,w)``."""
    letters = names or "abcdefghijklmnop"[: len(sizes)]
    terms = sorted(zip(strides, letters, sizes, strict=True), reverse=True)
    parts = [f"{name}*{step}" if step > 1 else name for step, name, size in terms if size > 1]
    return f"[{' + '.join(parts)}] is element ({','.join(letters)})"


def _sizes(shape: Sequence[int]) -> str:
    return f"[{','.join(map(str, shape))}]"
