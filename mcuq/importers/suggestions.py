"""What to use instead of an ONNX operator that mcuq does not support."""

from __future__ import annotations

SEE_LIST = "Run 'mcuq ops' for the list of operators"
_RECURRENT = "Use 1-D convolutions or a window of past frames as input"
_RESIZE = "Upsample outside the network, or use strides on the way down only"
_NORM = "Use BatchNormalization, which folds into convolutions at no cost"
_QDQ = "Export it in the QDQ format (quant_format=QuantFormat.QDQ), or give the float model"
_LOGS = "Leave it out: the order of the classes is the same without it, or use Softmax"
_FOREIGN = "Export the model with standard operators only"
_CONTROL = "Export the model without control flow"

SUGGESTIONS: dict[str, str] = {
    "LSTM": _RECURRENT, "GRU": _RECURRENT, "RNN": _RECURRENT,
    "ConvTranspose": _RESIZE,
    "LRN": _NORM,
    "QLinearConv": _QDQ, "QLinearMatMul": _QDQ, "ConvInteger": _QDQ, "MatMulInteger": _QDQ,
    "DynamicQuantizeLinear": _QDQ, "QLinearAdd": _QDQ, "QLinearMul": _QDQ, "QGemm": _QDQ,
    "QLinearGlobalAveragePool": _QDQ, "QLinearConcat": _QDQ, "QLinearLeakyRelu": _QDQ,
    "QLinearSigmoid": _QDQ, "QLinearAveragePool": _QDQ, "QLinearSoftmax": _QDQ,
    "LogSoftmax": _LOGS, "Log": _LOGS,
    "If": _CONTROL, "Loop": _CONTROL, "Scan": _CONTROL,
    "Exp": "Use Sigmoid, Tanh or Softmax", "Softplus": "Use Relu", "Mish": "Use HardSwish",
    "Selu": "Use Elu", "Celu": "Use Elu", "Softsign": "Use Tanh", "ThresholdedRelu": "Use Relu",
    "Erf": "Use Gelu: x * 0.5 * (1 + erf(x / sqrt(2)))",
    "Sqrt": "Compute it outside the network", "Pow": "Use Mul(x, x) for a square",
    "Abs": "Use Relu(x) + Relu(-x)", "Min": "Use Clip", "Max": "Use Clip or MaxPool",
    "ReduceSum": "Use ReduceMean", "TopK": "Use ArgMax", "LpPool": "Use AveragePool",
    "Where": "Use Clip or Mul with a constant mask",
}  # fmt: skip


def remedy_for(op: str) -> str:
    """What the user may do about the standard operator ``op``."""
    return SUGGESTIONS.get(op, SEE_LIST)


def foreign_remedy(domain: str, op: str) -> str:
    """What the user may do about an operator of another domain."""
    if domain == "ai.onnx.ml":
        return "Only neural networks are compiled: leave classical models and ZipMap out"
    return SUGGESTIONS.get(op, _FOREIGN)
