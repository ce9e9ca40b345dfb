"""Mathematical functions of one value: exp, log, sqrt, sin, floor and the like, as ONNX has them.

In integers each is a 256-entry table (``lut``). Calibration decides which range the output gets.
Inputs outside the function's domain, which rounding may make of values near its end, give what
the end of the domain gives: the logarithm of 0 is the lowest value of the output, 1 / 0 and a
negative power of 0 are the highest. A table never holds what is no number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from operator import or_

from mcuq.ir import Node
from mcuq.ops import lut
from mcuq.ops.parts import along, forms
from mcuq.ops.spec import (
    NO_CLIP,
    Bounds,
    Flow,
    OpSpec,
    RunFloat,
    Scaling,
    TorchTensor,
    always,
    never,
)
from mcuq.ops.unary import infer
from mcuq.schema import Fields, choice, real

Function = Callable[[TorchTensor], TorchTensor]
_JUMPS = "jumps: beside a jump, rounding decides the side"
_POSITIVE, _UNIT = (0.0, math.inf), (-1.0, 1.0)
COMPARISONS = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal")
_POLE = "it divides by values on both sides of 0"


def _plain(function: Function) -> RunFloat:
    """The float twin of a function without attributes."""
    return lambda node, inputs: function(inputs[0])


def reciprocal(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``numerator / x``."""
    return node.float("numerator") / inputs[0]


