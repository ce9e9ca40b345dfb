"""Turns a checked ONNX model into a Graph, node by node, and gathers all that stands in the way."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import onnx

from mcuq.errors import McuqError, ModelError, raise_all
from mcuq.importers import causes
from mcuq.importers.imported import Imported
from mcuq.importers.nodes import fusion, layout, masks, norm_patterns, spectra
from mcuq.importers.nodes.builder import Builder, Refused, Value, check_size
from mcuq.importers.nodes.call import NodeCall, Operand
from mcuq.importers.nodes.handlers import HANDLERS, MOVEMENTS
from mcuq.importers.nodes.layout import plain_shape
from mcuq.importers.nodes.lookahead import wished_layout
from mcuq.importers.onnx_file import OnnxModel
from mcuq.importers.sizes import Chosen, Sizes, choose
from mcuq.importers.standard import batch, detectors, quantized
from mcuq.importers.standard.batch_rules import Mixed
from mcuq.importers.standard.folding import fold
from mcuq.importers.standard.modern import Kind
from mcuq.importers.standard.resolve import FAULTS, Flat, resolve
from mcuq.importers.standard.steps import OnnxStep, needed, node_error
from mcuq.importers.suggestions import remedy_for
from mcuq.ir import Array, Graph, Port, Shape
from mcuq.ops import spec

EXACT = frozenset(
    "Cast Clip Concat Dropout Flatten Max MaxPool Min Relu ReduceMax ReduceMin Reshape Squeeze "
    "Unsqueeze Identity Shape Size QuantizeLinear DequantizeLinear GlobalMaxPool ArgMax ArgMin "
    "TopK Less LessOrEqual Equal GreaterOrEqual Greater Not And Or Xor".split()
).union(MOVEMENTS)
"""What gives for integers what it gives for reals."""
TRUTHS = frozenset("Not And Or Xor Where".split())
"""What reads truth values, which are 1 and 0."""
WIDE_ONLY = frozenset("Add Sub Mul Neg Sum MatMul Gemm".split())
"""What does so where the type is wide enough."""
WIDE = (onnx.TensorProto.INT32, onnx.TensorProto.INT64)
NO_SIZES = Sizes()
_NO_BATCH = "If the first axis is no batch, say all sizes with --shape NAME=SIZES"
_REPORT = "Report this model: it is a fault of mcuq"
ON_INDICES = frozenset("Reshape Flatten Squeeze Unsqueeze Identity Cast Shape Size".split())
"""What may read the result of ArgMax."""


def to_graph(model: OnnxModel, sizes: Sizes = NO_SIZES) -> Imported:
    """The float graph of ``model``, and where it holds which value; raises every fault at once."""
    chosen = choose(model, sizes)
    whole = resolve(model, chosen.shapes, chosen.symbolic)
    model, whole, behind = detectors.apart(model, whole)
    flat, shapes, notes = _one_inference(model, chosen, whole)
    masked = masks.fuse(flat.steps, flat.constants)
    constants = masks.finite(masked, flat.constants, flat.roots)
    heard = spectra.fuse(masked, constants, flat.kinds, flat.roots)
    joined = norm_patterns.fuse(heard, constants, flat.kinds)
    steps = needed(fusion.fuse(joined, constants), flat.roots)
    builder = Builder()
    builder.grids.update(flat.grids)
    known: dict[str, Operand] = dict(constants)
    faults: list[tuple[str, McuqError]] = []
    for given in model.inputs:
        known[given.name] = value = _input(model, builder, given.name, shapes[given.name])
        _settle_early(builder, value, wished_layout(given.name, steps))
    read = {name for step in steps for name in step.inputs} | set(model.outputs)
    for step in steps:
        step = replace(step, outputs=(*step.outputs[:1], *_only(step.outputs[1:], read)))
        fault = _import(step, model, builder, known, flat.kinds)
        if fault is not None:
            faults.append((step.name, fault))
    raise_all([*flat.faults, *causes.joined(faults, model.name)])
    _check_whole(model, builder)
    ports, left_out = _outputs(model, builder, known)
    left_out += _truths(ports, flat.kinds)
    names = [given.name for given in model.inputs]
    graph = Graph(
        Path(model.name).stem,
        tuple(_input_port(builder, known, name) for name in names),
        ports,
        tuple(builder.nodes),
        dict(builder.tensors),
        dict(builder.hints),
        (*chosen.notes, *notes, *left_out, *map(detectors.note, behind)),
        successors=dict(builder.successors),
        behind=behind,
    )
    return Imported(
        graph,
        model,
        whole,
        chosen.shapes,
        max(chosen.shapes[name][0] if flat is not whole else 1 for name in names),
        _values(builder, known),
        any(step.op != step.proto.op_type for step in steps),
    )


def _input(model: OnnxModel, builder: Builder, name: str, shape: Shape) -> Value:
    try:
        return builder.input(name, shape)
    except Refused as error:
        thing = f"{model.name}: input '{name}'"
        raise ModelError(thing, error.reason, error.remedy) from error


def _only(names: Iterable[str], read: Collection[str]) -> Iterator[str]:
    """The names of results; empty where nobody reads them."""
    return (name if name in read else "" for name in names)


def _values(builder: Builder, known: Mapping[str, Operand]) -> dict[str, Value]:
    """Where the reals of the model lie in memory, by its own names."""
    found = {name: value for name, value in known.items() if name not in builder.pairs}
    values = ((name, value) for name, value in found.items() if isinstance(value, Value))
    return {name: replace(value, view=builder.places(value)) for name, value in values}


def _one_inference(
    model: OnnxModel, chosen: Chosen, flat: Flat
) -> tuple[Flat, dict[str, Shape], list[str]]:
    """(steps, shapes of the inputs, notes) of one inference: of a batch one row."""
    shapes = chosen.shapes
    if flat.faults:
        return flat, shapes, []
    if chosen.symbolic:
        faults = [
            node_error(model.name, step.name, f"{step.op} over the batch: {why}", _NO_BATCH)
            for step, why in batch.check_open(flat, chosen.opened)
        ]
        return replace(flat, faults=[*flat.faults, *faults]), shapes, []
    counts = {shape[0] if len(shape) > 1 else 1 for shape in shapes.values()}
    if chosen.whole or len(counts) > 1 or counts <= {1}:
        return flat, shapes, []
    count = counts.pop()
    try:
        cut = batch.one_row(flat, list(shapes), model.outputs, count)
    except Mixed as error:
        return (
            flat,
            shapes,
            [
                f"the first axis of the input, {count}, is no batch ({error}): one inference takes "
                "it whole"
            ],
        )
    single = {name: (1, *shape[1:]) for name, shape in shapes.items()}
    return (
        cut,
        single,
        [
            f"the first axis of the input, {count}, is a batch, as every node treats its rows "
            "alike: one inference takes one row"
        ],
    )


def _settle_early(builder: Builder, value: Value, wish: str | None) -> None:
    """Fix the layout of an input that is read element by element first."""
    if wish == "own":
        builder.settle(value, value.view, plain_shape(value.shape))
    elif wish == "channels last" and len(value.shape) in (3, 4):
        wanted = layout.channels_last(value.shape)
        builder.settle(value, wanted, layout.image_shape(value.shape))


def _import(
    step: OnnxStep,
    model: OnnxModel,
    builder: Builder,
    known: dict[str, Operand],
    kinds: Mapping[str, Kind],
) -> McuqError | None:
    """Add one step; the fault, if it has one (its results are then missing from ``known``)."""
    inputs = [known.get(n) if n else None for n in step.inputs]
    complete = all(not n or n in known for n in step.inputs)
    constant = complete and not any(isinstance(i, Value) for i in inputs)
    if not constant and step.op not in HANDLERS:
        reason = f"operator {step.op} is not supported"
        return node_error(model.name, step.name, reason, remedy_for(step.op))
    if not complete:
        return None
    try:
        if constant:
            arrays = [i if isinstance(i, np.ndarray) else None for i in inputs]
            folded = fold(step.proto, arrays, step.opset)
            for array in folded:
                builder.claim(array.shape)
            results: list[Operand] = [*folded]
        else:
            call = NodeCall(
                builder, step.op, step.name, step.attrs, tuple(inputs), step.inputs,
                step.outputs, step.opset, kinds,
            )  # fmt: skip
            _check_indices(call, builder)
            _check_integers(call, builder)
            found = quantized.integers(call, HANDLERS[step.op])
            results = found if isinstance(found, list) else [found]
            for name, result in zip((o for o in step.outputs if o), results, strict=False):
                _check(result, kinds.get(name))
    except Refused as error:
        return node_error(model.name, step.name, error.reason, error.remedy)
    except FAULTS as error:
        reason = f"its inputs or attributes do not fit operator {step.op} ({error})"
        return node_error(model.name, step.name, reason, "Check it with onnx.checker")
    known.update(zip((o for o in step.outputs if o), results, strict=False))
    return None


def _check_indices(call: NodeCall, builder: Builder) -> None:
    """Refuse arithmetic on the indices that ArgMax gives."""
    data = call.inputs[:1] if call.op == "Gather" else call.inputs
    values = [operand for operand in data if isinstance(operand, Value)]
    if call.op not in ON_INDICES and any(builder.is_index(value.tensor) for value in values):
        raise Refused("it computes with the indices of ArgMax", "Let ArgMax be the last operator")


def _check_integers(call: NodeCall, builder: Builder) -> None:
    """Refuse arithmetic that wraps or truncates: the network would compute with reals."""
    names = [
        name
        for name, operand in zip(call.names, call.inputs, strict=False)
        if isinstance(operand, Value)
        and name in call.kinds
        and name not in builder.pairs
        and not builder.is_index(operand.tensor)
    ]
    kinds = [call.kinds[name] for name in names if not call.kinds[name].real]
    if call.op in TRUTHS:
        kinds = [kind for kind in kinds if kind.element != onnx.TensorProto.BOOL]
    wide = all(kind.element in WIDE for kind in kinds)
    if kinds and call.op not in EXACT and not (wide and call.op in WIDE_ONLY):
        raise Refused("it computes with integers", "Cast the data to float first")


def _check(result: Operand, kind: Kind | None) -> None:
    """A result has the shape that ONNX's own rules give it."""
    if isinstance(result, Value):
        check_size(result.shape)
        if kind is not None and kind.shape != result.shape:
            reason = f"its result would be {result.shape} where ONNX has {kind.shape}"
            raise Refused(reason, _REPORT)


