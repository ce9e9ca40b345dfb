"""Builds QDQ models: a float model and an integer network of the same tensors, written as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import numpy_helper
from onnx_models import Model, model, node

from mcuq.fixed import half
from mcuq.ir import Array
from mcuq.qir import QGraph

signed = np.int8


def unsigned(zero: int) -> np.uint8:
    """The zero point of the same integers without a sign."""
    return np.uint8(zero + 128)


def pair(source: str, result: str, scale: float, zero: Any) -> tuple[list[Any], dict[str, Array]]:
    """QuantizeLinear and DequantizeLinear from ``source`` to ``result``, and their constants."""
    names = f"{result}.scale {result}.zero"
    nodes = [
        node("QuantizeLinear", f"{source} {names}", f"{result}.q"),
        node("DequantizeLinear", f"{result}.q {names}", result),
    ]
    return nodes, {f"{result}.scale": np.float32(scale), f"{result}.zero": zero}


def as_qdq(proto: Model, qgraph: QGraph, zeros: Callable[[int], Any]) -> Model:
    """``proto``, whose tensors are those of ``qgraph``, with all of its numbers as QDQ pairs."""
    kept = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
    constants: dict[str, Array] = {}
    nodes: list[Any] = []
    paired = {"x": "x.pair"}
    made, added = pair("x", "x.pair", *_numbers(qgraph, "x", zeros))
    nodes += made
    constants.update(added)
    for old in proto.graph.node:
        inputs = [paired.get(name, name) for name in old.input]
        if old.op_type in ("Conv", "Gemm"):
            added = _parameters(qgraph, old, kept[old.input[1]].shape)
            constants.update(added)
            for name in old.input[1:]:
                parts = f"{name}.q {name}.scale {name}.zero"
                nodes.append(node("DequantizeLinear", parts, name, axis=0))
        constants.update((n, kept[n]) for n in inputs if n in kept and old.op_type == "Reshape")
        attrs = {a.name: _value(a) for a in old.attribute}
        name = old.output[0]
        nodes.append(node(old.op_type, " ".join(inputs), name, **attrs))
        if name in qgraph.tensors:
            paired[name] = f"{name}.pair"
            made, added = pair(name, paired[name], *_numbers(qgraph, name, zeros))
            nodes += made
            constants.update(added)
    return model(nodes, constants, outputs=paired["y"])


def _value(attribute: Any) -> Any:
    import onnx

    return onnx.helper.get_attribute_value(attribute)


def _numbers(qgraph: QGraph, name: str, zeros: Callable[[int], Any]) -> tuple[float, Any]:
    tensor = qgraph.tensors[name]
    assert isinstance(tensor.frac, int)
    return 2.0**-tensor.frac, zeros(tensor.zero)


def _parameters(qgraph: QGraph, old: Any, shape: tuple[int, ...]) -> dict[str, Array]:
    """The integers of weights and bias in ONNX's layout, the rounding taken out of the bias."""
    layer = next(n for n in qgraph.nodes if n.name == old.name)
    w, b = (qgraph.tensors[n] for n in layer.inputs[1:])
    x, y = qgraph.tensors[layer.inputs[0]], qgraph.tensors[layer.output]
    assert w.data is not None
    assert b.data is not None
    rows = w.data.transpose(2, 0, 1)[..., None] if w.data.ndim == 3 else w.data
    sums = rows.astype(np.int64).reshape(len(rows), -1).sum(axis=1)
    shift = np.array(layer.attrs["shift"])
    rounding = np.array([half(int(s)) for s in shift])
    bias = b.data + x.zero * sums - rounding - (y.zero << shift)
    weights = rows.transpose(0, 3, 1, 2) if rows.ndim == 4 else rows
    found = {}
    for name, data, frac in zip(old.input[1:], (weights, bias), (w.frac, b.frac), strict=True):
        kind = np.int8 if data is weights else np.int32
        found[f"{name}.q"] = data.astype(kind)
        found[f"{name}.scale"] = (2.0 ** -np.array(frac, np.float64)).astype(np.float32)
        found[f"{name}.zero"] = np.zeros(len(data), kind)
    assert found[f"{old.input[1]}.q"].shape == shape
    return found
