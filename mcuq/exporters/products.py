"""How products of computed values and norms are written in ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from mcuq.exporters.clips import bare, clip_to
from mcuq.exporters.values import Value, Values
from mcuq.importers.nodes import layout
from mcuq.importers.nodes.layout import Map
from mcuq.ir import Array, Node, Shape
from mcuq.ops import matmul as products
from mcuq.ops import normalize as norms
from mcuq.ops.spec import fused_clip


def matmul(values: Values, node: Node) -> Value:
    """MatMul of (batch, batch, row, product) and (batch, batch, product, column)."""
    places_a, places_b, places_out = products.operand_places(node)
    names = [
        _operand(values, node, name, places)
        for name, places in zip(node.inputs, (places_a, places_b.swapaxes(2, 3)), strict=True)
    ]
    made = values.emit_as("MatMul", node.name, bare(node), names)
    return _limited(values, node, made, (1, *places_out.shape), places_out.reshape(-1))


def _limited(values: Values, node: Node, made: str, shape: Shape, places: Map) -> Value:
    name = clip_to(values, fused_clip(node), f"{node.name}.clip", made, node.output)
    return Value(name, shape, places)


def _operand(values: Values, node: Node, name: str, places: Map) -> str:
    """The elements at ``places`` in the memory of the tensor ``name``: moved, or taken."""
    data = values.graph.tensors[name].data
    if data is not None:
        return values.constant(name, data.reshape(-1)[places])
    flat, known = places.reshape(-1), values.known[name]
    shape = (1, *places.shape)
    if len(flat) == len(known.places) and len(np.unique(flat)) == len(flat):
        return values.moved(known, flat, shape).name
    row = values.moved(known, known.places, (1, len(known.places))).name
    indices = values.constant(f"{node.name}.indices", layout.inverse(known.places)[places])
    return values.emit("Gather", f"{node.name}.taken", [row, indices], axis=1)


def normalize(values: Values, node: Node) -> Value:
    """LayerNormalization of rows; not centered, their division by the root of their mean square."""
    x, *names = node.inputs
    scale, bias = (values.graph.data(name) for name in names)
    outer, count, groups, inner = node.ints("sizes")
    places = layout.identity(outer * count * groups * inner).reshape(outer, count, groups, inner)
    lying = places.transpose(0, 2, 1, 3).reshape(-1)
    shape = (1, outer * groups, count * inner)
    rows = values.moved(values.known[x], lying, shape).name
    label, epsilon = node.name, max(float(node.attrs["epsilon"]), norms.TINY)
    if node.attrs["centered"] and groups == 1 and len(scale) == shape[2]:
        given = [values.constant(n, data) for n, data in zip(names, (scale, bias), strict=True)]
        attrs = {"axis": -1, "epsilon": epsilon}
        made = values.emit_as("LayerNormalization", label, bare(node), [rows, *given], **attrs)
        return _limited(values, node, made, shape, lying)
    even = _even(values, label, rows, epsilon, shape[2], bool(node.attrs["centered"]))
    wide = (1, len(lying) // len(scale), len(scale))
    flat = values.moved(Value(even, shape, lying), layout.identity(len(lying)), wide).name
    made = _scaled(values, node, flat, names, (scale, bias))
    return _limited(values, node, made, wide, layout.identity(prod(wide)))


def _even(values: Values, label: str, rows: str, epsilon: float, width: int, centered: bool) -> str:
    """Rows with a mean of 0, if ``centered``, and a mean square of 1."""
    if centered:
        ones = values.constant(f"{label}.ones", np.ones(width))
        attrs = {"axis": -1, "epsilon": epsilon}
        return values.emit("LayerNormalization", f"{label}.even", [rows, ones], **attrs)
    square = values.emit("Mul", f"{label}.square", [rows, rows])
    mean = values.emit("ReduceMean", f"{label}.mean", [square], axes=[-1], keepdims=1)
    small = values.constant(f"{label}.epsilon", np.array(epsilon))
    total = values.emit("Add", f"{label}.sum", [mean, small])
    root = values.emit("Sqrt", f"{label}.root", [total])
    return values.emit("Div", f"{label}.even", [rows, root])


def _scaled(
    values: Values, node: Node, flat: str, names: Sequence[str], numbers: Sequence[Array]
) -> str:
    """``flat`` times the first numbers, plus the second."""
    given = [values.constant(n, data) for n, data in zip(names, numbers, strict=True)]
    product = values.emit("Mul", f"{node.name}.scaled", [flat, given[0]])
    return values.emit_as("Add", node.name, bare(node), [product, given[1]])
