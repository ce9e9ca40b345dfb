"""Mathematical functions of one value with parameters; quotients and powers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mcuq.importers.nodes.builder import Refused, Value
from mcuq.importers.nodes.call import NodeCall
from mcuq.importers.nodes.elementwise import applied, combined, named_constant, reshaped, settled
from mcuq.ir import Array
from mcuq.ops import spec

_SELU = {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}


def selu(call: NodeCall) -> dict[str, Any]:
    return {key: call.real(key, default) for key, default in _SELU.items()}


def celu(call: NodeCall) -> dict[str, Any]:
    return {"alpha": call.real("alpha", 1.0)}


def thresholded_relu(call: NodeCall) -> dict[str, Any]:
    return {"alpha": call.real("alpha", 1.0)}


def shrink(call: NodeCall) -> dict[str, Any]:
    return {"bias": call.real("bias", 0.0), "lambd": call.real("lambd", 0.5)}


def power(call: NodeCall) -> Value:
    """Pow of a value with a constant exponent, or of a constant."""
    base, exponent = call.operand(0), call.operand(1)
    if isinstance(base, Value) and isinstance(exponent, Value):
        raise Refused("Pow of two computed values", "Let the exponent be a constant")
    if isinstance(base, Value):
        value, single = base, _single(call, call.constant(1), "exponent")
        if single == 1.0:
            return reshaped(value, call.constant(1).shape)
        name, attrs = "power", {"exponent": single}
        shape = call.constant(1).shape
    else:
        value, single = call.value(1), _single(call, call.constant(0), "base")
        if single <= 0.0:
            raise Refused(f"Pow of {single:g}", "Let the base be above 0")
        name, attrs = "exp", {"rate": math.log(single)}
        shape = call.constant(0).shape
    return applied(call, name, reshaped(value, shape), **attrs)


def _single(call: NodeCall, constant: Array, what: str) -> float:
    if not constant.size or not bool((constant == constant.flat[0]).all()):
        raise Refused(f"{call.op} with several {what}s", f"Use one {what} for all values")
    return float(constant.flat[0])


def divide(call: NodeCall) -> Value:
    """Div: a product with the inverse, which is a constant or a table."""
    divisor = call.operand(1)
    if isinstance(divisor, Value):
        return _by_value(call, divisor)
    constant = call.constant(1).astype(np.float64)
    if not bool((constant != 0).all()):
        raise Refused("division by 0", "Repair the constant")
    return named_constant(call, "mul", call.value(), 1.0 / constant, False)


def _by_value(call: NodeCall, divisor: Value) -> Value:
    """``a / b`` as ``a * (1 / b)``; for one number ``a`` both are one table."""
    given = call.operand(0)
    single = isinstance(given, np.ndarray) and given.size == 1
    numerator = float(call.constant(0).reshape(())) if single else 1.0
    if not numerator:
        raise Refused("0 divided by a computed value", "Leave it out: it is 0")
    if isinstance(given, np.ndarray) and single:
        return inverted(call, reshaped(divisor, given.shape), numerator)
    inverse = inverted(call.part("inverse"), divisor)
    if isinstance(given, Value):
        return combined(call, "mul", given, inverse)
    return named_constant(call, "mul", inverse, call.constant(0).astype(np.float64), True)


def inverted(call: NodeCall, value: Value, numerator: float = 1.0) -> Value:
    """``numerator / value``."""
    return applied(call, "reciprocal", value, numerator=numerator)


def cut(call: NodeCall, signed: bool) -> Value:
    """A value without what follows its point, as it becomes an integer: -1.5 becomes -1.

    An integer without a sign is undefined below 0; here it is 0.
    """
    value = call.value()
    maker = call.builder.makers.get(value.tensor)
    if maker is not None and spec(maker).whole:
        return value
    if not signed:
        part = call.part("positive")
        return applied(call, "floor", applied(part, "clip", value, low=0.0, high=math.inf))
    size = applied(call.part("size"), "abs", value)
    whole = applied(call.part("whole"), "floor", size)
    return combined(call, "mul", applied(call.part("sign"), "sign", value), whole)


def prelu(call: NodeCall) -> Value:
    """PRelu with one slope, or one per channel."""
    value = call.value()
    slopes = np.broadcast_to(call.constant(1), value.shape).reshape(-1)
    if bool((slopes == slopes[0]).all()):
        return applied(call, "leaky_relu", value, alpha=float(slopes[0]))
    builder = call.builder
    image = len(value.shape) in (3, 4) and value.shape[0] == 1
    if image and value.tensor in builder.open:
        call.image(value)
    seen = settled(call, value)
    found = _along_last(call, seen, slopes)
    if found is None and image and call.image(seen) != seen.tensor:
        seen = call.image_value(call.image(seen), len(value.shape))
        found = _along_last(call, seen, slopes)
    source, places = seen.tensor, builder.places(seen)
    if found is None:
        source = builder.shaped(source, (1, len(slopes)))
        found = _lying(call, seen, slopes)
    tensor = call.emit("prelu", (source,), slopes=tuple(found.tolist()))
    return Value(seen.shape, tensor, places)


def _lying(call: NodeCall, value: Value, numbers: Array) -> Array:
    """A number for each element, in the order in which these lie."""
    found = np.empty(numbers.size, np.float64)
    found[call.builder.places(value)] = numbers
    return found


def _along_last(call: NodeCall, value: Value, numbers: Array) -> Array | None:
    """The numbers along the last axis in memory, if they repeat along all others."""
    rows = _lying(call, value, numbers).reshape(-1, call.builder.memory(value)[-1])
    first: Array = rows[0]
    return first if bool((rows == first).all()) else None
