"""Products of two computed tensors: MatMul, Einsum and Gemm.

Every axis has a label, as in Einsum. What a product needs of its operands is only where the
elements lie, so transposed, reshaped and sliced operands are read as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, prod

import numpy as np

from mcuq.importers.nodes import layout
from mcuq.importers.nodes.builder import Builder, Refused, Value
from mcuq.importers.nodes.call import NodeCall
from mcuq.importers.nodes.elementwise import with_constant
from mcuq.importers.nodes.layout import Map, plain_shape
from mcuq.ir import Array, Shape
from mcuq.ops.movement import copy

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Loop:
    """A loop of the product: its size and its steps through a, b and the output."""

    size: int
    a: int
    b: int
    out: int

    def joined(self, inner: Loop) -> Loop | None:
        """This loop and the one inside it as one, if one step says both."""
        steps = (self.a, self.b, self.out)
        if steps != tuple(inner.size * step for step in (inner.a, inner.b, inner.out)):
            return None
        return replace(inner, size=self.size * inner.size)


ONCE = Loop(1, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Side:
    """An operand: its tensor, the place of its first element, and the step of each label."""

    tensor: str
    start: int
    steps: Mapping[str, int]


@dataclass(frozen=True)
class Parts:
    """The labels of a product by what they are, and the size of each."""

    sizes: Mapping[str, int]
    batch: Labels
    rows: Labels
    columns: Labels
    depth: Labels

    def lying(self, b: Side) -> Labels:
        """How the output lies: the batch between rows and columns where operand b has it so."""
        columns, batch, depth = (
            [b.steps[n] for n in names] for names in (self.columns, self.batch, self.depth)
        )
        if columns and batch and depth and max(columns) < min(batch) <= max(batch) < min(depth):
            return (*self.rows, *self.batch, *self.columns)
        return (*self.batch, *self.rows, *self.columns)

    def loops(self, a: Side, b: Side) -> tuple[Loop, ...] | None:
        """Two of the batch, rows, columns, products; None where that takes more."""
        out: dict[str, int] = {}
        step = 1
        for label in reversed(self.lying(b)):
            out[label] = step
            step *= self.sizes[label]

        def nested(labels: Labels) -> list[Loop]:
            return _joined(
                Loop(self.sizes[n], a.steps.get(n, 0), b.steps.get(n, 0), out.get(n, 0))
                for n in labels
            )

        rows, columns, depth = nested(self.rows), nested(self.columns), nested(self.depth)
        outer = [*nested(self.batch), *rows[:-1], *columns[:-1]]
        if len(outer) > 2 or len(depth) > 1:
            return None
        inner = (found[-1] if found else ONCE for found in (rows, columns, depth))
        return (*[ONCE] * (2 - len(outer)), *outer, *inner)


def _joined(loops: Iterable[Loop]) -> list[Loop]:
    found: list[Loop] = []
    for loop in loops:
        both = found[-1].joined(loop) if found else None
        if both is None:
            found.append(loop)
        else:
            found[-1] = both
    return found


def product(call: NodeCall, labels: Sequence[Labels], result: Labels) -> Value:
    """The sum, over the labels that ``result`` leaves out, of the products of two operands."""
    given = [_operand(call, index) for index in (0, 1)]
    sizes = _sizes([v.shape for v in given], labels)
    factor = 1.0
    for index, value in enumerate(given):
        given[index], times = _without_factor(call.builder, value)
        factor *= times
    operands = [_without_ones(v, names) for v, names in zip(given, labels, strict=True)]
    kept = tuple(n for n in result if sizes[n] > 1)
    parts = _parts(sizes, operands[0][1], operands[1][1], kept)
    orders = (*parts.batch, *parts.rows), (*parts.batch, *parts.columns)
    for moved in (False, True):
        a, b = (
            _side(call, i, operand, (*order, *parts.depth), parts.depth if moved or not i else ())
            for i, (operand, order) in enumerate(zip(operands, orders, strict=True))
        )
        loops = parts.loops(a, b)
        if loops is not None:
            lying = parts.lying(b)
            tensor = _emitted(call, (a, b), loops, [sizes[n] for n in lying])
            axes = [result.index(n) for n in (*(n for n in result if n not in kept), *lying)]
            shape = tuple(sizes[n] for n in result)
            made = Value(shape, tensor, layout.with_axes(shape, axes))
            return times_number(call, made, factor)
    raise Refused("operands that repeat along several axes", "Expand one of them before")


def times_number(call: NodeCall, value: Value, factor: float) -> Value:
    """``value`` times a constant."""
    if factor == 1.0:
        return value
    return with_constant(call, "mul", value, call.builder.constant, np.array(factor))


def _without_factor(builder: Builder, operand: Value | Array) -> tuple[Value | Array, float]:
    """The operand before it was multiplied with one number, and that: it goes behind the sum."""
    factor = 1.0
    while isinstance(operand, Value) and builder.makers.get(operand.tensor) == "mul":
        node = next(n for n in builder.nodes if n.output == operand.tensor)
        data = {n: builder.tensors[n].data for n in node.inputs}
        numbers = [d for d in data.values() if d is not None and d.size == 1]
        sources = [n for n, d in data.items() if d is None]
        if len(numbers) != 1 or len(sources) != 1:
            break
        factor *= float(numbers[0].reshape(()))
        order = builder.order.get(sources[0])  # an input's view is of the user's order
        view = operand.view if order is None else np.argsort(order)[operand.view]
        operand = Value(operand.shape, sources[0], view)
    return operand, factor


def _operand(call: NodeCall, index: int) -> Value | Array:
    return call.value(index) if isinstance(call.operand(index), Value) else call.constant(index)


def _parts(sizes: Mapping[str, int], left: Labels, right: Labels, result: Labels) -> Parts:
    parts = Parts(
        sizes,
        tuple(n for n in result if n in left and n in right),
        tuple(n for n in result if n not in right),
        tuple(n for n in result if n not in left),
        tuple(n for n in left if n in right and n not in result),
    )
    if {*left, *right} != {*result, *parts.depth}:
        raise Refused("a sum over an axis of one operand alone", "Reduce it before the product")
    return parts


def _emitted(
    call: NodeCall, sides: Sequence[Side], loops: Sequence[Loop], lying: Sequence[int]
) -> str:
    first, second, rows, columns, depth = loops
    width, head = (lying[-1] if lying else 1), (lying[0] if len(lying) > 2 else 1)
    near = depth.size == 1
    return call.emit(
        "matmul", [side.tensor for side in sides],
        shape=(1, head, prod(lying) // (head * width), width),
        sizes=tuple(loop.size for loop in loops),
        start_a=sides[0].start, start_b=sides[1].start,
        steps_a=(first.a, second.a, rows.a, 1 if near else depth.a),
        steps_b=(first.b, second.b, columns.b, 1 if near else depth.b),
        steps_out=(first.out, second.out, rows.out, columns.out),
        clip=(-inf, inf),
    )  # fmt: skip


def _sizes(shapes: Sequence[Shape], labels: Sequence[Labels]) -> dict[str, int]:
    """The size of each label; axes of 1 repeat."""
    sizes: dict[str, int] = {}
    for shape, names in zip(shapes, labels, strict=True):
        if len(names) != len(shape) or len(set(names)) < len(names):
            raise Refused(f"the axes of {shape} named '{''.join(names)}'", "Name each axis once")
        for name, size in zip(names, shape, strict=True):
            if sizes.setdefault(name, size) == 1:
                sizes[name] = size
            elif size not in (1, sizes[name]):
                raise Refused(f"axes of {sizes[name]} and {size} elements that should agree")
    return sizes


def _without_ones(operand: Value | Array, names: Labels) -> tuple[Value | Array, Labels]:
    """The operand and its labels without axes of 1: the product repeats along them."""
    kept = tuple(n for n, size in zip(names, operand.shape, strict=True) if size > 1)
    shape = tuple(size for size in operand.shape if size > 1)
    if isinstance(operand, Value):
        return replace(operand, shape=shape), kept
    return operand.reshape(shape), kept


def _side(
    call: NodeCall, index: int, operand: tuple[Value | Array, Labels], order: Labels, near: Labels
) -> Side:
    """Where operand ``index`` lies: in ``order`` if it is new; moved to it if need be.

    The last label of ``near`` has to lie element by element.
    """
    given, names = operand
    axes = [names.index(n) for n in order]
    steps = {n: prod(given.shape[a] for a in axes[i + 1 :]) for i, n in enumerate(order)}
    if not isinstance(given, Value):
        return Side(call.weights(index, given.transpose(axes).reshape(1, -1)), 0, steps)
    builder = call.builder
    if given.tensor in builder.open:  # an input stays in the order of the user
        whole = builder.memory(given)
        own = layout.identity(prod(whole))
        builder.settle(Value(whole, given.tensor, own), own, plain_shape(whole))
    tensor, places = _source(builder, given)
    found = layout.strides(places - places[0], given.shape)
    if found is not None:
        known = dict(zip(names, found, strict=True))
        if not near or known[near[-1]] == 1:
            return Side(tensor, int(places[0]), known)
    wanted = layout.with_axes(given.shape, axes)
    memory = plain_shape((1, *(given.shape[a] for a in axes)))
    return Side(builder.place(given, wanted, memory), 0, steps)


def _source(builder: Builder, value: Value) -> tuple[str, Map]:
    """The tensor and places of ``value``; those before a copy where steps can say them, too."""
    tensor, places = value.tensor, builder.places(value)
    while builder.makers.get(tensor) == "copy":
        node = next(n for n in builder.nodes if n.output == tensor)
        before = copy.sources(node)[places]
        if layout.strides(before - before[0], value.shape) is None:
            break
        tensor, places = node.inputs[0], before
    return tensor, places


def matmul_labels(left: int, right: int) -> tuple[Labels, Labels, Labels]:
    """The labels of a MatMul of so many axes each.

    >>> ["".join(names) for names in matmul_labels(3, 2)]
    ['amk', 'kn', 'amn']
    """
    batch = tuple("abcdefgh"[: max(left, right, 2) - 2])
    rows = ("m",) if left > 1 else ()
    columns = ("n",) if right > 1 else ()
    first = (*batch[len(batch) - max(0, left - 2) :], *rows, "k")
    second = (*batch[len(batch) - max(0, right - 2) :], "k", *columns)
    return first, second, (*batch, *rows, *columns)


def einsum(call: NodeCall) -> Value:
    """Einsum of two operands that is a product of matrices."""
    text = call.text("equation", "").replace(" ", "")
    terms, arrow, result = text.partition("->")
    labels = [tuple(term) for term in terms.split(",")]
    if len(labels) != 2 or len(call.inputs) != 2 or "." in text:
        raise Refused(f"Einsum '{text}'", "Use two operands, and a letter for each axis")
    if not arrow:
        both = [n for names in labels for n in names]
        result = "".join(sorted(n for n in both if both.count(n) == 1))
    if len(set(result)) < len(result) or not set(result) <= {n for t in labels for n in t}:
        raise Refused(f"Einsum '{text}'", "Name each axis of the result once")
    return product(call, labels, tuple(result))
