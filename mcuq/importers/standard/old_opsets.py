"""Operators of opset 1 to 12 as those of opset 13, and forms that hang on what is not written.

Each function takes a node and returns the nodes that replace it, or None for one that may stay.
Sources: the change log of ONNX's operators.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import onnx

from mcuq.importers.nodes.builder import Refused
from mcuq.importers.standard.modern import LAST_OLD, Old

Rewrite = Callable[[Old], list[Any] | None]


def modern(old: Old) -> list[Any] | None:
    """What replaces the node; None if it has today's form."""
    if old.node.domain not in ("", "ai.onnx"):
        return None
    for oldest, table in ((7, _BEFORE_7), (LAST_OLD, _BEFORE_13), (1 << 30, _ALWAYS)):
        rewrite = table.get(old.node.op_type)
        found = rewrite(old) if rewrite is not None and old.opset < oldest else None
        if found is not None:
            return found
    return None


def _broadcast(old: Old) -> list[Any] | None:
    """The second operand, which lies along the axes from ``axis`` on, spread by ones."""
    axis, spread = old.attribute("axis"), old.attribute("broadcast", 0)
    names = old.inputs
    if old.attribute("consumed_inputs") is None and axis is None and not spread:
        return None
    made = []
    if axis is not None and spread:
        rank, own = old.rank(names[0]), old.kind(names[1]).shape
        place = axis % rank
        shape = [*own, *(1,) * (rank - place - len(own))]
        target = old.integers(shape, "shape")
        made.append(old.part("Reshape", [names[1], target], "spread"))
        names[1] = made[-1].output[0]
    return [*made, old.changed(names, ("axis", "broadcast", "consumed_inputs"))]


def _slopes(old: Old) -> list[Any] | None:
    """PRelu's slopes: one, or one per channel."""
    shape, rank = old.kind(old.input(1)).shape, old.rank(old.input(0))
    if len(shape) != 1 or shape == (1,) or rank < 3:
        return _without(old)
    target = old.integers([*shape, *(1,) * (rank - 2)], "shape")
    made = old.part("Reshape", [old.input(1), target], "slopes")
    return [made, old.changed([old.input(0), made.output[0]], ("consumed_inputs",))]


def _without(old: Old, *more: str) -> list[Any] | None:
    """The node without hints on memory, and ``more``; None if it has none of them."""
    drop = ("consumed_inputs", *more)
    if all(old.attribute(name) is None for name in drop):
        return None
    return [old.changed(old.inputs, drop)]


def _gemm(old: Old) -> list[Any] | None:
    return _without(old, "broadcast")


def _norm(old: Old) -> list[Any] | None:
    """BatchNormalization at inference, whatever its attributes were called."""
    if old.attribute("spatial", 1) != 1:
        raise Refused("BatchNormalization with a value per element", "Use spatial = 1")
    return _without(old, "is_test", "spatial")


def _cast(old: Old) -> list[Any] | None:
    kind = old.attribute("to")
    if not isinstance(kind, str):
        return None
    return [old.changed(old.inputs, to=int(onnx.TensorProto.DataType.Value(kind)))]


def _concat(old: Old) -> list[Any] | None:
    return None if old.attribute("axis") is not None else [old.changed(old.inputs, axis=1)]


def _dropout(old: Old) -> list[Any] | None:
    """Dropout at inference: nothing, and its mask leaves nothing out."""
    if old.input(2):
        return None
    nodes = [old.part("Identity", old.inputs[:1])]
    del nodes[0].output[1:]
    mask = next(iter(old.node.output[1:]), "")
    if mask:
        kept = old.constant(np.ones(old.kind(old.input(0)).shape, bool), "kept")
        nodes.append(onnx.helper.make_node("Identity", [kept], [mask]))
    return nodes


def _selu(old: Old) -> list[Any] | None:
    """Its defaults had fewer digits."""
    if old.attribute("alpha") is not None and old.attribute("gamma") is not None:
        return _without(old)
    found = {"alpha": old.attribute("alpha", 1.6732), "gamma": old.attribute("gamma", 1.0507)}
    return [old.changed(old.inputs, ("consumed_inputs",), **found)]


def _tile(old: Old) -> list[Any] | None:
    """Tile along one axis."""
    if len(old.inputs) != 3:
        return None
    repeats = np.ones(old.rank(old.input(0)), np.int64)
    repeats[int(old.given(2).reshape(-1)[0])] = int(old.given(1).reshape(-1)[0])
    return [old.changed([old.input(0), old.constant(repeats, "repeats")])]


def _clip(old: Old) -> list[Any] | None:
    """The limits as inputs."""
    limits = [old.attribute("min"), old.attribute("max")]
    if limits == [None, None] and old.attribute("consumed_inputs") is None:
        return None
    names = [
        "" if limit is None else old.constant(np.float32(limit), part)
        for limit, part in zip(limits, ("min", "max"), strict=True)
    ]
    return [old.changed([old.input(0), *names], ("min", "max", "consumed_inputs"))]


def _pad(old: Old) -> list[Any] | None:
    pads = old.attribute("pads", old.attribute("paddings"))
    if pads is None:
        return None
    level = old.constant(np.float32(old.attribute("value", 0.0)), "value")
    names = [old.input(0), old.integers(pads, "pads"), level]
    return [old.changed(names, ("pads", "paddings", "value"))]


