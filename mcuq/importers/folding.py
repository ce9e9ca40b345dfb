"""Computes nodes of which all inputs are constants: shapes, and arithmetic on weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import onnx

from mcuq.importers.builder import Refused, check_size
from mcuq.importers.steps import PAIRS
from mcuq.ir import Array

FOLDABLE = frozenset(
    """
    Abs Add And Cast CastLike Ceil Clip Concat ConstantOfShape DequantizeLinear Div Equal
    Exp Expand Flatten Floor
    Gather GatherElements Greater GreaterOrEqual Identity Less LessOrEqual Log MatMul Max Min Mod
    Mul Neg Not Or Pow QuantizeLinear Range Reciprocal ReduceMax ReduceMean ReduceMin ReduceProd
    ReduceSum Relu Reshape Round ScatterND Shape Sigmoid Sign Size Slice Split Sqrt Squeeze Sub Sum
    Tanh Transpose Unsqueeze Where
    """.split()
)
_BROADCAST = frozenset(
    """
    Add And Div Equal Greater GreaterOrEqual Less LessOrEqual Max Min Mod Mul Or Pow Sub Sum Where
    """.split()
)


def fold(node: Any, inputs: Sequence[Array | None], opset: int) -> list[Array]:
    """The outputs of the ONNX node ``node``; refuses what is not foldable or too large."""
    if node.op_type not in FOLDABLE:
        raise Refused(
            f"operator {node.op_type} on constants is not supported",
            "Compute it before the export, and store the result",
        )
    _check_result(node.op_type, node, [i for i in inputs if i is not None])
    if node.op_type in PAIRS:  # this version takes the types of all the older ones
        node, opset = _standard(node), max(opset, 21)
    names = [n for n in node.input if n]
    given = {n: i for n, i in zip(node.input, inputs, strict=True) if n and i is not None}
    graph = onnx.helper.make_graph(
        [node],
        "constant",
        [onnx.helper.make_value_info(n, onnx.TypeProto()) for n in dict.fromkeys(names)],
        [onnx.helper.make_value_info(n, onnx.TypeProto()) for n in node.output if n],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    return _run(model, given)


def _standard(node: Any) -> Any:
    """``node`` in ONNX's own domain."""
    copied = onnx.NodeProto()
    copied.CopyFrom(node)
    copied.domain = ""
    return copied


def _run(model: Any, given: Mapping[str, Array]) -> list[Array]:
    from onnx.reference import ReferenceEvaluator

    try:
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(model).run(None, dict(given))
    except Exception as error:  # whatever the evaluator raises: the node is at fault
        text = " ".join(str(error).split())[:120]
        raise Refused(f"cannot be computed from its constants ({text})") from error
    return [np.asarray(r) for r in results]


def _check_result(op: str, node: Any, inputs: Sequence[Array]) -> None:
    """Refuse results that would not fit, before they are computed."""
    if op == "ConstantOfShape":
        check_size([max(0, int(v)) for v in inputs[0].reshape(-1)])
    elif op == "Expand":
        check_size([*(max(1, int(v)) for v in inputs[1].reshape(-1)), inputs[0].size])
    elif op == "Range":
        start, limit, delta = (float(i.reshape(-1)[0]) for i in inputs)
        check_size([int(min(abs((limit - start) / delta), 2.0**40)) if delta else 0])
    elif op == "MatMul":
        check_size([prod(inputs[0].shape[:-1]), prod(inputs[1].shape[-1:])])
    elif op == "Concat":
        check_size([sum(i.size for i in inputs)])
    elif op in ("Gather", "GatherElements"):
        check_size([max(1, inputs[0].size), max(1, inputs[1].size)])
    elif op in _BROADCAST:
        try:
            check_size(np.broadcast_shapes(*(i.shape for i in inputs)))
        except ValueError as error:
            raise Refused("its constants do not broadcast") from error
