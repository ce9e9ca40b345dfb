"""PyTorch's fake quantization, which torch.onnx cannot export, as pairs of ONNX nodes (QDQ)."""

from __future__ import annotations

from typing import Any

INT8, UINT8 = 3, 2
"""ONNX's numbers of these types."""

_FULL = {INT8: (-128, 127), UINT8: (0, 255)}


def translations() -> dict[Any, Any]:
    """What ``torch.onnx.export`` takes as ``custom_translation_table``."""
    import torch

    aten = torch.ops.aten
    return {
        aten.fake_quantize_per_tensor_affine.default: _per_tensor,
        aten.fake_quantize_per_tensor_affine.tensor_qparams: _per_tensor,
        aten.fake_quantize_per_channel_affine.default: _per_channel,
    }


def _per_tensor(x: Any, scale: Any, zero_point: Any, quant_min: int, quant_max: int) -> Any:
    return _pair(x, scale, zero_point, quant_min, quant_max, 1)


def _per_channel(
    x: Any, scale: Any, zero_point: Any, axis: int, quant_min: int, quant_max: int
) -> Any:
    return _pair(x, scale, zero_point, quant_min, quant_max, axis)


def _pair(x: Any, scale: Any, zero: Any, low: int, high: int, axis: int) -> Any:
    from onnxscript import opset18

    op: Any = opset18
    kind = INT8 if low < 0 else UINT8
    full = _FULL[kind]
    if low < full[0] or high > full[1]:
        raise ValueError(f"fake quantization to {low}..{high}: use 8 bits")
    if isinstance(scale, float):
        scale = op.Constant(value_float=scale)
    if isinstance(zero, int):
        zero = op.Constant(value_int=zero)
    zero = op.Cast(zero, to=kind)
    steps = op.QuantizeLinear(x, scale, zero, axis=axis)
    if (low, high) != full:
        bounds = [op.Cast(op.Constant(value_int=bound), to=kind) for bound in (low, high)]
        steps = op.Clip(steps, *bounds)
    return op.DequantizeLinear(steps, scale, zero, axis=axis)
