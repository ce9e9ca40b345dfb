"""Functions of one value: sigmoid, tanh, hard_sigmoid, hard_swish, leaky_relu, elu, gelu, silu.

In integers each is a 256-entry table (``lut``), computed offline from the functions here.
"""

from __future__ import annotations

from collections.abc import Sequence

from mcuq.ir import Node, Shape
from mcuq.ops import forms, lut
from mcuq.ops.spec import OpSpec, RunFloat, TorchTensor
from mcuq.schema import Fields, choice, real


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The input's shape."""
    return shapes[0]


def sigmoid(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``1 / (1 + exp(-x))``."""
    return inputs[0].sigmoid()


def tanh(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """The hyperbolic tangent."""
    return inputs[0].tanh()


def hard_sigmoid(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``clamp(alpha * x + beta, 0, 1)``."""
    return (inputs[0] * node.float("alpha") + node.float("beta")).clamp(0.0, 1.0)


def hard_swish(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``x * clamp(x / 6 + 1/2, 0, 1)``."""
    return inputs[0] * (inputs[0] / 6.0 + 0.5).clamp(0.0, 1.0)


def leaky_relu(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``x``, times alpha where negative."""
    import torch

    return torch.where(inputs[0] < 0, inputs[0] * node.float("alpha"), inputs[0])


def elu(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``x``, or ``alpha * (exp(x) - 1)`` where negative."""
    import torch

    return torch.nn.functional.elu(inputs[0], alpha=node.float("alpha"))


def gelu(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``x * Phi(x)``, Phi the normal distribution; ``approximate`` is "none" or "tanh"."""
    import torch

    return torch.nn.functional.gelu(inputs[0], approximate=str(node.attrs["approximate"]))


def silu(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """``x * sigmoid(x)``."""
    return inputs[0] * inputs[0].sigmoid()


def _op(
    name: str,
    onnx: tuple[str, ...],
    run_float: RunFloat,
    note: str = "",
    attrs: Fields | None = None,
) -> OpSpec:
    table = lut.from_function(run_float)
    holds = forms.in_float(attrs)
    return OpSpec(name, onnx, infer, run_float, to_int=table, note=note, schema=holds)


_ALPHA: Fields = {"alpha": real()}
_APPROXIMATE: Fields = {"approximate": choice(("none", "tanh"))}
OPS_UNARY = (
    _op("sigmoid", ("Sigmoid",), sigmoid),
    _op("tanh", ("Tanh",), tanh),
    _op("hard_sigmoid", ("HardSigmoid",), hard_sigmoid, attrs={**_ALPHA, "beta": real()}),
    _op("hard_swish", ("HardSwish",), hard_swish),
    _op("leaky_relu", ("LeakyRelu",), leaky_relu, attrs=_ALPHA),
    _op("elu", ("Elu",), elu, attrs=_ALPHA),
    _op("gelu", ("Gelu",), gelu, "exact (erf) or tanh", _APPROXIMATE),
    _op("silu", ("Swish",), silu, "also Mul(x, Sigmoid(x))"),
)