def exp(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``e ** (rate * x)``."""
    return (inputs[0] * node.float("rate")).exp()


def power(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``x ** exponent``."""
    return inputs[0] ** node.float("exponent")


def selu(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``gamma * x``, or ``gamma * alpha * (e ** x - 1)`` where negative."""
    import torch

    x = inputs[0]
    below = node.float("alpha") * x.clamp(max=0.0).expm1()
    return node.float("gamma") * torch.where(x < 0, below, x)


def celu(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``x``, or ``alpha * (e ** (x / alpha) - 1)`` where negative."""
    import torch

    x, alpha = inputs[0], node.float("alpha")
    return torch.where(x < 0, alpha * (x.clamp(max=0.0) / alpha).expm1(), x)


def softplus(x: TorchTensor) -> TorchTensor:
    """``log(1 + e ** x)``, which is ``max(x, 0) + log(1 + e ** -|x|)``."""
    return x.relu() + (-x.abs()).exp().log1p()


def thresholded_relu(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``x`` above ``alpha``, else 0."""
    return inputs[0] * (inputs[0] > node.float("alpha"))


def shrink(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``x + bias`` below -lambd, ``x - bias`` above lambd, 0 between them."""
    x, bias, limit = inputs[0], node.float("bias"), node.float("lambd")
    return (x + bias) * (x < -limit) + (x - bias) * (x > limit)


def compare(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """1 where ``x`` is less than, equal to or greater than ``limit``, as ``holds`` says; else 0."""
    x, limit, holds = inputs[0], node.float("limit"), str(node.attrs["holds"])
    parts = {"<": x < limit, "=": x == limit, ">": x > limit}
    found = reduce(or_, (parts[sign] for sign in holds))
    return found.to(x.dtype)


def power_domain(node: Node) -> Bounds:
    """All reals for a whole exponent."""
    return NO_CLIP if node.float("exponent").is_integer() else _POSITIVE


def power_bounds(node: Node) -> Bounds:
    """Even powers, and roots, are never negative."""
    return NO_CLIP if node.float("exponent") % 2 == 1 else _POSITIVE


def _one_side(node: Node, span: Bounds) -> str:
    """Why ``numerator / x`` has no sense for values of ``span``."""
    return _POLE if span[0] < 0 < span[1] else ""


def _one_side_of_power(node: Node, span: Bounds) -> str:
    return _one_side(node, span) if node.float("exponent") < 0 else ""


_ATTRS: dict[str, Fields] = {
    "exp": {"rate": real()},
    "reciprocal": {"numerator": real()},
    "power": {"exponent": real()},
    "selu": {"alpha": real(), "gamma": real()},
    "celu": {"alpha": real()},
    "thresholded_relu": {"alpha": real()},
    "shrink": {"bias": real(), "lambd": real()},
    "compare": {"limit": real(), "holds": choice(("<", "<=", "=", ">=", ">"))},
}


def _op(
    name: str,
    onnx: str,
    run_float: RunFloat,
    domain: Bounds = NO_CLIP,
    bounds: Bounds = NO_CLIP,
    signed: bool = False,
    note: str = "",
    smooth: bool = False,
    whole: bool = False,
) -> OpSpec:
    """``signed``: nothing negative is made of what is not; ``domain``: where it is defined.

    ``smooth``: lines between places of a table come near it, so it has 16 bits. That is not so
    where it jumps, ends steeply or grows to infinity.
    """
    return OpSpec(
        name,
        (onnx,),
        infer,
        run_float,
        lut.from_function(run_float, lambda node: domain),
        flow=Flow.POINTWISE,
        bounds=lambda node: bounds,
        keeps_sign=always if signed else never,
        note=note,
        whole=whole,
        runs_s16=smooth,
        along=along.same,
        schema=forms.in_float(_ATTRS.get(name)),
    )


_ALL = (
    replace(_op("exp", "Exp", exp, smooth=True), bounds=lambda node: _POSITIVE, note="also c ** x"),
    _op("log", "Log", _plain(lambda x: x.log()), _POSITIVE),
    _op("sqrt", "Sqrt", _plain(lambda x: x.sqrt()), _POSITIVE, _POSITIVE),
    replace(_op("reciprocal", "Reciprocal", reciprocal), note="also c / x", refuses=_one_side),
    replace(
        _op("power", "Pow", power),
        to_int=lut.from_function(power, power_domain),
        bounds=power_bounds,
        keeps_sign=always,
        note="of a value and a constant",
        refuses=_one_side_of_power,
    ),
    replace(
        _op("abs", "Abs", _plain(lambda x: x.abs()), bounds=_POSITIVE, smooth=True),
        scaling=Scaling.CHANNELS,
    ),
    _op("floor", "Floor", _plain(lambda x: x.floor()), signed=True, whole=True, note=_JUMPS),
    _op("ceil", "Ceil", _plain(lambda x: x.ceil()), signed=True, whole=True, note=_JUMPS),
    _op(
        "round",
        "Round",
        _plain(lambda x: x.round()),
        signed=True,
        whole=True,
        note=f"half to even; {_JUMPS}",
    ),
    _op(
        "sign",
        "Sign",
        _plain(lambda x: x.sign()),
        bounds=_UNIT,
        signed=True,
        whole=True,
        note=_JUMPS,
    ),
    replace(
        _op("compare", "Greater", compare, bounds=(0.0, 1.0), whole=True),
        onnx=COMPARISONS,
        note=_JUMPS,
    ),
    _op("erf", "Erf", _plain(lambda x: x.erf()), bounds=_UNIT, signed=True, smooth=True),
    _op("sin", "Sin", _plain(lambda x: x.sin()), bounds=_UNIT, smooth=True),
    _op("cos", "Cos", _plain(lambda x: x.cos()), bounds=_UNIT, smooth=True),
    _op("tan", "Tan", _plain(lambda x: x.tan())),
    _op("asin", "Asin", _plain(lambda x: x.asin()), _UNIT, signed=True),
    _op("acos", "Acos", _plain(lambda x: x.acos()), _UNIT, _POSITIVE),
    _op("atan", "Atan", _plain(lambda x: x.atan()), signed=True, smooth=True),
    _op("sinh", "Sinh", _plain(lambda x: x.sinh()), signed=True, smooth=True),
    _op("cosh", "Cosh", _plain(lambda x: x.cosh()), bounds=(1.0, math.inf), smooth=True),
    _op("asinh", "Asinh", _plain(lambda x: x.asinh()), signed=True, smooth=True),
    _op("acosh", "Acosh", _plain(lambda x: x.acosh()), (1.0, math.inf), _POSITIVE),
    _op("atanh", "Atanh", _plain(lambda x: x.atanh()), _UNIT, signed=True),
    _op("selu", "Selu", selu, signed=True, smooth=True),
    _op("celu", "Celu", celu, signed=True, smooth=True),
    _op("softplus", "Softplus", _plain(softplus), bounds=_POSITIVE, smooth=True),
    _op(
        "softsign",
        "Softsign",
        _plain(lambda x: x / (1 + x.abs())),
        bounds=_UNIT,
        signed=True,
        smooth=True,
    ),
    _op("mish", "Mish", _plain(lambda x: x * softplus(x).tanh()), signed=True, smooth=True),
    _op("thresholded_relu", "ThresholdedRelu", thresholded_relu, note=_JUMPS),
    _op("shrink", "Shrink", shrink, note=_JUMPS),
)
OPS_FUNCTIONS = tuple(map(lut.in_units, _ALL))
