"""Small TensorFlow Lite networks, float or quantized, run with LiteRT's reference kernels.

A ``Net`` names tensors and operators. Sizes and ranges are those that the float interpreter finds,
so a row of a table holds operators and constants only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from benchmarks.made.tflite_writer import Net, Operator, Tensor, op, written
from mcuq.ir import Array

__all__ = [
    "Net", "Tensor", "by_channel", "net", "op", "quantized", "run", "sized", "written",
]  # fmt: skip

KEEPS = (
    "MAX_POOL_2D AVERAGE_POOL_2D RESHAPE SQUEEZE EXPAND_DIMS TRANSPOSE PAD PADV2 MIRROR_PAD "
    "CONCATENATION PACK UNPACK SPLIT SPLIT_V SLICE STRIDED_SLICE GATHER TILE BROADCAST_TO "
    "REVERSE_V2 SPACE_TO_DEPTH DEPTH_TO_SPACE SPACE_TO_BATCH_ND BATCH_TO_SPACE_ND NEG "
    "RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REDUCE_MAX REDUCE_MIN MAXIMUM MINIMUM SELECT_V2 "
    "SELECT TOPK_V2 GATHER_ND REVERSE_SEQUENCE EMBEDDING_LOOKUP"
).split()
"""Operators whose operands and results have one scale."""
FIXED = {
    "SOFTMAX": (256, -128), "LOGISTIC": (256, -128), "TANH": (128, 0),
    "L2_NORMALIZATION": (128, 0), "LOG_SOFTMAX": (16, 127),
}  # fmt: skip
"""Steps per one, and zero point, that the int8 kernels demand of their result."""
CHANNELS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "TRANSPOSE_CONV": 0, "FULLY_CONNECTED": 0}
_WEIGHTS = {"CONV_2D": (1, 2), "DEPTHWISE_CONV_2D": (1, 2), "FULLY_CONNECTED": (1, 2),
            "TRANSPOSE_CONV": (1, 3)}  # fmt: skip


def net(
    operators: Sequence[Operator],
    inputs: Mapping[str, tuple[int, ...]] | None = None,
    constants: Mapping[str, Array] | None = None,
    types: Mapping[str, str] | None = None,
    outputs: str = "y",
    states: Mapping[str, tuple[int, ...]] | None = None,
) -> Net:
    """A float network; ``sized`` finds the shapes of what it computes."""
    inputs, types = inputs or {"x": (1, 6, 5, 4)}, types or {}
    tensors = {name: Tensor(shape, types.get(name, "float32")) for name, shape in inputs.items()}
    for name, data in (constants or {}).items():
        array = np.asarray(data)
        tensors[name] = Tensor(array.shape, array.dtype.name, array)
    for name, shape in (states or {}).items():
        tensors[name] = Tensor(shape, variable=True)
    for each in operators:
        for name in (*each.inputs, *each.outputs):
            if name != "-":
                tensors.setdefault(name, Tensor((), types.get(name, "float32")))
    return Net(tuple(operators), tensors, tuple(inputs), tuple(outputs.split()))


def sized(made: Net) -> Net:
    """``made`` with the shapes that the interpreter gives its tensors."""
    shapes = _shapes(made)
    tensors = {n: replace(t, shape=shapes.get(n, t.shape)) for n, t in made.tensors.items()}
    return replace(made, tensors=tensors)


def _shapes(made: Net) -> dict[str, tuple[int, ...]]:
    runner = interpreter(written(made))
    return {d["name"]: tuple(map(int, d["shape"])) for d in runner.get_tensor_details()}


def interpreter(content: bytes) -> Any:
    """An interpreter that keeps every tensor, with the reference kernels if it has them all."""
    try:
        runner = _interpreter(content, OpResolverType.BUILTIN_REF)
    except ValueError:  # a few operators have no reference kernel
        runner = _interpreter(content, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    runner.allocate_tensors()
    return runner


def _interpreter(content: bytes, kernels: OpResolverType) -> Any:
    return Interpreter(
        model_content=content,
        experimental_op_resolver_type=kernels,
        experimental_preserve_all_tensors=True,
    )


def run(content: bytes, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Every output, in real numbers, for real ``feeds`` by tensor name."""
    return _values(content, feeds, "get_output_details")


def _values(content: bytes, feeds: Mapping[str, Array], which: str) -> dict[str, Array]:
    runner = interpreter(content)
    for detail in runner.get_input_details():
        runner.set_tensor(detail["index"], _stored(feeds[detail["name"]], detail))
    runner.invoke()
    found = {}
    for detail in getattr(runner, which)():
        try:
            values = runner.get_tensor(detail["index"])
        except ValueError:  # a tensor that the kernels do not hold
            continue
        scale, zero = detail["quantization"]
        found[detail["name"]] = (values.astype(np.float64) - zero) * scale if scale else values
    return found


