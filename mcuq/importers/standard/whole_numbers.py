"""Networks that compute with whole numbers throughout, as tools for PULP chips write them.

Deeploy's ``RequantShift``, and what DORY and MATCH write out: Conv or MatMul of 8-bit integers,
whose sums are cast to int32, multiplied, added to, divided, rounded down, limited and cast to 8
bits. ONNX has no such Conv; what is meant is exact sums. They are read as reals with a step of 1,
as in a pair of QuantizeLinear and DequantizeLinear: rounded down is rounded to nearest less one
half, so nothing is lost but what other scales and weights of 8 bits round.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
import onnx

from mcuq.importers.nodes.builder import Refused
from mcuq.importers.standard.grids import KEEPS_GRID
from mcuq.importers.standard.modern import Kind, Old
from mcuq.importers.standard.steps import OnnxStep
from mcuq.ir import Array

Rewrite = Callable[[Old], list[Any] | None]
_TYPES = onnx.TensorProto
_NARROW = {_TYPES.UINT8: np.uint8, _TYPES.INT8: np.int8}
_WIDE = (_TYPES.INT32, _TYPES.INT64)
_PRODUCTS = ("Conv", "MatMul", "Gemm")
_DEEP = 12
"""So many nodes lie at most between two tensors of 8 bits."""


def requant_shift(old: Old) -> list[Any]:
    """``floor((x * mul + add) / div)`` within ``n_levels`` integers, signed or not."""
    divisor, levels, signed = (
        float(_number(old, names))
        for names in (("div", "D"), ("n_levels_out", "n_levels"), ("signed",))
    )
    low = -levels / 2 if signed else 0.0
    limits = int(low), int(low + levels - 1)
    kind = np.int8 if signed else np.uint8
    if not (divisor > 0 and np.iinfo(kind).min <= limits[0] <= limits[1] <= np.iinfo(kind).max):
        raise Refused(f"it divides by {divisor:g} into {levels:g} levels", "Use 8 bits")
    factor = old.constant((old.given(1) / divisor).astype(np.float32), "factor")
    shift = old.constant((old.given(2) / divisor - 0.5).astype(np.float32), "shift")
    product = old.part("Mul", [old.input(0), factor], "product")
    total = old.part("Add", [product.output[0], shift], "sum")
    return [product, total, *_steps_of_one(old, total.output[0], kind, limits)]


def _number(old: Old, names: tuple[str, ...]) -> float:
    """An attribute of one number, which may be a tensor."""
    found = next((v for v in map(old.attribute, names) if v is not None), None)
    if found is None:
        raise Refused(f"operator {old.node.op_type} lacks its attribute '{names[0]}'")
    array = onnx.numpy_helper.to_array(found) if isinstance(found, onnx.TensorProto) else found
    return float(np.asarray(array, np.float64).reshape(()).item())


def _steps_of_one(old: Old, source: str, kind: Any, limits: tuple[int, int]) -> list[Any]:
    """A pair with the scale 1, and a Clip where fewer levels are used than the type has."""
    numbers = [old.constant(np.float32(1), "one"), old.constant(kind(0), "zero")]
    nodes = [old.part("QuantizeLinear", [source, *numbers], "integers")]
    if limits != (np.iinfo(kind).min, np.iinfo(kind).max):
        bounds = [old.constant(kind(v), "bound") for v in limits]
        nodes.append(old.part("Clip", [nodes[-1].output[0], *bounds], "limited"))
    return [*nodes, old.part("DequantizeLinear", [nodes[-1].output[0], *numbers])]


def as_reals(old: Old) -> list[Any] | None:
    """A product or sum of 8-bit integers, or of reals that are whole with constant integers."""
    kinds = [old.kinds.get(name) for name in old.inputs if name]
    computed = [k for n, k in zip(old.inputs, kinds, strict=False) if n not in old.constants]
    if None in kinds or not _mixed(kinds, computed, old.node.op_type in _PRODUCTS):
        return None
    nodes, names = [], []
    for name in old.inputs:
        kind = old.kinds.get(name)
        if kind is None or kind.real:
            names.append(name)
        elif name in old.constants:
            names.append(old.constant(old.constants[name].astype(np.float32), "real"))
        else:
            nodes.append(old.part("Cast", [name], "real", to=_TYPES.FLOAT))
            names.append(nodes[-1].output[0])
    return [*nodes, old.changed(names)]


def _mixed(kinds: list[Kind | None], computed: list[Kind | None], product: bool) -> bool:
    """Whether reals meet integers, which ONNX does not know, or a product is of 8 bits."""
    reals = {kind.real for kind in kinds if kind is not None}
    narrow = any(kind is not None and kind.element in _NARROW for kind in computed)
    return len(reals) > 1 or (product and narrow)


def cast(old: Old) -> list[Any] | None:
    """Cast of a real that is whole to integers which hold it; of an input of bytes to 8 bits."""
    name, target = old.input(0), old.attribute("to", 1)
    kind = old.kinds.get(name)
    if kind is None or not kind.real or name in old.constants:
        return None
    if target in _WIDE and _whole(old, name) and _is_sum(old, name):
        return [old.part("Identity", [name])]
    if target not in _NARROW:
        return None
    kind_of = _NARROW[target]
    info = np.iinfo(kind_of)
    low, high = _limits(old, name)
    limited = info.min <= low and high <= info.max and _is_sum(old, name)
    if not (limited and _whole(old, name)) and not _is_input(old, name):
        return None
    return _steps_of_one(old, name, kind_of, (int(info.min), int(info.max)))


def floor(old: Old) -> list[Any] | None:
    """Floor of a sum that was divided: less one half, which is rounded to nearest after that."""
    step = old.makers.get(old.input(0))
    if step is None or step.op != "Div" or not _is_sum(old, step.inputs[0]):
        return None
    if not _whole(old, step.inputs[0]) or not _whole(old, step.inputs[1]):
        return None
    half = old.constant(np.float32(0.5), "half")
    return [old.part("Sub", [old.input(0), half])]


def _maker(old: Old, name: str) -> OnnxStep | None:
    """What makes ``name``, behind views."""
    return old.maker(name, KEEPS_GRID)


def _whole(old: Old, name: str, depth: int = 0) -> bool:
    """Whether a real holds whole numbers, as far as the next 8 bits can say."""
    data = old.constants.get(name)
    if data is not None:
        return bool((data == np.floor(data)).all())
    step, kind = old.makers.get(name), old.kinds.get(name)
    if depth > _DEEP or step is None:
        return kind is not None and not kind.real
    if step.op == "Cast":
        source = old.kinds.get(step.inputs[0])
        return source is not None and not source.real
    if step.op == "DequantizeLinear":
        return _is_one(old, step.inputs[1])
    known = (*_PRODUCTS, *KEEPS_GRID, "Add", "Sub", "Mul", "Clip", "Relu", "MaxPool")
    if step.op == "Sub" and _half_less(old, step):
        return True
    return step.op in known and all(_whole(old, n, depth + 1) for n in step.inputs if n)


def _half_less(old: Old, step: OnnxStep) -> bool:
    """Whether this is what ``floor`` writes."""
    half, source = old.constants.get(step.inputs[1]), old.makers.get(step.inputs[0])
    divided = source is not None and source.op == "Div"
    return divided and half is not None and half.size == 1 and float(half.reshape(())) == 0.5


def _is_one(old: Old, name: str) -> bool:
    data = old.constants.get(name)
    return data is not None and data.size == 1 and float(data.reshape(())) == 1.0


def _is_sum(old: Old, name: str) -> bool:
    """Whether a product of layers is behind the arithmetic of one value that makes ``name``."""
    step = _maker(old, name)
    for _ in range(_DEEP):
        if step is None or step.op in _PRODUCTS:
            return step is not None
        if step.op not in ("Add", "Sub", "Mul", "Div", "Clip", "Relu", "Identity"):
            return False
        step = _maker(old, next((n for n in step.inputs if n not in old.constants), ""))
    return False


def _is_input(old: Old, name: str) -> bool:
    """Whether ``name`` is an input of the network, or a view of one."""
    while name in old.makers:
        step = old.makers[name]
        if step.op not in KEEPS_GRID:
            return False
        name = step.inputs[0]
    return name not in old.constants


def _limits(old: Old, name: str) -> tuple[float, float]:
    """The limits of the Clip that makes ``name``."""
    step = _maker(old, name)
    if step is None or step.op != "Clip":
        return -inf, inf
    bounds: list[Array | None] = [old.constants.get(n) for n in (*step.inputs[1:3], "", "")[:2]]
    low, high = (None if b is None or b.size != 1 else float(b.reshape(())) for b in bounds)
    return -inf if low is None else low, inf if high is None else high


PULP: dict[str, Rewrite] = {"RequantShift": requant_shift}
STANDARD: dict[str, Rewrite] = {
    **PULP,
    **dict.fromkeys(("Conv", "MatMul", "Gemm", "Add", "Sub", "Mul", "Div"), as_reals),
    "Cast": cast,
    "Floor": floor,
}
