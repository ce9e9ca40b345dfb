"""Comparisons, logic and Where: truth values are the numbers 1 and 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mcuq.importers.nodes.builder import Value
from mcuq.importers.nodes.call import NodeCall, Operand
from mcuq.importers.nodes.elementwise import applied, combined, reshaped, with_constant
from mcuq.ir import Array

_TURNED = {"<": ">", ">": "<", "=": "="}


def comparison(holds: str) -> Callable[[NodeCall], Value]:
    """A handler for Less and the like: ``holds`` lists the signs for which it is true.

    Of two values, or with a constant that is not one number, the difference is compared with 0.
    """

    def handler(call: NodeCall) -> Value:
        a, b = call.operand(0), call.operand(1)
        if isinstance(a, Value) and isinstance(b, np.ndarray) and b.size == 1:
            return _compared(call, reshaped(a, b.shape), float(b.reshape(())), holds)
        if isinstance(b, Value) and isinstance(a, np.ndarray) and a.size == 1:
            turned = "".join(_TURNED[sign] for sign in holds)
            return _compared(call, reshaped(b, a.shape), float(a.reshape(())), turned)
        return _compared(call, _either(call.part("difference"), "sub", (a, b)), 0.0, holds)

    return handler


def _compared(call: NodeCall, value: Value, limit: float, holds: str) -> Value:
    return applied(call, "compare", value, limit=limit, holds=holds)


def _either(call: NodeCall, op: str, operands: Sequence[Operand]) -> Value:
    """``op`` of two operands, of which one may be a constant."""
    a, b = operands
    if isinstance(a, Value) and isinstance(b, Value):
        return combined(call, op, a, b)
    if isinstance(a, Value):
        return with_constant(call, op, a, call.builder.constant, _number(b))
    if isinstance(b, Value):
        return with_constant(call, op, b, call.builder.constant, _number(a), True)
    raise TypeError(f"{op} of constants is folded")


def _number(operand: Operand) -> Array:
    return np.asarray(operand, np.float64)


def truth(call: NodeCall) -> Value:
    """Whether a value is not 0."""
    return _compared(call, call.value(), 0.0, "<>")


def negation(call: NodeCall) -> Value:
    """Not: 1 less the value."""
    return _less_than_one(call, call.value())


def _less_than_one(call: NodeCall, value: Value) -> Value:
    return with_constant(call, "sub", value, call.builder.constant, np.array(1.0), True)


def junction(op: str) -> Callable[[NodeCall], Value]:
    """A handler for And, the product of truth values, and Or, their maximum."""
    return lambda call: _either(call, op, call.inputs)


def exclusive(call: NodeCall) -> Value:
    """Xor: the size of the difference."""
    return applied(call, "abs", _either(call.part("difference"), "sub", call.inputs))


def where(call: NodeCall) -> Value:
    """Where: ``mask * a + (1 - mask) * b``."""
    mask, a, b = call.inputs
    if isinstance(mask, Value):
        rest: Operand = _less_than_one(call.part("else"), mask)
    else:
        mask = _number(mask)
        rest = 1.0 - mask
    chosen, other = _share(call, "chosen", mask, a), _share(call, "other", rest, b)
    return _either(call, "add", (chosen, other))


def _share(call: NodeCall, what: str, mask: Operand, operand: Operand) -> Operand:
    """``mask * operand``."""
    if isinstance(mask, Value) or isinstance(operand, Value):
        return _either(call.part(what), "mul", (mask, operand))
    numbers, shares = np.broadcast_arrays(_number(operand), _number(mask))
    return np.where(shares != 0, numbers, 0.0)
