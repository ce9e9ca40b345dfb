"""The ``onnx`` package's own tests of its operators, through the importer: a table by operator.

    python -m benchmarks.onnx_operators [--page] [OPERATOR ...]

``--page`` prints ``benchmarks/OPERATORS.md``. Each case is tried with its first input as data and
the others as constants, and with all of its real inputs as data. It is accepted if one of them is;
the results must be those of the case.
"""

from __future__ import annotations

import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from mcuq import importers, ir, reference
from mcuq.errors import ManyErrors, McuqError

TOLERANCE = 1e-4
HALF_STEP = 2.0**-10
"""What results are wrong by that were computed in float16; here they are not."""
DOMAINS = ("", "ai.onnx")
NO_NETWORKS = (
    "Adagrad Adam Gradient Momentum",  # training
    "Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike",
    "ConcatFromSequence Optional OptionalGetElement OptionalHasElement SequenceAt "
    "SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength SequenceMap "
    "SplitToSequence ImageDecoder RegexFullMatch StringConcat StringNormalizer StringSplit "
    "TfIdfVectorizer",  # other types of values
)
VIEWS = frozenset(
    "DepthToSpace Dropout Expand Flatten Gather GatherElements GatherND Identity Reshape "
    "ReverseSequence Slice SpaceToDepth Split Squeeze Tile Transpose Unsqueeze".split()
)
_LEFT_OUT = {name for line in NO_NETWORKS for name in line.split()}


@dataclass(frozen=True)
class Outcome:
    """What became of a case: ``state`` is accepted, refused or wrong; ``detail`` why."""

    case: str
    op: str
    state: str
    detail: str = ""


def outcomes(folder: Path, names: Sequence[str] = ()) -> Iterator[Outcome]:
    """The outcome of every case of one node on plain tensors, of the operators ``names`` (all)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the package's own generators
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)
    for case in cases:
        if case.model is None or len(case.model.graph.node) != 1 or not case.data_sets:
            continue
        node = case.model.graph.node[0]
        if node.domain not in DOMAINS or node.op_type in _LEFT_OUT:
            continue
        if (not names or node.op_type in names) and _plain(case):
            yield _outcome(case, node.op_type, folder)


def _plain(case: Any) -> bool:
    """Whether all values are arrays of numbers."""
    inputs, outputs = case.data_sets[0]
    return all(
        isinstance(value, (np.ndarray, np.generic)) and np.asarray(value).dtype.kind in "fiub"
        for value in (*inputs, *outputs)
    )


def _outcome(case: Any, op: str, folder: Path) -> Outcome:
    found = [_tried(case, data, folder) for data in _variants(case)]
    wrong = [detail for state, detail in found if state == "wrong"]
    if wrong:
        return Outcome(case.name, op, "wrong", wrong[0])
    if any(state == "accepted" for state, _ in found):
        return Outcome(case.name, op, "accepted")
    return Outcome(case.name, op, "refused", found[0][1] if found else "it has no inputs")


def _variants(case: Any) -> Iterator[list[str]]:
    """Which inputs are data: the first, or all reals."""
    inputs = [info.name for info in case.model.graph.input]
    arrays = dict(zip(inputs, case.data_sets[0][0], strict=False))
    real = [name for name, array in arrays.items() if np.asarray(array).dtype.kind == "f"]
    if inputs:
        yield inputs[:1]
    if len(real) > 1:
        yield real


def _tried(case: Any, data: Sequence[str], folder: Path) -> tuple[str, str]:
    """(state, detail) of a case with the inputs ``data`` as data."""
    given, wanted = case.data_sets[0]
    arrays = {i.name: np.asarray(a) for i, a in zip(case.model.graph.input, given, strict=False)}
    path = folder / "case.onnx"
    path.write_bytes(_with_constants(case.model, arrays, data).SerializeToString())
    try:
        graph = importers.load(path)
    except ManyErrors as error:
        return "refused", str(error.errors[0])
    except McuqError as error:
        return "refused", str(error)
    outputs = [info.name for info in case.model.graph.output]
    results = {n: np.asarray(a).astype(float) for n, a in zip(outputs, wanted, strict=False)}
    node = case.model.graph.node[0]
    if node.op_type.startswith("QLinear"):  # nothing was rounded: half a step is right
        scale, zero = (arrays[name].astype(float) for name in node.input[6:8])
        reals = {n: (real - zero) * scale for n, real in results.items()}
        return _compared(graph, arrays, reals, float(np.max(scale)) / 2)
    sign = -1 if node.op_type in VIEWS else 1
    coarse = any(np.asarray(a).dtype == np.float16 for a in wanted)
    step = HALF_STEP if coarse else 0.0
    return _compared(graph, arrays, {n: sign * real for n, real in results.items()}, step)


def _with_constants(model: Any, arrays: Mapping[str, Any], data: Sequence[str]) -> Any:
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    kept = [info for info in copied.graph.input if info.name in data]
    others = [info.name for info in copied.graph.input if info.name not in data]
    del copied.graph.input[:]
    copied.graph.input.extend(kept)
    constants = (onnx.numpy_helper.from_array(arrays[name], name) for name in others)
    copied.graph.initializer.extend(constants)
    _negated(copied)
    return copied


def _negated(model: Any) -> None:
    """Add what computes to a node that only moves: a network of views is none."""
    node = model.graph.node[0]
    if node.op_type.startswith("QLinear"):
        _dequantized(model)
    elif node.op_type in VIEWS:
        for index, info in enumerate(model.graph.output):
            if node.output[index] == info.name:
                node.output[index] = f"{info.name}.moved"
                negated = onnx.helper.make_node("Neg", [node.output[index]], [info.name])
                model.graph.node.append(negated)


def _dequantized(model: Any) -> None:
    """The reals of a quantized result."""
    node = model.graph.node[0]
    info = model.graph.output[0]
    node.output[0] = f"{info.name}.integers"
    parts = [node.output[0], *node.input[6:8]]
    model.graph.node.append(onnx.helper.make_node("DequantizeLinear", parts, [info.name]))
    info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT


def _compared(
    graph: ir.Graph, arrays: Mapping[str, Any], results: Mapping[str, Any], step: float = 0.0
) -> tuple[str, str]:
    rows = {
        port.name: arrays[port.name].astype(np.float32).reshape(-1, *port.shape[1:])
        for port in graph.inputs
    }
    inside = {
        port.name: ir.to_memory(port, graph.shape(port.tensor), rows[port.name])
        for port in graph.inputs
    }
    found = reference.outputs_of(graph, inside)
    for port in graph.outputs:
        real = results[port.name]
        values = ir.from_memory(port, found[port.name]).astype(np.float64)
        if values.size != real.size:
            return "wrong", f"{port.name} has {values.shape} for {real.shape}"
        error = np.abs(values.reshape(real.shape) - real)
        limit = step + TOLERANCE * max(1.0, float(np.abs(real).max(initial=0.0)))
        if not bool((error <= limit).all()):
            return "wrong", f"{port.name} differs by {error.max():g}"
    return "accepted", ""


def table(found: Sequence[Outcome]) -> str:
    """A line for each operator: how many cases were accepted, refused and wrong, and why."""
    counts = Counter((outcome.op, outcome.state) for outcome in found)
    lines = [f"{'operator':28} accepted refused wrong  the first reason"]
    for op in sorted({outcome.op for outcome in found}):
        numbers = [counts[op, state] for state in ("accepted", "refused", "wrong")]
        reasons = [o.detail for o in found if o.op == op and o.state != "accepted"]
        reason = reasons[0].split(": ", 2)[-1][:90] if reasons else ""
        lines.append(f"{op:28} {numbers[0]:8} {numbers[1]:7} {numbers[2]:5}  {reason}")
    total = Counter(outcome.state for outcome in found)
    lines.append(f"{'all':28} {total['accepted']:8} {total['refused']:7} {total['wrong']:5}")
    return "\n".join(lines)


UNWANTED = {
    "training": r"training mode|Dropout with a mask|LikelihoodLoss|CrossEntropyLoss",
    "integers or truth values as data": r"computes with integers|not numeric|holds integers|"
    r"Bitwise|BitShift|BitCast|DynamicQuantizeLinear",
    "nothing to compute": r"nothing to compute|has no inputs|size 0|takes nothing|Range is|"
    r"ConstantOfShape|EyeLike|(Hann|Hamming|Blackman)Window|MelWeightMatrix",
    "a batch of several sequences, or an axis that is none": r"over a batch|along the batch",
    "sizes or control flow that data decide": r"Unique|NonZero|NonMaxSuppression|Loop|Scan",
}
"""Kinds of cases that are no static network of reals, by the reason with which they are refused."""
STATIC = "static networks of reals"
PAGE = """# Operators of ONNX