def _input_port(builder: Builder, known: Mapping[str, Operand], name: str) -> Port:
    value = known[name]
    if not isinstance(value, Value):
        raise TypeError(f"{name} is an input")
    if value.tensor in builder.open:  # nothing reads it
        builder.settle(value, value.view, plain_shape(value.shape))
    port = Port(name, value.tensor, _with_batch(value.shape), _order(builder.places(value)))
    if value.tensor not in builder.whole:
        return port
    return replace(port, kind="s16", scale=(1.0,), offset=(0.0,))


def _check_whole(model: OnnxModel, builder: Builder) -> None:
    """Refuse an input whose integers are indices to one node and numbers to another."""
    for node in builder.nodes:
        mixed = builder.whole.intersection(node.inputs)
        if mixed and not spec(node.op).reads_indices:
            reason = f"reads the input '{min(mixed)}' as numbers, which is indices elsewhere"
            raise node_error(model.name, node.name, reason, "Make it an input of its own")


def _with_batch(shape: Shape) -> Shape:
    """The shape of a port: a network without a batch has one in front."""
    return shape if shape[:1] == (1,) else (1, *shape)


def _outputs(
    model: OnnxModel, builder: Builder, known: Mapping[str, Operand]
) -> tuple[tuple[Port, ...], list[str]]:
    """The ports of the outputs, and a line on each that is left out."""
    ports: list[Port] = []
    faults: list[McuqError] = []
    notes: list[str] = []
    for name in model.outputs:
        value = known.get(name)
        if not isinstance(value, Value) or value.tensor not in builder.makers:
            what = "an input" if isinstance(value, Value) else "a constant"
            notes.append(f"output '{name}' is {what} as it is: the C does not write it")
        else:
            value = _readable(builder, value)
            kind = "s32" if builder.is_index(value.tensor) else "s8"
            order = _order(builder.places(value))
            ports.append(Port(name, value.tensor, _with_batch(value.shape), order, kind))
            notes += _of_integers(builder, name)
    if not ports and not faults:
        reason = "every output is an input or a constant: there is nothing to compute"
        faults.append(ModelError(model.name, reason, "Add an output that is computed"))
    raise_all(faults)
    return tuple(ports), notes


