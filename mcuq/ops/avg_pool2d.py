"""avg_pool2d: the mean of each window, over all its taps or (not include_pad) those inside.

In integers, exact with one rounding:

    num = sum of (q - zero_x) over the taps inside,  den = count << right
    y = clamp(zero_y + floor((2 * num * 2**left + den) / (2 * den)), out_min, out_max)

where left - right = frac_y - frac_x and one of both is 0; right is 9 at most (s16: 17),
from where on the result is zero_y for every input. 2 * num * 2**left + den fits 32 bits.

C: mcuq_avg_pool2d_s8.c, mcuq_avg_pool2d_s16.c
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mcuq.errors import ModelError
from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops import clip
from mcuq.ops.parts import along, exact, forms, windows
from mcuq.ops.parts.accumulate import limited
from mcuq.ops.parts.windows import Window
from mcuq.ops.spec import (
    NO_CLIP,
    Flow,
    Form,
    IntForm,
    OpSpec,
    Padding,
    Scaling,
    Schema,
    TorchTensor,
    Values,
    fused_clip,
)
from mcuq.qir import QGraph, QTensors, frac_of
from mcuq.schema import flag, whole

RIGHT_MAX = {"s8": 9, "s16": 17}
_REACH = {"s8": 255, "s16": 32768}  # the largest |q - zero_x|
AREA_MAX = 2**20


def window(node: Node) -> Window:
    """The sliding window."""
    return windows.window(node, node.ints("kernel"))


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """(1, out_h, out_w, C)."""
    batch, height, width, channels = shapes[0]
    return (batch, *window(node).out_size(height, width), channels)


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """The mean of each window; in float64 its bits are the same everywhere."""
    import torch

    x, win = inputs[0], window(node)
    if x.dtype == torch.float64:
        x = exact.on_channel_grid(x, min(32, exact.MANTISSA - win.area().bit_length()))
    image = windows.pad_float(windows.to_nchw(x), win, (0.0,))
    y = windows.to_nhwc(torch.nn.functional.avg_pool2d(image, win.kernel, win.strides))
    if any(win.pads) and not node.attrs["include_pad"]:
        inside = windows.counts(win, inputs[0].shape[1], inputs[0].shape[2])
        y = y * y.new_tensor(win.area() / inside)[None, :, :, None]
    return clip.clamp(y, node.attrs["clip"])


def left_max(area: int, kind: str = "s8") -> int:
    """How much finer (in bits) than its input the mean over ``area`` taps may be.

    |num| <= 255 (s16: 32768) * area and den <= area, so the numerator is below 2**31. Negative
    where not even the input's own scale fits.

    >>> left_max(1), left_max(64), left_max(2**20), left_max(64, "s16")
    (22, 16, 2, 8)
    """
    return ((2**31 - 1) // (area * (2 * _REACH[kind] + 1))).bit_length() - 1


def _fits(left: int, right: int, area: int, kind: str) -> bool:
    """Whether the numerator of a mean over ``area`` taps fits 32 bits."""
    return left <= left_max(area, kind) and area * (_REACH[kind] + 2**right) < 2**30


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The integer mean, from the scale of the input to that of the output."""
    x, y = acts[node.inputs[0]], acts[node.output]
    finer, area = frac_of(y) - frac_of(x), window(node).area()
    right = min(max(-finer, 0), RIGHT_MAX[x.kind])
    if not _fits(max(finer, 0), right, area, x.kind):
        raise ModelError(
            graph.name,
            f"node '{node.name}': its output is {finer} bits finer than its input, "
            f"at most {left_max(area, x.kind)} fit a window of {area}",
            "Give its output a frac nearer to that of its input",
        )
    low, high = clip.out_range(node.attrs["clip"], y)
    attrs = {
        **{key: node.ints(key) for key in ("kernel", "strides", "pads")},
        "include_pad": bool(node.attrs["include_pad"]),
        "left": max(finer, 0),
        "right": right,
        "zero_x": x.zero,
        "zero_y": y.zero,
        "out_min": low,
        "out_max": high,
    }
    return IntForm(Node(node.op, node.name, node.inputs, node.outputs, attrs))


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """The mean of each window, rounded half up once."""
    x, win = inputs[0], window(node)
    centred = windows.padded(x.astype(np.int32) - node.int("zero_x"), win, 0)
    num = sum(view.astype(np.int64) for _, _, view in windows.taps(centred, win))
    den = _counts(node, x.shape)[None, :, :, None] << node.int("right")
    mean = (2 * num * 2 ** node.int("left") + den) // (2 * den)
    mean += node.int("zero_y")
    return limited(mean, node, x.dtype)


def _counts(node: Node, shape: Shape) -> Array:
    """(out_h, out_w): what the sum of each place is divided by."""
    win = window(node)
    if node.attrs["include_pad"]:
        return np.full(win.out_size(shape[1], shape[2]), win.area())
    return windows.counts(win, shape[1], shape[2])


def representable(node: Node, shapes: Sequence[Shape]) -> bool:
    """Sizes, kernels, strides and pads are at most 65535, and a window has at most 2**20 taps."""
    win = window(node)
    return windows.representable(win, shapes[0]) and win.area() <= AREA_MAX


def covers(node: Node, shapes: Sequence[Shape]) -> bool:
    """Each pooling window lies in the padded image and holds at least one element of the image."""
    win = window(node)
    return windows.fits(win, shapes[0]) and windows.covers(win, shapes[0])


def is_identity(node: Node, graph: Graph) -> bool:
    """Windows of one value, nothing clipped."""
    return windows.single_taps(window(node)) and fused_clip(node) == NO_CLIP


def frac_limits(node: Node, fracs: Mapping[str, int], kind: str) -> Iterator[tuple[str, int]]:
    """The output's, given the input's."""
    yield node.output, fracs[node.inputs[0]] + left_max(window(node).area(), kind)


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """What does not follow from the numbers of the tensors."""
    yield from forms.same_kind(node, qgraph, node.inputs)
    yield from forms.in_range(node, qgraph)
    x, y = qgraph.tensors[node.inputs[0]], qgraph.tensors[node.output]
    finer, area = frac_of(y) - frac_of(x), window(node).area()
    right = min(max(-finer, 0), RIGHT_MAX.get(x.kind, 0))
    numbers = {"left": max(finer, 0), "right": right, "zero_x": x.zero, "zero_y": y.zero}
    yield from forms.follows(node, numbers)
    if not _fits(max(finer, 0), right, area, x.kind):
        yield "its sums do not fit 32 bits"


_POOL = {**forms.POOL, "include_pad": flag}
_INTEGERS = {key: whole() for key in ("left", "right", "zero_x", "zero_y")}
OP = OpSpec(
    "avg_pool2d",
    (
        *("AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum", "ReduceL1", "ReduceL2"),
        *("ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare", "LpPool", "GlobalLpPool"),
    ),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(representable, covers),
    values=Values.BETWEEN,
    flow=Flow.EACH,
    fuse_clip=clip.fuse,
    is_identity=is_identity,
    padding=Padding.ZERO,
    runs_s16=True,
    frac_limits=frac_limits,
    scaling=Scaling.CHANNELS,
    offsets=(1,),
    along=along.pool,
    schema=Schema(
        Form({**_POOL, **forms.CLIP}, ranks=(4,)),
        Form({**_POOL, **_INTEGERS, **forms.RANGE}, ranks=(4,)),
        faults,
    ),
)