Printed by `python -m benchmarks.onnx_operators --page` with onnx {version}: the package's own tests
of one node each. A case is accepted if the importer takes it with its first input as data, or with
all its real inputs; then its results are compared with those of the case.

**{accepted} of {count} cases are accepted and right, {refused} refused in one sentence, {wrong}
wrong.** Of the {wanted} that are static networks of reals {accepted} are accepted: {share:.0f} %.

| what is refused | cases |
|---|--:|
{kinds}

| operator | accepted | refused | wrong | the first reason |
|---|--:|--:|--:|---|
{rows}
"""


def kind_of(outcome: Outcome) -> str:
    """To which kind a refused case belongs."""
    found = (kind for kind, pattern in UNWANTED.items() if re.search(pattern, outcome.detail))
    return next(found, STATIC)


def page(found: Sequence[Outcome]) -> str:
    """The page on all cases, Markdown."""
    total = Counter(outcome.state for outcome in found)
    kinds = Counter(kind_of(o) for o in found if o.state == "refused")
    lines = table(found).splitlines()[1:-1]
    cells = ((line[:28].split()[0], *line[28:].split(None, 3)) for line in lines)
    rows = (f"| {' | '.join((*row, '')[:5])} |" for row in cells)
    wanted = total["accepted"] + total["wrong"] + kinds[STATIC]
    return PAGE.format(
        version=onnx.__version__,
        accepted=total["accepted"],
        refused=total["refused"],
        wrong=total["wrong"],
        count=len(found),
        wanted=wanted,
        share=100 * total["accepted"] / max(1, wanted),
        kinds="\n".join(f"| {kind} | {count} |" for kind, count in kinds.most_common()),
        rows="\n".join(rows),
    ).rstrip()


if __name__ == "__main__":
    names = [arg for arg in sys.argv[1:] if not arg.startswith("--")]
    with tempfile.TemporaryDirectory() as place:
        told = list(outcomes(Path(place), names))
    print(page(told) if "--page" in sys.argv else table(told))
