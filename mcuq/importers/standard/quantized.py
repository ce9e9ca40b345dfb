"""Models that were quantized before: QuantizeLinear and DequantizeLinear in pairs (QDQ).

Around data, a pair limits it to what its integers hold, and the scale becomes a hint of the
tensor; nothing is rounded. Around constants both are computed, and the scale becomes a hint of
the weights. The limits matter: ONNX Runtime leaves out a Relu that they make superfluous.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from mcuq.importers.nodes import elementwise
from mcuq.importers.nodes.builder import Builder, Pair, Refused, Value
from mcuq.importers.nodes.call import NodeCall, Operand
from mcuq.importers.standard.grids import KEEPS_GRID
from mcuq.ir import Array, Hint, Node
from mcuq.ops import spec
from mcuq.ops.spec import Padding, Values
from mcuq.passes.restore_names import SUFFIX

Span = tuple[float, float]
Result = Value | Array | list[Operand]
_BITS = {"int4": 4, "uint4": 4, "int8": 8, "uint8": 8, "int16": 16, "uint16": 16}
_ONNX_TYPES = {2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 21: "uint4", 22: "int4"}
_ON_INTEGERS = ("Clip", "MaxPool", "Slice", "Split", "Gather", "DepthToSpace", *KEEPS_GRID)
_PAIRS = "Export the model in the QDQ format, each QuantizeLinear with its DequantizeLinear"


def quantize(call: NodeCall) -> Value:
    """QuantizeLinear of data: the value, limited; its pair takes it from there."""
    numbers, limits = _numbers(call)
    return _limited(call, numbers, limits)


def clip(call: NodeCall) -> Value:
    """Clip, of reals or of integers: exporters write the latter for fewer bits, or -127..127."""
    pair = call.builder.pairs.get(call.names[0])
    if pair is None:
        return elementwise.clip(call)
    given = [call.constant(index) for index in (1, 2)]
    if any(bound.size != 1 for bound in given):
        raise Refused("Clip of integers to several limits", _PAIRS)
    low, high = (int(bound.reshape(())) for bound in given)
    return _limited(call, pair, (low, high))


def _limited(call: NodeCall, pair: Pair, limits: tuple[int, int]) -> Value:
    """The data whose integers, with the numbers of ``pair``, lie within ``limits``."""
    value, builder = call.value(), call.builder
    builder.pairs[call.outputs[0]] = pair
    scale = pair.hint.scale[0]
    span = (limits[0] - pair.zero) * scale + 0.0, (limits[1] - pair.zero) * scale + 0.0
    if _superfluous(builder, value.tensor, pair.hint, span):
        builder.hints.setdefault(value.tensor, pair.hint)
        return value
    name = value.tensor.removesuffix(SUFFIX) + SUFFIX
    tensor = builder.emit("clip", call.name, (value.tensor,), name, low=span[0], high=span[1])
    builder.hints[tensor] = pair.hint
    return Value(value.shape, tensor, builder.places(value))


def dequantize(call: NodeCall) -> Value:
    """DequantizeLinear of data: what its QuantizeLinear has read."""
    value, builder = call.value(), call.builder
    known = builder.pairs.get(call.names[0])
    kind = call.kinds.get(call.names[0])
    if known is None and kind is not None and not kind.real and value.tensor in builder.order:
        return _bytes_of_input(call, value)
    if known is None:
        raise Refused("it reads integers that no QuantizeLinear of this model wrote", _PAIRS)
    found, _ = _numbers(call)
    if found != known:
        reason = f"its scale {found.hint.scale[0]:g} and zero point differ from its QuantizeLinear"
        raise Refused(reason, _PAIRS)
    return value


def _bytes_of_input(call: NodeCall, value: Value) -> Value:
    """(x - zero) * scale of integers that are an input of the network."""
    numbers, _ = _numbers(call)
    builder, scale = call.builder, numbers.hint.scale[0]
    if numbers.zero:
        zero = np.array(float(numbers.zero))
        value = elementwise.with_constant(call, "sub", value, builder.constant, zero)
    made = elementwise.with_constant(call, "mul", value, builder.constant, np.array(scale))
    builder.hints[made.tensor] = numbers.hint
    return made


def integers(call: NodeCall, handler: Callable[[NodeCall], Result]) -> Result:
    """``handler``, if it may compute with the integers that QuantizeLinear wrote: views may."""
    pair = next((call.builder.pairs[n] for n in call.names if n in call.builder.pairs), None)
    if pair is None or call.op == "DequantizeLinear":
        return handler(call)
    if call.op not in _ON_INTEGERS:
        raise Refused("it computes with integers", _PAIRS)
    call.builder.pairs.update(dict.fromkeys(call.outputs, pair))
    return handler(call)


def _numbers(call: NodeCall) -> tuple[Pair, tuple[int, int]]:
    """What a node states of its integers, and the lowest and highest of them."""
    scales, zeros = call.constant(1), call.optional(2)
    if scales.size != 1 or (zeros is not None and zeros.size != 1):
        raise Refused("its data has several scales", "Give activations one scale per tensor")
    scale = float(scales.reshape(())) if scales.dtype.kind == "f" else math.nan
    if not (math.isfinite(scale) and scale > 0):
        raise Refused(f"its scale is {scale:g}", "Calibrate the model again")
    kind = _kind(call, zeros)
    bits, zero = _BITS[kind], 0 if zeros is None else int(zeros.reshape(()))
    unsigned = kind.startswith("u")
    low = 0 if unsigned else -(1 << (bits - 1))
    moved = zero - (1 << (bits - 1)) if unsigned else zero
    return Pair(Hint((scale,), moved, bits), zero), (low, low + (1 << bits) - 1)


def _kind(call: NodeCall, zeros: Array | None) -> str:
    """The integer type: that of the zero point, of the attribute, or of the pair."""
    known = call.builder.pairs.get(call.names[0])
    if zeros is not None:
        kind = str(zeros.dtype)
    elif known is not None:
        unsigned = known.hint.zero != known.zero
        kind = f"{'u' if unsigned else ''}int{known.hint.bits}"
    else:
        kind = _ONNX_TYPES.get(call.integer("output_dtype", 0) or 2, "another type")
    if kind not in _BITS:
        raise Refused(f"it quantizes to {kind}", "Use int8 or uint8")
    return kind


def _superfluous(builder: Builder, tensor: str, hint: Hint, span: Span) -> bool:
    """Whether limiting ``tensor`` to ``span`` changes nothing that the network depends on.

    One step too far is rounding. Where no operator can take the limits they would cost a table:
    there they stay only if they may be a Relu.
    """
    makers = {node.output: node for node in builder.nodes}
    step = hint.scale[0]
    if tensor not in builder.makers:  # an input: its conversion to integers saturates
        low, high = _full_span(hint)
        return span[0] - step <= low and high <= span[1] + step
    low, high = _span(builder, makers, tensor)
    if span[0] - step <= low and high <= span[1] + step:
        return True
    return not _takes_limits(makers[tensor]) and (span[0] < 0 or low >= 0)


def _takes_limits(node: Node) -> bool:
    """Whether limits after ``node`` cost nothing: some operator carries them."""
    op = spec(node.op)
    folds = node.op == "batch_norm"  # into a layer
    return folds or op.fuse_clip is not None or op.values >= Values.BETWEEN


def _span(builder: Builder, makers: Mapping[str, Node], tensor: str) -> Span:
    """No value of ``tensor`` lies outside."""
    node = makers.get(tensor)
    if node is None:
        data = builder.tensors[tensor].data
        if data is not None and data.size:
            return float(data.min()), float(data.max())
        hint = builder.hints.get(tensor)
        return (-math.inf, math.inf) if hint is None else _full_span(hint)
    op = spec(node.op)
    if op.values >= Values.BETWEEN:
        spans = [_span(builder, makers, name) for name in node.inputs]
        low, high = min(s[0] for s in spans), max(s[1] for s in spans)
        padded = op.padding is Padding.ZERO and any(node.ints("pads"))
        return (min(low, 0.0), max(high, 0.0)) if padded else (low, high)
    return op.bounds(node)


def _full_span(hint: Hint) -> Span:
    top = 1 << (hint.bits - 1)
    return (-top - hint.zero) * hint.scale[0], (top - 1 - hint.zero) * hint.scale[0]
