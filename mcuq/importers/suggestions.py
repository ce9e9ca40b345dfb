"""What to use instead of an ONNX operator that mcuq does not support."""

from __future__ import annotations

SEE_LIST = "Run 'mcuq ops' for the list of operators"
_NORM = "Use BatchNormalization, which folds into convolutions at no cost"
_QDQ = "Export it in the QDQ format (quant_format=QuantFormat.QDQ), or give the float model"
_FOREIGN = "Export the model with standard operators only"
_CONTROL = "Export the model without control flow"

SUGGESTIONS: dict[str, str] = {
    "LRN": _NORM,
    "QLinearConv": _QDQ, "QLinearMatMul": _QDQ, "ConvInteger": _QDQ, "MatMulInteger": _QDQ,
    "DynamicQuantizeLinear": _QDQ, "QLinearAdd": _QDQ, "QLinearMul": _QDQ, "QGemm": _QDQ,
    "QLinearGlobalAveragePool": _QDQ, "QLinearConcat": _QDQ, "QLinearLeakyRelu": _QDQ,
    "QLinearSigmoid": _QDQ, "QLinearAveragePool": _QDQ, "QLinearSoftmax": _QDQ,
    "If": _CONTROL, "Loop": _CONTROL, "Scan": _CONTROL,
    "ReduceProd": "Use Exp of the ReduceSum of Log",
}  # fmt: skip


def remedy_for(op: str) -> str:
    """What the user may do about the standard operator ``op``."""
    return SUGGESTIONS.get(op, SEE_LIST)


def foreign_remedy(domain: str, op: str) -> str:
    """What the user may do about an operator of another domain."""
    if domain == "ai.onnx.ml":
        return "Only neural networks are compiled: leave classical models and ZipMap out"
    return SUGGESTIONS.get(op, _FOREIGN)
