"""Computes nodes of which all inputs are constants: shapes, and arithmetic on weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import onnx

from mcuq.importers.nodes.builder import Refused, check_size
from mcuq.importers.standard.steps import PAIRS
from mcuq.ir import Array, Shape

MAX_WORK = 1 << 40
"""Limits the product of the sizes of both operands of a matrix product."""
MAX_LOOPS = 1 << 26
"""The same for operators that the evaluator computes element by element."""

_SLOW = frozenset(
    """
    AveragePool Conv ConvInteger ConvTranspose DeformConv GRU GlobalAveragePool GlobalMaxPool
    GridSample LRN LSTM LpPool MaxPool MaxUnpool QLinearConv RNN Resize RoiAlign Upsample
    """.split()
)
_NOT_FOLDED = frozenset(
    """
    Bernoulli If Loop Multinomial NonMaxSuppression Optional OptionalGetElement RandomNormal
    RandomNormalLike RandomUniform RandomUniformLike Scan SequenceAt SequenceConstruct
    SequenceEmpty SequenceErase SequenceInsert SequenceLength SequenceMap SplitToSequence
    ConcatFromSequence ImageDecoder StringConcat StringNormalizer StringSplit RegexFullMatch
    TfIdfVectorizer
    """.split()
)
_PRODUCTS = ("Einsum", "Gemm", "MatMul", "MatMulInteger", "QLinearMatMul", "Det")
_BROADCAST = frozenset(
    """
    Add And BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max
    Mean Min Mod Mul Or Pow Sub Sum Where Xor
    """.split()
)


def foldable(op: str) -> bool:
    """Whether nodes of ``op`` on constants are computed: it is no control, chance or text."""
    return op not in _NOT_FOLDED


def fold(
    node: Any, inputs: Sequence[Array | None], opset: int, shapes: Sequence[Shape] = ()
) -> list[Array]:
    """The outputs of the ONNX node ``node``; refuses what is not foldable or too large.

    ``shapes``: those of the outputs, as far as they are known.
    """
    if not foldable(node.op_type):
        raise Refused(f"operator {node.op_type} on constants is not supported", _STORE)
    given_arrays = [i for i in inputs if i is not None]
    for shape in shapes:
        check_size(shape)
    if len(shapes) < len([n for n in node.output if n]):
        _check_result(node.op_type, given_arrays)
    _check_work(node.op_type, given_arrays, shapes)
    opset = min(opset, onnx.defs.onnx_opset_version())
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


_STORE = "Compute it before the export, and store the result"


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
    arrays = [np.asarray(r) for r in results]
    if any(array.dtype.kind in "OUS" for array in arrays):
        raise Refused("its result is no tensor of numbers", _STORE)
    return arrays


def _check_work(op: str, inputs: Sequence[Array], shapes: Sequence[Shape]) -> None:
    """Refuse what would take minutes."""
    work = prod(max(1, i.size) for i in inputs)
    outputs = sum(prod(shape) for shape in shapes)
    slow = op in _SLOW and max(work, outputs) > MAX_LOOPS
    if slow or (op in _PRODUCTS and work > MAX_WORK):
        raise Refused(f"{op} of large constants", _STORE)


def _check_result(op: str, inputs: Sequence[Array]) -> None:
    """Refuse results that would not fit, before they are computed."""
    if op == "ConstantOfShape":
        check_size([max(0, int(v)) for v in inputs[0].reshape(-1)])
    elif op in ("Expand", "Tile"):
        check_size([*(max(1, int(v)) for v in inputs[1].reshape(-1)), inputs[0].size])
    elif op == "Range":
        start, limit, delta = (float(i.reshape(-1)[0]) for i in inputs)
        check_size([int(min(abs((limit - start) / delta), 2.0**40)) if delta else 0])
    elif op == "Pad":
        grown = sum(max(0, int(v)) for v in inputs[1].reshape(-1))
        check_size([max(1, inputs[0].size), 1 + grown])
    elif op == "OneHot":
        check_size([max(1, inputs[0].size), max(1, int(inputs[1].reshape(-1)[0]))])
    elif op == "MatMul":
        check_size([prod(inputs[0].shape[:-1]), prod(inputs[1].shape[-1:])])
    elif op == "Concat":
        check_size([sum(i.size for i in inputs)])
    elif op in ("Gather", "GatherElements", "GatherND"):
        check_size([max(1, inputs[0].size), max(1, inputs[1].size)])
    elif op == "NonZero":
        check_size([max(1, inputs[0].ndim), max(1, inputs[0].size)])
    elif op in _BROADCAST:
        try:
            check_size(np.broadcast_shapes(*(i.shape for i in inputs)))
        except ValueError as error:
            raise Refused("its constants do not broadcast") from error
