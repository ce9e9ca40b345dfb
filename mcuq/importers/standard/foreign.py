"""Operators of other domains, and those on integers, as standard ONNX operators on reals.

Each function returns the nodes that replace one: com.microsoft's (fused ones, activations),
QONNX's and Brevitas' (``Quant`` is a pair of QuantizeLinear and DequantizeLinear), and the integer
forms in ``integer_forms``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mcuq.importers.nodes.builder import Refused
from mcuq.importers.standard import (
    attention_forms,
    classical,
    expansions,
    geometry,
    integer_forms,
    recurrences,
    samples,
    scatters,
    whole_numbers,
    written_out,
)
from mcuq.importers.standard.modern import Old
from mcuq.ir import Array

Rewrite = Callable[[Old], list[Any] | None]
MICROSOFT = ("com.microsoft", "com.ms.internal.nhwc")
QONNX = ("onnx.brevitas", "qonnx.custom_op.general", "finn.custom_op.general")
PULP = ("PACTOps", "pulp", "Deeploy")
_ROUNDINGS = ("ROUND", "HALF_EVEN")


def standard(old: Old) -> list[Any] | None:
    """The standard nodes for ``old``; None if it is one, or is not known."""
    domain, op = old.node.domain, old.node.op_type
    if domain in ("", "ai.onnx"):
        rewrite = _STANDARD.get(op)
    elif domain == "com.microsoft":
        rewrite = {**integer_forms.MICROSOFT, **_MICROSOFT}.get(op)
    elif domain in QONNX:
        rewrite = _QONNX.get(op)
    elif domain in PULP:
        rewrite = whole_numbers.PULP.get(op)
    elif domain == "ai.onnx.ml":
        rewrite = classical.REWRITES.get(op)
    else:
        rewrite = None
    return None if rewrite is None else rewrite(old)


def _renamed(op: str, **attrs: Any) -> Rewrite:
    return lambda old: [old.part(op, old.inputs, **attrs)]


def _same(old: Old) -> list[Any]:
    """An operator that the standard has by now under the same name and with the same attributes."""
    made = old.changed(old.inputs)
    made.domain = ""
    return [made]


def _activation(old: Old, source: str) -> list[Any]:
    """The activation of a fused operator, applied to ``source``."""
    op = old.attribute("activation", "")
    params = [float(v) for v in old.attribute("activation_params", ())]
    if op in ("Relu", "Tanh", "Sigmoid", "HardSwish", "Softplus", "Softsign"):
        return [old.part(op, [source])]
    if op in ("LeakyRelu", "Elu", "ThresholdedRelu"):
        alpha = params[0] if params else old.attribute("activation_alpha")
        attrs: dict[str, Any] = {} if alpha is None else {"alpha": float(alpha)}
        return [old.part(op, [source], **attrs)]
    if op == "HardSigmoid" and len(params) == 2:
        return [old.part(op, [source], alpha=params[0], beta=params[1])]
    if op == "Clip" and len(params) == 2:
        limits = [old.constant(np.float32(v), "limit") for v in params]
        return [old.part(op, [source, *limits])]
    raise Refused(f"activation {op} of a fused operator", "Export the model without fusion")


def _without_activation(old: Old, drop: tuple[str, ...] = ()) -> dict[str, Any]:
    names = ("activation", "activation_params", "activation_alpha", "activation_beta", *drop)
    found = {a.name for a in old.node.attribute} - {*names, "activation_gamma"}
    return {name: old.attribute(name) for name in sorted(found)}


def _fused_conv(old: Old) -> list[Any]:
    """Conv, then a sum with a fourth input, then an activation."""
    attrs = _without_activation(old)
    nodes = [old.part("Conv", old.inputs[:3], "sum", **attrs)]
    if old.input(3):
        nodes.append(old.part("Add", [nodes[-1].output[0], old.input(3)], "added"))
    return [*nodes, *_end(old, nodes[-1].output[0])]


def _fused_gemm(old: Old) -> list[Any]:
    gemm = old.part("Gemm", old.inputs, "sum", **_without_activation(old))
    return [gemm, *_end(old, gemm.output[0])]


def _end(old: Old, source: str) -> list[Any]:
    if not old.attribute("activation", ""):
        return [old.part("Identity", [source])]
    return _activation(old, source)


def _fused_matmul(old: Old) -> list[Any]:
    """Alpha * A' @ B'."""
    if old.attribute("transBatchA", 0) or old.attribute("transBatchB", 0):
        raise Refused("FusedMatMul that transposes a batch", "Export the model without fusion")
    nodes: list[Any] = []
    names = old.inputs[:2]
    for index, key in enumerate(("transA", "transB")):
        rank = old.rank(names[index])
        if old.attribute(key, 0) and rank > 1:
            perm = [*range(rank - 2), rank - 1, rank - 2]
            nodes.append(old.part("Transpose", [names[index]], "turned", perm=perm))
            names[index] = nodes[-1].output[0]
    alpha = float(old.attribute("alpha", 1.0))
    if alpha == 1.0:
        return [*nodes, old.part("MatMul", names)]
    product = old.part("MatMul", names, "product")
    factor = old.constant(np.float32(alpha), "alpha")
    return [*nodes, product, old.part("Mul", [product.output[0], factor])]


def _bias_gelu(approximate: str) -> Rewrite:
    """Gelu of the sum of one or two inputs."""

    def rewrite(old: Old) -> list[Any]:
        if not old.input(1):
            return [old.part("Gelu", old.inputs[:1], approximate=approximate)]
        total = old.part("Add", old.inputs[:2], "sum")
        return [total, old.part("Gelu", total.output[:], approximate=approximate)]

    return rewrite


def _quick_gelu(old: Old) -> list[Any]:
    """X * sigmoid(alpha * x)."""
    alpha = old.constant(np.float32(old.attribute("alpha", 1.702)), "alpha")
    scaled = old.part("Mul", [old.input(0), alpha], "scaled")
    gate = old.part("Sigmoid", scaled.output[:], "gate")
    return [scaled, gate, old.part("Mul", [old.input(0), gate.output[0]])]


def _skip_norm(op: str) -> Rewrite:
    """The norm of a sum of two values and a bias."""

    def rewrite(old: Old) -> list[Any]:
        if any(old.node.output[1:3]):
            raise Refused("its mean and variance are used", "Use the normalized values only")
        nodes = [old.part("Add", old.inputs[:2], "sum")]
        scales = old.inputs[2:4] if op == "LayerNormalization" else old.inputs[2:3]
        bias = old.input(2 + len(scales)) if len(scales) < 2 else old.input(4)
        if bias:
            nodes.append(old.part("Add", [nodes[-1].output[0], bias], "biased"))
        source = nodes[-1].output[0]
        if len(old.node.output) > 3 and old.node.output[3]:
            nodes[-1].output[0] = source = old.node.output[3]
        epsilon = float(old.attribute("epsilon", 1e-5))
        norm = old.part(op, [source, *(n for n in scales if n)], epsilon=epsilon, axis=-1)
        del norm.output[1:]
        return [*nodes, norm]

    return rewrite


def _layer_norm(old: Old) -> list[Any]:
    made = old.changed(old.inputs)
    made.domain = ""
    return [made]


def _quant(old: Old) -> list[Any]:
    """Quant(x, scale, zero, bits): constants are rounded, data gets a pair with these numbers."""
    scale, zero, bits = (old.given(i).astype(np.float64) for i in (1, 2, 3))
    signed, narrow = (bool(old.attribute(k, d)) for k, d in (("signed", 1), ("narrow", 0)))
    width = float(bits.reshape(-1)[0])
    low = -(2.0 ** (width - 1)) + (1 if narrow else 0) if signed else 0.0
    high = 2.0 ** (width - 1) - 1 if signed else 2.0**width - 1 - (1 if narrow else 0)
    known = old.constants.get(old.input(0))
    if known is not None:
        levels = _rounded(old, known.astype(np.float64) / scale + zero)
        data = (np.clip(levels, low, high) - zero) * scale
        return [old.part("Identity", [old.constant(data.astype(np.float32), "rounded")])]
    return _fake_quant(old, scale, zero, (int(low), int(high)), signed)


def _rounded(old: Old, steps: Array) -> Array:
    mode = str(old.attribute("rounding_mode", "ROUND")).upper()
    functions: dict[str, Callable[[Array], Array]] = {
        "ROUND": np.rint, "HALF_EVEN": np.rint, "CEIL": np.ceil, "FLOOR": np.floor,
        "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
        "DOWN": np.trunc, "ROUND_TO_ZERO": np.trunc,
        "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
        "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
    }  # fmt: skip
    if mode not in functions:
        raise Refused(f"Quant with the rounding mode {mode}", "Use ROUND")
    return np.asarray(functions[mode](steps))


def _fake_quant(
    old: Old, scale: Array, zero: Array, limits: tuple[int, int], signed: bool
) -> list[Any]:
    """A pair of 8 or 16 bits, with a Clip of the integers where they have fewer."""
    if str(old.attribute("rounding_mode", "ROUND")).upper() not in _ROUNDINGS:
        raise Refused("Quant of data that does not round to nearest", "Use ROUND")
    if scale.size != 1 or zero.size != 1:
        raise Refused("Quant of data with several scales", "Give activations one scale per tensor")
    kind = next((k for k in _kinds(signed) if _holds(k, limits)), None)
    if kind is None:
        return [old.part("Identity", [old.input(0)])]
    numbers = [
        old.constant(np.float32(scale.reshape(())), "scale"),
        old.constant(np.asarray(zero.reshape(())).astype(kind), "zero"),
    ]
    nodes = [old.part("QuantizeLinear", [old.input(0), *numbers], "steps")]
    if limits != (np.iinfo(kind).min, np.iinfo(kind).max):
        bounds = [old.constant(np.array(v, kind), "bound") for v in limits]
        nodes.append(old.part("Clip", [nodes[-1].output[0], *bounds], "clipped"))
    return [*nodes, old.part("DequantizeLinear", [nodes[-1].output[0], *numbers])]


def _kinds(signed: bool) -> tuple[Any, ...]:
    return (np.int8, np.int16) if signed else (np.uint8, np.uint16)


def _holds(kind: Any, limits: tuple[int, int]) -> bool:
    return bool(np.iinfo(kind).min <= limits[0] and limits[1] <= np.iinfo(kind).max)


def _bipolar(old: Old) -> list[Any]:
    """+scale for x >= 0, else -scale."""
    scale = old.given(1).astype(np.float32)
    zero = old.constant(np.float32(0), "zero")
    above = old.part("GreaterOrEqual", [old.input(0), zero], "positive")
    levels = [old.constant(v, part) for v, part in ((scale, "high"), (-scale, "low"))]
    return [above, old.part("Where", [above.output[0], *levels])]


def _trunc(old: Old) -> list[Any]:
    """Bits left out at the end: a division by a power of two."""
    if bool(np.any(old.given(2))):
        raise Refused("Trunc with a zero point", "Use zero point 0")
    bits = float(old.given(3).reshape(-1)[0]) - float(old.given(4).reshape(-1)[0])
    factor = old.constant(np.float32(2.0**-bits), "factor")
    return [old.part("Mul", [old.input(0), factor])]


_STANDARD: dict[str, Rewrite] = {
    **expansions.STANDARD,
    **samples.STANDARD,
    **scatters.STANDARD,
    **geometry.STANDARD,
    **recurrences.STANDARD,
    **written_out.STANDARD,
    **whole_numbers.STANDARD,
    **integer_forms.STANDARD,
    "Attention": attention_forms.attention,
}
_MICROSOFT: dict[str, Rewrite] = {
    "FusedConv": _fused_conv,
    "FusedGemm": _fused_gemm,
    "FusedMatMul": _fused_matmul,
    "TransposeMatMul": _fused_matmul,
    "Gelu": _renamed("Gelu"),
    "BiasGelu": _bias_gelu("none"),
    "FastGelu": _bias_gelu("tanh"),
    "QuickGelu": _quick_gelu,
    "SkipLayerNormalization": _skip_norm("LayerNormalization"),
    "SkipSimplifiedLayerNormalization": _skip_norm("RMSNormalization"),
    "LayerNormalization": _same,
    "Attention": attention_forms.packed,
    "MultiHeadAttention": attention_forms.multi_head,
}
_QONNX: dict[str, Rewrite] = {
    "Quant": _quant, "IntQuant": _quant, "BipolarQuant": _bipolar, "Trunc": _trunc,
}  # fmt: skip
