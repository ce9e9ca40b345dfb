"""What an operator is: a frozen record of functions, one record per operator.

A module under ``ops/`` defines these functions and an ``OP``; ``ops/__init__.py`` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcuq.ir import Array, Graph, Node, Shape
from mcuq.qir import QGraph, QTensor

if TYPE_CHECKING:
    import torch

    TorchTensor = torch.Tensor
else:
    TorchTensor = Any

Infer = Callable[[Node, Sequence[Shape]], Shape]
RunFloat = Callable[[Node, Sequence[TorchTensor]], TorchTensor]
Sums = Callable[[Node, TorchTensor, TorchTensor, bool], TorchTensor]
RunInt = Callable[[Node, QGraph, Sequence[Array]], Array]
Limit = Callable[[Node, Sequence[Shape]], bool]


@dataclass(frozen=True)
class IntForm:
    """A node in integers, and the integer constants it reads (weights, bias, tables)."""

    node: Node
    constants: tuple[QTensor, ...] = ()


ToInt = Callable[[Node, Graph, Mapping[str, QTensor], Mapping[str, QTensor]], IntForm]


@dataclass(frozen=True)
class OpSpec:
    """One operator.

    ``onnx``: ONNX operator types that become it (documentation for ``mcuq ops``).
    ``infer(node, input_shapes)``: the output's shape (batch 1).
    ``run_float(node, inputs)``: torch, differentiable, any batch; None for integer-only operators.
    ``to_int(node, graph, acts, weights)``: the integer node; ``acts`` maps the names of the node's
    activations (inputs and output) to QTensors; ``weights`` may map a weight's name to integers
    chosen by a quantization step, which replace the default rounding.
    ``run_int(node, qgraph, inputs)``: numpy, exact, any batch: the specification of the C kernel.
    ``keeps_scale``: output frac and zero equal those of the first input.
    ``limits``: checks whose docstring is the user's sentence.
    ``macs(node, qgraph)``: multiply-accumulates of one inference.
    ``sums(node, x, weights, snap)``: of an operator with weights, what is added up before the bias.
    """

    name: str
    onnx: tuple[str, ...]
    infer: Infer
    run_float: RunFloat | None = None
    to_int: ToInt | None = None
    run_int: RunInt | None = None
    keeps_scale: bool = False
    limits: tuple[Limit, ...] = ()
    macs: Callable[[Node, Sequence[Shape], Shape], int] = lambda node, inputs, output: 0
    note: str = ""
    sums: Sums | None = None
