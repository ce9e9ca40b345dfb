"""Standard operators that are others put together: written out, so that these compute them.

What replaces a node depends on shapes and constants alone.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from string import ascii_letters
from typing import Any

import numpy as np

from mcuq.importers.nodes.builder import Refused, check_size
from mcuq.importers.nodes.call import axis_of
from mcuq.importers.standard.modern import Old
from mcuq.ir import Array, Shape

Rewrite = Callable[[Old], list[Any] | None]
MAX_FACTORS = 64
"""A product of more values is not written out."""


def _writing(node: Any, name: str) -> Any:
    """``node``, which writes ``name``."""
    node.output[:] = [name]
    return node


def _axes(old: Old, rank: int) -> tuple[int, ...] | None:
    """The axes of a reduction, counted from the front; None where it reduces nothing."""
    given = old.attribute("axes")
    if given is None and old.input(1):
        given = old.given(1).reshape(-1).tolist()
    if given is None or not len(given):
        return None if old.attribute("noop_with_empty_axes", 0) else tuple(range(rank))
    return tuple(sorted({axis_of(int(a), rank) for a in given}))


def _norm_with_statistics(old: Old) -> list[Any] | None:
    """LayerNormalization whose mean and inverse deviation are outputs: they are computed again."""
    outputs = [*old.node.output, "", ""][:3]
    if not any(outputs[1:]):
        return None
    source, rank = old.input(0), old.rank(old.input(0))
    first = axis_of(int(old.attribute("axis", -1)), rank)
    axes = old.integers(range(first, rank), "axes")
    norm = old.changed(old.inputs, stash_type=1)
    del norm.output[1:]
    mean = old.part("ReduceMean", [source, axes], "mean", keepdims=1)
    below = old.part("Sub", [source, mean.output[0]], "below")
    square = old.part("Mul", [below.output[0]] * 2, "square")
    spread = old.part("ReduceMean", [square.output[0], axes], "spread", keepdims=1)
    small = old.constant(np.float32(old.attribute("epsilon", 1e-5)), "epsilon")
    total = old.part("Add", [spread.output[0], small], "sum")
    root = old.part("Sqrt", total.output[:], "root")
    nodes = [norm] if outputs[0] else []
    if outputs[1]:
        nodes += [_writing(old.part("ReduceMean", [source, axes], "m", keepdims=1), outputs[1])]
    if outputs[2]:
        last = _writing(old.part("Reciprocal", root.output[:], "i"), outputs[2])
        nodes += [mean, below, square, spread, total, root, last]
    return nodes


def _product(old: Old) -> list[Any] | None:
    """ReduceProd: the factors, one by one."""
    shape = old.kind(old.input(0)).shape
    axes = _axes(old, len(shape))
    if axes is None:
        return [old.part("Identity", [old.input(0)])]
    rest = [a for a in range(len(shape)) if a not in axes]
    count, keep = prod(shape[a] for a in axes), old.attribute("keepdims", 1)
    if count > MAX_FACTORS:
        raise Refused(f"ReduceProd of {count} values", f"Multiply {MAX_FACTORS} at most")
    turned = old.part("Transpose", [old.input(0)], "turned", perm=[*rest, *axes])
    columns = old.integers([prod(shape[a] for a in rest), count], "columns")
    table = old.part("Reshape", [turned.output[0], columns], "table")
    nodes, factors = [turned, table], []
    for index in range(count):
        place = old.integers([index], "place")
        factor = old.part("Gather", [table.output[0], place], "factor", axis=1)
        nodes.append(factor)
        factors.append(factor.output[0])
    while len(factors) > 1:
        product = old.part("Mul", factors[:2], "product")
        nodes.append(product)
        factors = [*factors[2:], product.output[0]]
    kept = [1 if a in axes else s for a, s in enumerate(shape) if keep or a not in axes]
    return [*nodes, old.part("Reshape", [factors[0], old.integers(kept, "shape")])]


def _local_response(old: Old) -> list[Any]:
    """LRN: x * (bias + alpha / size * the sum of the squares of channels beside it) ** -beta."""
    name, shape = old.input(0), old.kind(old.input(0)).shape
    size, channels = int(old.attribute("size")), shape[1]
    check_size((channels, channels))
    place = np.arange(channels)
    apart = place[None, :] - place[:, None]
    near = (apart >= -((size - 1) // 2)) & (apart <= size // 2)
    weights = near * (float(old.attribute("alpha", 1e-4)) / size)
    window = (channels, channels, *(1,) * (len(shape) - 2))
    parts = {
        "weights": weights.reshape(window),
        "bias": np.full(channels, float(old.attribute("bias", 1.0))),
        "exponent": np.array(-float(old.attribute("beta", 0.75))),
    }
    names = {part: old.constant(v.astype(np.float32), part) for part, v in parts.items()}
    square = old.part("Mul", [name, name], "square")
    inputs = [square.output[0], names["weights"], names["bias"]]
    total = old.part("Conv", inputs, "sum")
    share = old.part("Pow", [total.output[0], names["exponent"]], "share")
    return [square, total, share, old.part("Mul", [name, share.output[0]])]


def _never(old: Old) -> list[Any] | None:
    """IsNaN and IsInf: integers are neither."""
    if old.input(0) in old.constants:
        return None
    nothing = np.zeros(old.kind(old.input(0)).shape, bool)
    return [old.part("Identity", [old.constant(nothing, "never")])]


def _triangle(old: Old) -> list[Any] | None:
    """Trilu of data: what lies on the other side is 0."""
    if old.input(0) in old.constants:
        return None
    shape = old.kind(old.input(0)).shape
    shift = int(old.given(1).reshape(-1)[0]) if old.input(1) else 0
    ones = np.ones(shape[-2:], np.float32)
    kept = np.triu(ones, shift) if old.attribute("upper", 1) else np.tril(ones, shift)
    return [old.part("Mul", [old.input(0), old.constant(kept, "kept")])]


def _einsum(old: Old) -> list[Any] | None:
    """Einsum of one operand, of more than two, or with an ellipsis, as sums and products of two."""
    text = str(old.attribute("equation", "")).replace(" ", "")
    terms, arrow, result = text.partition("->")
    names = terms.split(",")
    if len(names) == 2 and "." not in text and not any(len(set(n)) < len(n) for n in names):
        return None
    shapes = [old.kind(name).shape for name in old.inputs]
    if len(names) != len(shapes):
        raise Refused(f"Einsum '{text}' of {len(shapes)} operands")
    free = [c for c in ascii_letters if c not in text]
    rank = max(len(s) - len(n.replace("...", "")) for n, s in zip(names, shapes, strict=True))
    whole = "".join(free[:rank])
    labels = [
        n.replace("...", whole[rank - (len(s) - len(n.replace("...", ""))) :] if "." in n else "")
        for n, s in zip(names, shapes, strict=True)
    ]
    if not arrow:
        every = "".join(labels)
        once = sorted(c for c in set(every) if every.count(c) == 1 and c not in whole)
        result = (whole if "." in terms else "") + "".join(once)
    return _contracted(old, labels, result.replace("...", whole))


def _contracted(old: Old, labels: list[str], result: str) -> list[Any]:
    """The operands one after the other, each axis summed when nothing more reads it."""
    nodes: list[Any] = []
    name, own = _distinct(old, old.input(0), labels[0], nodes)
    for index, given in enumerate(labels[1:], 1):
        right, other = _distinct(old, old.input(index), given, nodes)
        later = {*result, *"".join(labels[index + 1 :])}
        name, own = _summed(old, name, own, {*later, *other}, nodes)
        right, other = _summed(old, right, other, {*later, *own}, nodes)
        kept = "".join(c for c in dict.fromkeys(own + other) if c in later)
        equation = f"{own},{other}->{kept}"
        nodes.append(old.part("Einsum", [name, right], "product", equation=equation))
        name, own = nodes[-1].output[0], kept
    name, own = _summed(old, name, own, set(result), nodes)
    if set(own) != set(result) or len(result) != len(own):
        raise Refused(f"Einsum to '{result}'", "Name each axis of the result once")
    perm = [own.index(c) for c in result]
    return [
        *nodes,
        old.part("Transpose", [name], perm=perm) if perm else old.part("Identity", [name]),
    ]


def _distinct(old: Old, name: str, labels: str, nodes: list[Any]) -> tuple[str, str]:
    """The operand with each label once: of a repeated one the diagonal."""
    once = "".join(dict.fromkeys(labels))
    if once == labels:
        return name, labels
    shape: Shape = old.kind(name).shape
    places: Array = np.arange(prod(shape)).reshape(shape)
    found = np.einsum(f"{labels}->{once}", places)
    flat = old.part("Reshape", [name, old.integers([-1], "flat")], "row")
    index = old.constant(found.astype(np.int64), "diagonal")
    nodes += [flat, old.part("Gather", [flat.output[0], index], "of_diagonal")]
    return nodes[-1].output[0], once


def _summed(old: Old, name: str, labels: str, read: set[str], nodes: list[Any]) -> tuple[str, str]:
    """The operand without the labels that nothing reads."""
    axes = [i for i, c in enumerate(labels) if c not in read]
    if not axes:
        return name, labels
    nodes.append(old.part("ReduceSum", [name, old.integers(axes, "axes")], "sum", keepdims=0))
    return nodes[-1].output[0], "".join(c for c in labels if c in read)


def _remainder(old: Old) -> list[Any] | None:
    """Mod of reals by a constant: with ``fmod`` the sign is that of the data."""
    divisor = old.constants.get(old.input(1))
    if old.input(0) in old.constants and divisor is not None:
        return None
    if not old.kind(old.input(0)).real:
        raise Refused("it computes with integers", "Cast the data to float first")
    if divisor is None:
        raise Refused("Mod by a computed value", "Let the divisor be a constant")
    parts = [old.part("Div", old.inputs[:2], "quotient")]
    if old.attribute("fmod", 0):
        size = old.part("Abs", parts[0].output[:], "size")
        whole = old.part("Floor", size.output[:], "whole")
        sign = old.part("Sign", parts[0].output[:], "sign")
        names = [whole.output[0], sign.output[0]]
        parts += [size, whole, sign, old.part("Mul", names, "turns")]
    else:
        parts.append(old.part("Floor", parts[0].output[:], "turns"))
    times = old.part("Mul", [parts[-1].output[0], old.input(1)], "times")
    return [*parts, times, old.part("Sub", [old.input(0), times.output[0]])]


def _affine(scale: str, shift: str) -> Rewrite:
    """What old exporters wrote as one: x times a number, plus a number or one for each channel."""

    def rewrite(old: Old) -> list[Any]:
        factor = old.constant(np.float32(old.attribute(scale, 1.0)), "factor")
        if not shift:
            return [old.part("Mul", [old.input(0), factor])]
        added = np.asarray(old.attribute(shift, 0.0), np.float32).reshape(-1)
        if added.size > 1:
            added = added.reshape(-1, *(1,) * (old.rank(old.input(0)) - 2))
        product = old.part("Mul", [old.input(0), factor], "product")
        return [product, old.part("Add", [product.output[0], old.constant(added, "shift")])]

    return rewrite


def _around(op: str) -> Rewrite:
    """``alpha * op(beta * x)``."""

    def rewrite(old: Old) -> list[Any]:
        numbers = [np.float32(old.attribute(key, 1.0)) for key in ("beta", "alpha")]
        inner, outer = (old.constant(v, part) for v, part in zip(numbers, "io", strict=True))
        scaled = old.part("Mul", [old.input(0), inner], "scaled")
        value = old.part(op, scaled.output[:], "value")
        return [scaled, value, old.part("Mul", [value.output[0], outer])]

    return rewrite


STANDARD: dict[str, Rewrite] = {
    "LayerNormalization": _norm_with_statistics,
    "ReduceProd": _product,
    "LRN": _local_response,
    **dict.fromkeys(("IsNaN", "IsInf"), _never),
    "Trilu": _triangle,
    "Einsum": _einsum,
    "Mod": _remainder,
    "Affine": _affine("alpha", "beta"),
    "ImageScaler": _affine("scale", "bias"),
    "Scale": _affine("scale", ""),
    "ParametricSoftplus": _around("Softplus"),
    "ScaledTanh": _around("Tanh"),
}