def _truths(ports: Sequence[Port], kinds: Mapping[str, Kind]) -> list[str]:
    """A line on each output that holds truth values in the model."""
    known = [p.name for p in ports if p.name in kinds]
    truths = [name for name in known if kinds[name].element == onnx.TensorProto.BOOL]
    return [f"output '{n}' holds truth values in the model; here it is 1 and 0" for n in truths]


def _of_integers(builder: Builder, name: str) -> list[str]:
    """A line on an output that holds integers in the model."""
    pair = builder.pairs.get(name)
    if pair is None:
        return []
    return [
        f"output '{name}' holds integers q in the model; here it is the reals "
        f"(q - {pair.zero}) * {pair.hint.scale[0]:g}"
    ]


def _readable(builder: Builder, value: Value) -> Value:
    """``value`` with its axes as they are, in whatever order, in memory.

    What no stride per axis describes, as behind a pixel shuffle or where channels were flattened,
    is moved to the model's own order, unless that is more than an exchange of axes.
    """
    places = builder.places(value)
    indices = builder.is_index(value.tensor)
    described = layout.strides(places, value.shape) is not None
    if indices or described or layout.permutation(places) is None:
        return value
    own = layout.identity(prod(value.shape))
    moved = builder.place(value, own, plain_shape(value.shape))
    if value.tensor in builder.hints:
        builder.hints.setdefault(moved, builder.hints[value.tensor])
    return replace(value, tensor=moved, view=own)


def _order(places: Array) -> Array | None:
    """The order of a port: None where it is the user's own."""
    return None if np.array_equal(places, layout.identity(prod(places.shape))) else places