def _stored(reals: Array, detail: Mapping[str, Any]) -> Array:
    scale, zero = detail["quantization"]
    dtype = np.dtype(detail["dtype"])
    if not scale:
        return np.asarray(reals, dtype)
    limits = np.iinfo(dtype)
    steps = np.round(np.asarray(reals, np.float64) / scale) + zero
    return np.asarray(np.clip(steps, limits.min, limits.max), dtype)


# Quantization as the converter does it.


def quantized(made: Net, feeds: Mapping[str, Array], kind: str = "int8") -> Net:
    """``made`` with activations of ``kind`` (int8, uint8, int16), weights and biases to match."""
    values = _values(written(made), feeds, "get_tensor_details")
    tensors = dict(made.tensors)
    roots = _shared(made)
    for name, tensor in made.tensors.items():
        if tensor.type == "float32":
            members = [n for n in roots if roots[n] == roots.get(name, name)] or [name]
            joined = np.concatenate([values[m].reshape(-1) for m in members if m in values])
            scale, zero = _numbers(joined, kind)
            tensors[name] = _as(tensor, scale, zero, kind)
    for each in made.operators:
        if each.op in FIXED:
            steps, zero = (32768, 0) if kind == "int16" else FIXED[each.op]
            moved = zero + 128 if kind == "uint8" else zero
            result = made.tensors[each.outputs[0]]
            tensors[each.outputs[0]] = _as(result, 1 / steps, moved, kind)
        if each.op in _WEIGHTS:
            _layer(each, made, tensors, kind)
    return replace(made, tensors=tensors)


def _shared(made: Net) -> dict[str, str]:
    """The representative of each tensor whose scale is that of others."""
    root: dict[str, str] = {}

    def find(name: str) -> str:
        while root.setdefault(name, name) != name:
            name = root[name]
        return name

    for each in made.operators:
        if each.op in KEEPS:
            names = [n for n in (*each.inputs, *each.outputs) if n != "-"]
            reals = [n for n in names if made.tensors[n].type == "float32"]
            for name in reals[1:]:
                root[find(name)] = find(reals[0])
    return {name: find(name) for name in root}


def _numbers(values: Array, kind: str) -> tuple[float, int]:
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    if kind == "int16":
        return max(-low, high, 1e-3) / 32767, 0
    scale = max(high - low, 1e-3) / 255
    zero = int(np.clip(round(-low / scale), 0, 255))
    return scale, zero if kind == "uint8" else zero - 128


def _as(tensor: Tensor, scale: float, zero: int, kind: str) -> Tensor:
    data = tensor.data
    if data is not None:
        limits = np.iinfo(kind)
        data = np.clip(np.round(data / scale) + zero, limits.min, limits.max).astype(kind)
    return replace(tensor, type=kind, data=data, scales=(scale,), zeros=(zero,))


def _layer(each: Operator, made: Net, tensors: dict[str, Tensor], kind: str) -> None:
    """Weights with a scale per channel (uint8: one), the bias in the scale of the sums."""
    weights, bias = _WEIGHTS[each.op]
    name = each.inputs[weights]
    data = made.tensors[name].data
    assert data is not None
    source = each.inputs[2 if each.op == "TRANSPOSE_CONV" else 0]
    if kind == "uint8":
        scale, zero = _numbers(data, kind)
        tensors[name] = _as(made.tensors[name], scale, zero, kind)
        scales = np.full(data.shape[CHANNELS[each.op]], scale)
    else:
        tensors[name] = by_channel(made.tensors[name], CHANNELS[each.op])
        scales = np.array(tensors[name].scales)
    if len(each.inputs) > bias and each.inputs[bias] != "-":
        old = made.tensors[each.inputs[bias]]
        assert old.data is not None
        steps = scales * tensors[source].scales[0]
        wide = "int64" if kind == "int16" else "int32"
        whole = np.round(old.data / steps).astype(wide)
        several = tuple(map(float, steps)) if kind != "uint8" else (float(steps[0]),)
        tensors[each.inputs[bias]] = Tensor(old.shape, wide, whole, several, (0,) * len(several))


def by_channel(tensor: Tensor, axis: int) -> Tensor:
    """Symmetric int8 weights with a scale for each index of ``axis``."""
    data = tensor.data
    assert data is not None
    others = tuple(a for a in range(data.ndim) if a != axis)
    scales = np.maximum(np.abs(data).max(axis=others), 1e-6) / 127
    shape = [1] * data.ndim
    shape[axis] = -1
    whole = np.clip(np.round(data / scales.reshape(shape)), -127, 127).astype(np.int8)
    return replace(
        tensor, type="int8", data=whole, scales=tuple(map(float, scales)),
        zeros=(0,) * len(scales), axis=axis,
    )  # fmt: skip