def _as_inputs(*attributes: str) -> Rewrite:
    """Integers that were attributes, as inputs after the first."""

    def rewrite(old: Old) -> list[Any] | None:
        found = [old.attribute(name) for name in attributes]
        if all(values is None for values in found):
            return None
        names = [
            "" if values is None else old.integers(np.ravel(values), name)
            for name, values in zip(attributes, found, strict=True)
        ]
        return [old.changed([old.input(0), *names], attributes)]

    return rewrite


def _slice(old: Old) -> list[Any] | None:
    starts, ends, axes = (old.attribute(name) for name in ("starts", "ends", "axes"))
    if starts is None or ends is None:
        return None
    chosen = range(len(starts)) if axes is None else axes
    given = {"starts": starts, "ends": ends, "axes": chosen}
    names = [old.integers(values, part) for part, values in given.items()]
    return [old.changed([old.input(0), *names], tuple(given))]


def _flat(old: Old) -> list[Any] | None:
    """Softmax and its like over all axes from ``axis`` on, as one axis."""
    shape = old.kind(old.input(0)).shape
    axis = old.attribute("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    if prod(shape[axis + 1 :]) == 1 and axis < len(shape):
        return [old.changed(old.inputs, axis=axis)]
    flat = old.integers([prod(shape[:axis]), prod(shape[axis:])], "flat")
    whole = old.integers(shape, "whole")
    first = old.part("Reshape", [old.input(0), flat], "rows")
    second = old.part(old.node.op_type, first.output[:], "result", axis=1)
    return [first, second, old.part("Reshape", [second.output[0], whole])]


def _resize(old: Old) -> list[Any] | None:
    """Upsample, and the first Resize: by scales, corner to corner."""
    if old.node.op_type == "Resize" and old.opset >= 11:
        return None
    scales = old.attribute("scales")
    name = old.input(1)
    if scales is not None:
        name = old.constant(np.array(scales, np.float32), "scales")
    mode = old.attribute("mode", "nearest")
    attrs = {"mode": "linear" if mode == "bilinear" else mode}
    common = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return [old.part("Resize", [old.input(0), "", name], **attrs, **common)]


def _squeeze(old: Old) -> list[Any] | None:
    """The axes that Squeeze takes by itself: all of size 1 but an open batch."""
    if old.input(1):
        return None
    shape = old.kind(old.input(0)).shape
    first = 1 if old.symbolic and shape[:1] == (1,) else 0
    axes = [a for a, size in enumerate(shape) if size == 1 and a >= first]
    if not axes:
        return [old.part("Identity", [old.input(0)])]
    return [old.changed([old.input(0), old.integers(axes, "axes")])]


def _cast_like(old: Old) -> list[Any] | None:
    return [old.part("Cast", [old.input(0)], to=old.kind(old.input(1)).element)]


def _summed(old: Old) -> list[Any] | None:
    """Sum and Mean of any number of values."""
    names, mean = old.inputs, old.node.op_type == "Mean"
    if not mean and len(names) == 2:
        return None
    if len(names) == 1:
        return [old.part("Identity", names)]
    last = len(names) - 2
    nodes: list[Any] = []
    for place, name in enumerate(names[1:]):
        first = nodes[-1].output[0] if nodes else names[0]
        nodes.append(old.part("Add", [first, name], "" if place == last and not mean else "sum"))
    if mean:
        part = old.constant(np.array(1 / len(names), _dtype(old)), "part")
        nodes.append(old.part("Mul", [nodes[-1].output[0], part]))
    return nodes


def _dtype(old: Old) -> Any:
    return onnx.helper.tensor_dtype_to_np_dtype(old.kind(old.input(0)).element)


_BEFORE_7: dict[str, Rewrite] = {
    **dict.fromkeys("Add And Div Equal Greater Less Mul Or Pow Sub Xor".split(), _broadcast),
    **dict.fromkeys(
        """
        Abs Ceil Elu Exp Floor HardSigmoid LeakyRelu Log Max Mean Min Neg Reciprocal Relu Sigmoid
        Sqrt Sum Tanh InstanceNormalization
        """.split(),
        _without,
    ),
    "PRelu": _slopes,
    "Gemm": _gemm,
    "Concat": _concat,
    "Cast": _cast,
    "Tile": _tile,
    "Selu": _selu,
}
_BEFORE_13: dict[str, Rewrite] = {
    "BatchNormalization": _norm,
    "Clip": _clip,
    "Dropout": _dropout,
    "Pad": _pad,
    "Reshape": _as_inputs("shape"),
    "TopK": _as_inputs("k"),
    "Split": _as_inputs("split"),
    "Squeeze": _as_inputs("axes"),
    "Unsqueeze": _as_inputs("axes"),
    "ReduceSum": _as_inputs("axes"),
    "Slice": _slice,
    "Softmax": _flat,
    "LogSoftmax": _flat,
    "Hardmax": _flat,
    "Upsample": _resize,
    "Resize": _resize,
}
_ALWAYS: dict[str, Rewrite] = {
    "Squeeze": _squeeze, "CastLike": _cast_like, "Sum": _summed, "Mean": _summed,
}  # fmt: skip
