"""What the blocked convolutions share: parameters of the window and of the output's range."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.plain import weighted
from mcuq.kernels.variant import Field
from mcuq.ops.parts.windows import Window
from mcuq.qir import QGraph

SIZE_MAX = 32767
BYTE_MAX = 255


def fields(node: Node, win: Window) -> tuple[Field, ...]:
    """From pad_top to narrow, in the order of the C parameters."""
    limits = (node.int("out_min"), node.int("out_max"))
    numbers = {
        **weighted.placement(win),
        "dilation_h": win.dilations[0],
        "dilation_w": win.dilations[1],
        "pad_value": node.int("pad_value"),
        "out_min": limits[0],
        "out_max": limits[1],
        "narrow": int(limits != (-128, 127)),
    }
    return tuple(Field(name, value) for name, value in numbers.items())


def representable(node: Node, qgraph: QGraph, win: Window) -> bool:
    """Whether all sizes fit the C parameters."""
    shapes = (*qgraph.tensor(node.inputs[0]).shape, *qgraph.tensor(node.output).shape)
    small = max(*win.kernel, *win.strides, *win.dilations) <= BYTE_MAX
    return small and max(*shapes, *win.pads) <= SIZE_MAX
