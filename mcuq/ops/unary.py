"""Functions of one value: sigmoid, tanh, hard_sigmoid, hard_swish, leaky_relu, elu, gelu, silu.

In integers each is a 256-entry table (``lut``), computed offline from the functions here. The
mathematical ones are in ``functions``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mcuq.ir import Node, Shape
from mcuq.ops import lut
from mcuq.ops.parts import along, forms
from mcuq.ops.spec import Flow, OpSpec, RunFloat, Scaling, TorchTensor, always
from mcuq.schema import Fields, choice, optional, real


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
    """``x * sigmoid(rate * x)``, with ``rate`` 1 unless it is given."""
    rate = float(node.attrs.get("rate", 1.0))
    return inputs[0] * (inputs[0] * rate).sigmoid()


def _op(name: str, onnx: str, run_float: RunFloat, attrs: Fields | None = None) -> OpSpec:
    to_int, holds = lut.from_function(run_float), forms.in_float(attrs)
    return OpSpec(
        name,
        (onnx,),
        infer,
        run_float,
        to_int,
        flow=Flow.POINTWISE,
        runs_s16=True,
        along=along.same,
        schema=holds,
    )


_ALPHA: Fields = {"alpha": real()}
_LINE: Fields = {**_ALPHA, "beta": real()}
_APPROXIMATE: Fields = {"approximate": choice(("none", "tanh"))}
_ALL = (
    replace(_op("sigmoid", "Sigmoid", sigmoid), bounds=lambda node: (0.0, 1.0)),
    replace(_op("tanh", "Tanh", tanh), bounds=lambda node: (-1.0, 1.0), keeps_sign=always),
    replace(
        _op("hard_sigmoid", "HardSigmoid", hard_sigmoid, _LINE), bounds=lambda node: (0.0, 1.0)
    ),
    replace(_op("hard_swish", "HardSwish", hard_swish), keeps_sign=always),
    replace(
        _op("leaky_relu", "LeakyRelu", leaky_relu, _ALPHA),
        keeps_sign=always,
        scaling=Scaling.CHANNELS,
    ),
    replace(_op("elu", "Elu", elu, _ALPHA), keeps_sign=always),
    replace(_op("gelu", "Gelu", gelu, _APPROXIMATE), keeps_sign=always, note="exact (erf) or tanh"),
    replace(
        _op("silu", "Swish", silu, {"alpha": optional(real())}),
        keeps_sign=always,
        note="also Mul(x, Sigmoid(x))",
    ),
)
OPS_UNARY = tuple(map(lut.in_units, _ALL))
